"""What the Rendered Templates tab of a step shows: the last request that was sent, and what came of it.

It says as much as the log: no values of a query, no values of headers that are not known to be harmless, no
bodies, unless the connection asks for bodies in logs. Credentials are in none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_plus

from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import Response, TransportError
from airflow_arazzo.engine.redact import CREDENTIAL_HEADERS, printable
from airflow_arazzo.plan.credentials import HEADERS

LONGEST_BODY = 1500
"""Characters of a body. Airflow shows no structure of a field above ``[core] max_templated_field_length``,
4096 characters."""

LONGEST_VALUE = 120
"""Characters of a header's value."""

MOST_HEADERS = 16
"""Headers whose values are shown."""

HARMLESS = frozenset(
    {
        "accept",
        "allow",
        "cache-control",
        "content-encoding",
        "content-language",
        "content-type",
        "date",
        "deprecation",
        "etag",
        "idempotency-key",
        "idempotent-replayed",
        "if-match",
        "if-none-match",
        "last-modified",
        "original-request",
        "prefer",
        "ratelimit",
        "ratelimit-limit",
        "ratelimit-policy",
        "ratelimit-remaining",
        "ratelimit-reset",
        "request-id",
        "retry-after",
        "server",
        "stripe-version",
        "sunset",
        "traceparent",
        "x-amzn-requestid",
        "x-correlation-id",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-request-id",
    }
)
"""Headers whose values are always shown, lower case. Of others only the names are."""

NEVER = CREDENTIAL_HEADERS | HEADERS
"""Headers whose values are not even shown where bodies are, lower case."""

UNSHOWN = "…"


class LastExchange:
    """The last request of a task, and its response.

    :ivar count: requests that were sent.
    """

    def __init__(self) -> None:
        self.count = 0
        self._command: Send | None = None
        self._response: Response | None = None
        self._came = ""
        self._bodies = False

    def sent(self, command: Send, *, bodies: bool) -> None:
        """A request is about to be sent.

        :param bodies: whether the connection asks for bodies in logs.
        """
        self.count += 1
        self._command, self._bodies = command, bodies
        self._response, self._came = None, "no response yet"

    def came(self, response: Response) -> None:
        """Its response has come."""
        self._response, self._came = response, ""

    def failed(self, error: TransportError) -> None:
        """No response has come."""
        self._response, self._came = None, str(error)

    def replayed(self, command: Send, response: Response, *, bodies: bool) -> None:
        """A stored response was read again in the place of a request."""
        self._command, self._bodies = command, bodies
        self._response, self._came = response, "read from the ledger; nothing was sent"

    def fields(self, safe: Callable[[str], str]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Request and response as JSON; None when there was none.

        :param safe: masks secrets in a text.
        """
        if self._command is None:
            return None, None
        step = self._command.step
        response = self._response
        # What is secret in a response is known only once the step's outputs are.
        secret = bool(step.secret_outputs)
        what: dict[str, Any] = {"note": safe(self._came)} if self._came else {}
        if response is not None:
            what |= {
                "status": response.status,
                "milliseconds": round(response.elapsed * 1000),
                "headers": _headers(response.headers, safe, all_values=self._bodies and not secret),
                "body": self._body(response.body, safe, secret=secret),
            }
        return self._request(self._command, safe), what

    def _request(self, command: Send, safe: Callable[[str], str]) -> dict[str, Any]:
        request = command.request
        path, mark, query = request.target.partition("?")
        asked = self._response.url.partition("?")[0] if self._response is not None else ""
        shown: dict[str, Any] = {"step": command.step.id}
        if self.count > 1:
            shown["note"] = f"the last of {self.count} requests"
        if command.visit > 1:
            shown["visit"] = command.visit
        shown["method"] = request.method
        shown["url"] = safe((asked or path) + mark + _names(query))
        shown["headers"] = _headers(request.headers, safe, all_values=self._bodies)
        if request.body is not None:
            shown["body"] = self._body(request.body, safe, secret=False)
        return shown

    def _body(self, body: bytes, safe: Callable[[str], str], *, secret: bool) -> str:
        if not body:
            return "empty"
        if secret:
            return f"{len(body)} bytes, not shown: it holds a credential"
        if not self._bodies:
            return f"{len(body)} bytes, not shown: the connection's extra 'log_bodies' is not set"
        try:
            return _short(safe(body.decode()), LONGEST_BODY)
        except UnicodeDecodeError:
            return f"{len(body)} bytes that are no text"


def _headers(
    headers: Iterable[tuple[str, str]], safe: Callable[[str], str], *, all_values: bool
) -> dict[str, str]:
    """Headers by name, of several with the same name the first; names of those that are not shown."""
    shown: dict[str, str] = {}
    others = []
    for name, value in headers:
        key = name.lower()
        visible = key in HARMLESS or (all_values and key not in NEVER)
        if visible and len(shown) < MOST_HEADERS:
            shown.setdefault(safe(name), _short(safe(value), LONGEST_VALUE))
        else:
            others.append(safe(name))
    if others:
        shown["(not shown)"] = _short(", ".join(dict.fromkeys(others)), 4 * LONGEST_VALUE)
    return shown


def _names(query: str) -> str:
    """A query with its values left out."""
    names = [unquote_plus(part.partition("=")[0]) for part in query.split("&") if part]
    return "&".join(f"{name}={UNSHOWN}" for name in names)


def _short(text: str, longest: int) -> str:
    shown = printable(text[:longest])
    return f"{shown}{UNSHOWN} ({len(text)} characters)" if len(text) > longest else shown
