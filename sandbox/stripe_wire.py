"""Stripe on the wire: its key, its error answers, its identifiers."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import string

from sandbox.ledger import RequestRecord
from sandbox.reply import Reply

_LETTERS = string.ascii_letters + string.digits


class StripeError(Exception):
    """A refusal.

    :param status: HTTP status.
    :param code: Stripe's short code; many refusals have none.
    :param param: name of the parameter at fault, as it was written in the request.
    :param executed: the operation had begun, so the answer is kept under the idempotency key. Wrong
        parameters are refused before that.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",
        executed: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        error = {"type": type, "code": code, "param": param, "message": message}
        body = {"error": {name: value for name, value in error.items() if value is not None}}
        base = Reply.json(body, status)
        self.reply = Reply(base.status, base.body, headers or {})
        self.executed = executed


def error_reply(status: int, message: str) -> Reply:
    """Return an answer in the shape that Stripe gives its errors, of the type that fits the status."""
    kind = "api_error" if status >= 500 else "invalid_request_error"
    extra = {"code": "rate_limit"} if status == 429 else {}
    return Reply.json({"error": {"type": kind, **extra, "message": message}}, status)


def missing(kind: str, object_id: str, param: str, *, in_path: bool = False) -> StripeError:
    """Return the refusal for an object that does not exist: 404 for the object of the path, else 400."""
    return StripeError(
        f"No such {kind}: '{object_id}'",
        status=404 if in_path else 400,
        code="resource_missing",
        param=param,
        executed=True,
    )


def check_key(record: RequestRecord, key: str) -> None:
    """Accept one ``Authorization`` header, with the key as bearer token or as Basic user name.

    :raises StripeError: 401.
    """
    given = record.headers_named("authorization")
    if len(given) != 1:
        message = "You did not provide an API key in one Authorization header"
    elif _matches(given[0], key):
        return
    else:
        message = "Invalid API key provided"
    raise StripeError(message, status=401, headers={"WWW-Authenticate": 'Basic realm="Stripe"'})


def _matches(header: str, key: str) -> bool:
    scheme, _, credentials = header.partition(" ")
    given = credentials.strip()
    if scheme.lower() == "basic":
        try:
            user, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        if not colon or password:
            return False
        given = user
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), key.encode())


def object_id(prefix: str) -> str:
    """Return a fresh identifier such as ``cus_…``."""
    return f"{prefix}_{''.join(secrets.choice(_LETTERS) for _ in range(14))}"


def request_id() -> str:
    """Return a fresh value for the ``Request-Id`` header."""
    return f"req_{secrets.token_hex(7)}"
