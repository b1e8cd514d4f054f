"""Form bodies, ``application/x-www-form-urlencoded`` (OpenAPI 3.1.1, "Encoding the x-www-form-urlencoded
Media Type"; the bracket notation that PHP, Rails, Stripe and others read for what OpenAPI leaves open).

Fields come in declared order, spaces become ``+``, null is an empty field, empty arrays and objects have no
fields. Brackets stand literally in names, whether written here or by the document. Without an Encoding
Object a plain value in an array repeats the name, an object nests as ``a[b]=c`` and an array that holds
objects or arrays as ``a[0][b]=c``. ``deepObject`` writes every array below it with indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from airflow_arazzo.engine.media_type import json_text, json_value
from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.engine.serialize import deep_leaves, delimited, scalar_text
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.media_type import is_json
from airflow_arazzo.plan.model import Encoding

_RESERVED = ":/?@!$'()*,;"
_NO_ENCODING = Encoding()


def encode_form(value: Any, encoding: Mapping[str, Encoding]) -> str:
    """Write an object as a form.

    :param encoding: Encoding Objects by property name.
    :raises RequestError: when the value is not an object, or a property cannot be written.
    """
    if not isinstance(value, dict):
        raise RequestError(
            "unsupported-body", "a form is written from an object or from text that is already encoded"
        )
    fields: list[str] = []
    for name, item in value.items():
        if item is not ABSENT:
            fields.extend(_property(name, item, encoding.get(name, _NO_ENCODING)))
    return "&".join(fields)


def _property(name: str, value: Any, encoding: Encoding) -> Iterator[str]:
    """The fields of one property."""
    keep = _RESERVED if encoding.allow_reserved else ""
    if not encoding.style and is_json(encoding.content_type):
        text = json_text(f"form field '{name}'", json_value(encoding.content_type, value))
        yield _field(name, text, keep)
    elif isinstance(value, list | dict) and value and _is_styled(encoding):
        yield from _styled(name, value, encoding, keep)
    else:
        for key, leaf in _leaves(name, value):
            yield _field(key, scalar_text(f"form field '{key}'", leaf), keep)


def _is_styled(encoding: Encoding) -> bool:
    return bool(encoding.style) or encoding.explode is not None


def _styled(name: str, value: Any, encoding: Encoding, keep: str) -> Iterator[str]:
    """An array or object as ``style`` and ``explode`` say; ``form`` is the default of ``style``."""
    what = f"form field '{name}'"
    if encoding.style == "deepObject":
        for key, leaf in deep_leaves(name, value):
            yield _field(key, scalar_text(what, leaf), keep)
        return
    style = encoding.style or "form"
    explode = encoding.explode if encoding.explode is not None else style == "form"
    if not explode:
        yield f"{_encode(name, '[]')}=" + delimited(what, value, style, lambda text: _encode(text, keep))
        return
    members = value.items() if isinstance(value, dict) else ((name, item) for item in value)
    for key, item in members:
        yield _field(key, scalar_text(what, item), keep)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Plain values with their names, where no style is given."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{name}[{key}]", item)
    elif isinstance(value, list):
        nested = any(isinstance(item, list | dict) for item in value)
        for index, item in enumerate(value):
            yield from _leaves(f"{name}[{index}]" if nested else name, item)
    elif value is not ABSENT:
        yield name, value


def _field(name: str, text: str, keep: str) -> str:
    return f"{_encode(name, '[]')}={_encode(text, keep)}"


def _encode(text: str, keep: str) -> str:
    try:
        return quote_plus(text, safe=keep)
    except UnicodeEncodeError:
        raise RequestError("unwritable-value", "a form field has an unpaired surrogate") from None
