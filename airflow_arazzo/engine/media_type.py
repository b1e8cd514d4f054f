"""Media types, and the JSON texts that stand for values of them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.expression.jsonvalue import decode_json, encode_json
from airflow_arazzo.plan.media_type import essence, is_json

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON_LINES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
"""Media types of one JSON text a line."""

_NOT_ASCII = re.compile(r"[^\x00-\x7e]")


@lru_cache(maxsize=256)
def parameter(content_type: str, name: str) -> str:
    """A parameter of a media type, such as its ``charset``, or empty (RFC 9110, section 8.3.1)."""
    pattern = rf';\s*{re.escape(name)}\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))'
    match = re.search(pattern, content_type, re.IGNORECASE)
    if match is None:
        return ""
    return match[2] or re.sub(r"\\(.)", r"\1", match[1] or "")


def is_xml(content_type: str) -> bool:
    """Whether a media type is XML, by name or by suffix (RFC 7303)."""
    return essence(content_type).endswith(("/xml", "+xml"))


def json_value(content_type: str, value: Any) -> Any:
    """The value that a text stands for where the media type is JSON.

    An expression can evaluate to text that is itself a JSON object or array, for example an input of type
    string. To send it as a JSON string is never what its author means: it is read. Other text stays text.
    """
    if not isinstance(value, str) or not is_json(content_type) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return decode_json(value)
    except ValueError:
        return value


def json_text(what: str, value: Any) -> str:
    """A value as compact JSON.

    :param what: names the place in the error, such as ``query parameter 'filter'``.
    :raises RequestError: for NaN, an infinity, an unpaired surrogate, or a value that JSON does not have.
    """
    try:
        return encode_json(value).decode()
    except (ValueError, TypeError) as error:
        raise RequestError("unwritable-value", f"{what} cannot be written as JSON: {error}") from None


def ascii_json(text: str) -> str:
    """JSON with everything beyond printable ASCII escaped; such characters only stand inside its strings."""

    def escape(match: re.Match[str]) -> str:
        units = match[0].encode("utf-16-be")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))

    return _NOT_ASCII.sub(escape, text)
