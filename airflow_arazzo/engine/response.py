"""The body of a response as a value.

=============================  =================================================================
JSON, ``+json``, no type       the value; text, with a warning, when it is not JSON
``ndjson`` and its kin         an array of the values of its lines; as JSON when one is none
``text/*``, XML                text, in the charset named, in UTF-8 without one
form                           an object of texts; an array of texts where a name is repeated
anything else                  text when it is UTF-8 without null characters, else ``bytes``
=============================  =================================================================

An empty body is ``ABSENT``, and so is one of a status that has none. Text that is not in the charset it
claims is read as Latin-1, with a warning. ``bytes`` are for a later body in the same run of the machine:
stored as JSON, in a state or an XCom, they are base64 text.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from airflow_arazzo.engine.media_type import FORM, JSON_LINES, is_xml, parameter
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.expression.jsonvalue import decode_json
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.media_type import essence, is_json

_WITHOUT_BODY = frozenset({204, 205, 304})
_XML_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def read_body(response: Response) -> tuple[Any, str | None]:
    """Read the body of a response.

    :return: the value, ``ABSENT`` without a body, and a warning when it is not what its type claims. The
        warning shows nothing of the body.
    """
    content_type = response.header("Content-Type") or ""
    data = response.body
    if not data or response.status in _WITHOUT_BODY:
        return ABSENT, None
    media_type = essence(content_type)
    if is_json(media_type) or not media_type:
        return _json(data, content_type)
    if media_type in JSON_LINES:
        return _json_lines(data, content_type)
    if media_type == FORM:
        return _form(data)
    if media_type.startswith("text/") or is_xml(media_type):
        return _text(data, content_type)
    if b"\0" not in data:
        try:
            return data.decode(), None
        except UnicodeDecodeError:
            pass
    return data, None


def _json(data: bytes, content_type: str) -> tuple[Any, str | None]:
    """JSON; without a content type it is not worth a warning when it is something else."""
    if not data.strip():
        return ABSENT, None
    try:
        charset = parameter(content_type, "charset").lower()
        if charset in ("", "utf-8", "utf8"):
            return decode_json(data), None
        return decode_json(_text(data, content_type)[0]), None
    except ValueError:
        text, _ = _text(data, content_type)
        warning = "the response says that it is JSON and is not; its body is taken as text"
        return text, warning if content_type else None


def _json_lines(data: bytes, content_type: str) -> tuple[Any, str | None]:
    try:
        return [decode_json(line) for line in data.splitlines() if line.strip()], None
    except ValueError:
        return _text(data, content_type)[0], "a line of the response is not JSON; its body is taken as text"


def _form(data: bytes) -> tuple[Any, str | None]:
    text, warning = _text(data, "")
    fields: dict[str, Any] = {}
    for name, value in parse_qsl(text.strip(), keep_blank_values=True):
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields, warning


def _text(data: bytes, content_type: str) -> tuple[str, str | None]:
    """Text in the charset that the media type names, or an XML declaration, else UTF-8."""
    charset = parameter(content_type, "charset")
    if not charset and is_xml(content_type) and (declared := _XML_ENCODING.match(data)):
        charset = declared[1].decode()
    if charset.lower() in ("", "utf-8", "utf8"):
        charset = "utf-8-sig"
    try:
        return data.decode(charset), None
    except (UnicodeDecodeError, LookupError):
        named = "UTF-8" if charset == "utf-8-sig" else charset
        return data.decode("latin-1"), f"the response is not in the charset '{named}'; it is read as Latin-1"
