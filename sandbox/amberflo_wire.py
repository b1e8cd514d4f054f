"""Amberflo on the wire: its key, its JSON bodies, its error answers."""

from __future__ import annotations

import hmac
from typing import Any

from sandbox import exact_json
from sandbox.fields import Check
from sandbox.ledger import RequestRecord
from sandbox.reply import Reply

_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "TOO_MANY_REQUESTS",
}


class AmberfloError(Exception):
    """A refusal, before any effect.

    :param status: HTTP status.
    :param message: a sentence for a person.
    """

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.reply = error_reply(status, message, code)


def error_reply(status: int, message: str, code: str | None = None) -> Reply:
    """Return an answer in the shape that Amberflo gives its errors."""
    return Reply.json({"message": message, "code": code or _CODES.get(status, "INTERNAL_ERROR")}, status)


def check_key(record: RequestRecord, key: str) -> None:
    """Accept exactly one ``X-API-KEY`` header with the account's key.

    :raises AmberfloError: 401.
    """
    given = record.headers_named("x-api-key")
    if len(given) != 1 or not hmac.compare_digest(given[0].encode("latin-1"), key.encode()):
        raise AmberfloError(401, "The X-API-KEY header has no valid key")


def read_body(record: RequestRecord) -> Any:
    """Decode the JSON body of a request.

    :raises AmberfloError: 415 for another content type, 400 for a body that is not JSON.
    """
    content_type = (record.header("content-type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise AmberfloError(415, "The Content-Type must be application/json")
    try:
        return exact_json.loads(record.body or b"")
    except ValueError as error:
        raise AmberfloError(400, f"The body is not JSON: {error}") from None


def require(check: Check, value: Any, name: str = "body") -> None:
    """Apply a check to a value.

    :raises AmberfloError: 400 with the check's own words.
    """
    try:
        check(value, name)
    except ValueError as error:
        raise AmberfloError(400, str(error)) from None
