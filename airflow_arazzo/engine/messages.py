"""What passes between machine and transport: requests, responses, and failures to exchange them."""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_arazzo.plan.model import SchemeUse, Server


class Request(msgspec.Struct, frozen=True):
    """A request as the machine wants it sent, before credentials and host.

    :param source: name of the source description whose connection applies.
    :param method: upper case.
    :param target: encoded path and query, starting with ``/``, relative to the base URL.
    :param servers: servers of the description, used where the connection names no host.
    :param headers: in order, without credentials, ``Host``, ``User-Agent`` and ``Content-Length``.
    :param body: bytes to send, or ``None`` for no body at all.
    :param security: alternatives of scheme combinations that the operation asks for.
    :param credentials: schemes that the document sends by itself, on top of ``security``.
    :param timeout: seconds for the whole exchange, or ``None`` for the connection's or the default.
    :param left: seconds that are left to the workflow around it, at most; ``None`` for no bound.
    :param parameters: values sent, by place and name, for ``$request.query.x`` and its kin. Header names
        are lower case.
    :param payload: the body's value before encoding, for ``$request.body``; ``ABSENT`` without a body.
    """

    source: str
    method: str
    target: str
    servers: tuple[Server, ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    security: tuple[tuple[SchemeUse, ...], ...] = ()
    credentials: tuple[str, ...] = ()
    timeout: float | None = None
    left: float | None = None
    parameters: dict[tuple[str, str], Any] = {}
    payload: Any = None

    def seconds(self, usual: float) -> float:
        """How long the exchange may take.

        :param usual: seconds where the request does not say.
        """
        allowed = self.timeout or usual
        return allowed if self.left is None else min(allowed, self.left)


class Response(msgspec.Struct, frozen=True):
    """A complete response.

    :param url: the URL that was asked, without credentials in its query.
    :param headers: in order of arrival, names as received.
    :param body: decoded from any transfer and content coding.
    :param elapsed: seconds from sending to the last byte.
    :param key: under which the ledger has the effect, where the response does not tell whether there was one.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    url: str = ""
    elapsed: float = 0.0
    key: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        wanted = name.casefold()
        return next((value for key, value in self.headers if key.casefold() == wanted), None)


class TransportError(Exception):
    """No response. The subclasses say what is known of the request's fate.

    :ivar key: under which the ledger has the effect, where it was asked about it.
    :ivar url: the URL that was to be asked, without credentials, where it came that far.
    """

    key = ""
    url = ""


class NotSent(TransportError):
    """The request certainly had no effect: refused connection, unknown host, failed TLS handshake."""


class OutcomeUnknown(TransportError):
    """The request may have had an effect: time-out, reset, truncated or oversized response.

    :param status: the status, where at least the head of the response arrived: a 2xx is an effect even
        though its body cannot be read.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RequestError(Exception):
    """A request that cannot be built from its values; raised before anything is sent.

    :param code: stable kebab-case name of the rule, for example ``empty-path-parameter``.
    :param message: what is wrong, naming parameter or property, never a credential.
    :param hint: what to do about it, or an empty string.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        self.code = code
        self.message = message
        self.hint = hint
        super().__init__(f"{message} ({hint})" if hint else message)
