"""Bodies of requests and responses as values that people read, write and compare."""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from typing import Any

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.redact import MASK
from airflow_arazzo.engine.response import read_body
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.media_type import essence, is_json


def value_of(content_type: str, data: bytes | None) -> Any:
    """The value of a body, as the engine reads bodies of responses; ``ABSENT`` without one."""
    if not data:
        return ABSENT
    headers = (("Content-Type", content_type),) if content_type else ()
    return read_body(Response(200, headers, data))[0]


def declared_body(body: Any) -> tuple[bytes, str]:
    """The bytes of a body that is declared as a value, and their media type.

    Texts are sent as they are, ``{"base64": "…"}`` as the bytes that it stands for, all else as JSON.

    :raises ValueError: for what is no JSON and for what is not in base64.
    :raises TypeError: for what is no JSON.
    """
    if body is ABSENT:
        return b"", ""
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    if isinstance(body, dict) and list(body) == ["base64"] and isinstance(body["base64"], str):
        return base64.b64decode(body["base64"], validate=True), "application/octet-stream"
    return encode_json(body), "application/json"


def written_body(content_type: str, data: bytes) -> Any:
    """A body as a value that :func:`declared_body` gives back: the same value when it is read again."""
    if is_json(content_type) or not essence(content_type):
        value = value_of(content_type, data)
        if isinstance(value, dict) and list(value) == ["base64"]:
            return data.decode()
        if not isinstance(value, str | bytes) and value is not ABSENT:
            return value
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {"base64": base64.b64encode(data).decode()} if "\0" in text else text


def difference(expected: Any, found: Any, at: str = "") -> str:
    """Where two values differ first and how, or an empty text. ``***`` stands for any part of a text.

    :param at: JSON Pointer of the values.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        if any(MASK in name for name in expected):
            return ""
        for name in [*expected, *(name for name in found if name not in expected)]:
            inner = difference(expected.get(name, ABSENT), found.get(name, ABSENT), f"{at}/{name}")
            if inner:
                return inner
        return ""
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return next(filter(None, (difference(e, f, f"{at}/{i}") for i, (e, f) in pairs)), "")
    if _same(expected, found):
        return ""
    return f"{at or 'the body'}: expected {_shown(expected)}, found {_shown(found)}"


def matches(expected: str, found: str) -> bool:
    """Whether a text is the expected one, in which ``***`` stands for any part."""
    if MASK not in expected:
        return expected == found
    pattern = ".*".join(re.escape(part) for part in expected.split(MASK))
    return re.fullmatch(pattern, found, re.DOTALL) is not None


def _same(expected: Any, found: Any) -> bool:
    if expected == MASK:
        return found is not ABSENT
    if isinstance(expected, str) and isinstance(found, str):
        return matches(expected, found)
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, int | Decimal | float) and isinstance(found, int | Decimal):
        return found == (Decimal(repr(expected)) if isinstance(expected, float) else expected)
    return type(expected) is type(found) and bool(expected == found)


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = encode_json(value).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"
