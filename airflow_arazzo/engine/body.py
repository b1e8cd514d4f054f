"""Request bodies as bytes, by media type (OpenAPI 3.1.1, "Media Type Object" and "Encoding Object").

=====================================  ==========================================================
``application/json``, ``+json``        compact JSON in document order, UTF-8
``application/x-www-form-urlencoded``  see :mod:`airflow_arazzo.engine.form`
``multipart/form-data``                see :mod:`airflow_arazzo.engine.multipart`
``application/x-ndjson``, ``jsonl``    an array, one JSON text a line
``text/*``, XML                        text in the ``charset`` of the media type, UTF-8 without one
anything else                          bytes as they are, or text in UTF-8
=====================================  ==========================================================

Text given for a form or a multipart body is taken as already encoded and sent as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_arazzo.engine.form import encode_form
from airflow_arazzo.engine.media_type import FORM, JSON_LINES, MULTIPART, json_text, parameter
from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.engine.multipart import encode_multipart
from airflow_arazzo.expression.jsonvalue import to_text
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.media_type import essence, is_json
from airflow_arazzo.plan.model import Body

_ANY = frozenset({"", "*/*", "application/*"})


def encode_body(
    body: Body, value: Any, part_headers: Mapping[str, Mapping[str, str]] | None = None
) -> tuple[str, bytes]:
    """Encode a payload.

    :param value: the evaluated payload, replacements applied.
    :param part_headers: for multipart, additional headers by property name.
    :return: the value of the ``Content-Type`` header, and the bytes. It is as the body names it, except
        that multipart gains its boundary and that a wildcard becomes ``application/json``.
    :raises RequestError: for a value that the media type cannot carry.
    """
    media_type = essence(body.content_type)
    if value is ABSENT:
        raise RequestError(
            "absent-body", f"the {media_type or 'request'} body is absent", "its expression names nothing"
        )
    if isinstance(value, bytes) and media_type != MULTIPART:
        return body.content_type or "application/octet-stream", value
    if media_type in _ANY:
        return "application/json", _json(value)
    if is_json(body.content_type):
        return body.content_type, _json(value)
    if media_type in JSON_LINES and isinstance(value, list):
        return body.content_type, b"".join(_json(item) + b"\n" for item in value)
    if media_type == FORM:
        text = value if isinstance(value, str) else encode_form(value, body.encoding)
        return body.content_type, _encoded(text, "utf-8")
    if media_type == MULTIPART and not isinstance(value, str):
        return encode_multipart(body, value, part_headers or {})
    if media_type.startswith("multipart/") and not parameter(body.content_type, "boundary"):
        raise RequestError(
            "unsupported-body",
            f"a body of type '{media_type}' needs an object, or text with its boundary in the content type",
            "only multipart/form-data is written from an object",
        )
    return body.content_type, _text(body.content_type, media_type, value)


def _json(value: Any) -> bytes:
    return json_text("the body", value).encode()


def _text(content_type: str, media_type: str, value: Any) -> bytes:
    """Plain values as text in the charset of the media type."""
    if isinstance(value, list | dict) or value is None:
        kind = "null" if value is None else "an array" if isinstance(value, list) else "an object"
        raise RequestError(
            "unsupported-body",
            f"the payload is {kind}, which cannot be written as '{media_type}'",
            "give the payload as text; objects are written as JSON, form or multipart",
        )
    try:
        text = to_text(value)
    except (ValueError, TypeError) as error:
        raise RequestError("unwritable-value", f"the body cannot be written: {error}") from None
    return _encoded(text, parameter(content_type, "charset") or "utf-8")


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except LookupError:
        raise RequestError("unknown-charset", f"the body's charset '{encoding}' is not known") from None
    except UnicodeEncodeError:
        raise RequestError(
            "unwritable-value", f"the body has characters that the charset '{encoding}' does not have"
        ) from None
