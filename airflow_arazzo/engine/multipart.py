"""Multipart bodies, ``multipart/form-data`` (RFC 7578; OpenAPI 3.1.1, "Encoding multipart Media Types").

The boundary is derived from the parts, so equal payloads are equal bytes and a retried request has the same
fingerprint. An array is one part per item, all of one name; an object is a part of JSON. Bytes and the
properties that the operation declares to be binary are files, named after their property.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from airflow_arazzo.engine.media_type import json_text, json_value
from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.engine.serialize import check_header_value, scalar_text
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.media_type import is_json
from airflow_arazzo.plan.model import Body

Headers = Mapping[str, Mapping[str, str]]


class _Part(msgspec.Struct, frozen=True):
    """One part: its head without the boundary line, and its content."""

    head: bytes
    content: bytes


def encode_multipart(body: Body, value: Any, headers: Headers) -> tuple[str, bytes]:
    """Write an object as multipart/form-data.

    :param headers: additional headers of the parts, by property name.
    :return: the content type with its boundary, and the bytes.
    :raises RequestError: when the value is not an object, or a part cannot be written.
    """
    if not isinstance(value, dict):
        raise RequestError(
            "unsupported-body", "multipart is written from an object or from text that is already encoded"
        )
    parts = [
        _part(body, name, item, headers.get(name, {}))
        for name, items in value.items()
        for item in _listed(body, name, items)
    ]
    boundary = _boundary(parts)
    line = b"--" + boundary.encode()
    data = b"".join(line + b"\r\n" + part.head + b"\r\n" + part.content + b"\r\n" for part in parts)
    return f"multipart/form-data; boundary={boundary}", data + line + b"--\r\n"


def _listed(body: Body, name: str, value: Any) -> Iterator[Any]:
    """The values that become parts of one name; an array that is to be JSON stays whole."""
    encoding = body.encoding.get(name)
    whole = encoding is not None and is_json(encoding.content_type)
    if isinstance(value, list) and not whole:
        yield from (item for item in value if item is not ABSENT)
    elif value is not ABSENT:
        yield value


def _part(body: Body, name: str, value: Any, headers: Mapping[str, str]) -> _Part:
    """One part, typed as its encoding says, else by its value."""
    is_file = isinstance(value, bytes) or name in body.binary_properties
    encoding = body.encoding.get(name)
    content_type = encoding.content_type.partition(",")[0].strip() if encoding else ""
    if "*" in content_type:
        content_type = ""
    if not content_type and is_file:
        content_type = "application/octet-stream"
    elif not content_type and isinstance(value, dict | list):
        content_type = "application/json"
    disposition = f'form-data; name="{_quoted(name)}"'
    if is_file:
        disposition += f'; filename="{_quoted(name)}"'
    lines = [f"Content-Disposition: {disposition}"]
    if content_type:
        check_header_value("Content-Type", content_type)
        lines.append(f"Content-Type: {content_type}")
    for key, text in headers.items():
        if key.lower() != "content-type":
            check_header_value(key, text)
            lines.append(f"{key}: {text}")
    return _Part("".join(f"{line}\r\n" for line in lines).encode(), _content(name, value, content_type))


def _content(name: str, value: Any, content_type: str) -> bytes:
    what = f"part '{name}'"
    if isinstance(value, bytes):
        return value
    if is_json(content_type):
        return json_text(what, json_value(content_type, value)).encode()
    try:
        return scalar_text(what, value).encode()
    except UnicodeEncodeError:
        raise RequestError("unwritable-value", f"{what} has an unpaired surrogate") from None


def _boundary(parts: list[_Part]) -> str:
    """A boundary that is always the same for the same parts; as a hash of them it stands in none."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d %d " % (len(part.head), len(part.content)))
        digest.update(part.head)
        digest.update(part.content)
    return f"arazzo-{digest.hexdigest()[:32]}"


def _quoted(text: str) -> str:
    """A name inside quotes of Content-Disposition, as browsers write it (WHATWG, "multipart/form-data")."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
