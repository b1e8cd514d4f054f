"""JSON values as text: numbers keep the digits they came with and are never written with an exponent.

A JSON value is ``None``, ``bool``, ``int``, ``Decimal``, ``str``, ``list`` or ``dict``. A ``float`` is
written but never produced.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

LARGEST_EXPONENT = 5000
"""Numbers beyond ten to this power, either way, are not written: their digits could fill the memory."""

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_BOM = b"\xef\xbb\xbf"


def decode_json(data: bytes | str) -> Any:
    """Read a JSON text. Numbers with a fraction or an exponent become ``Decimal``, others ``int``.

    :raises ValueError: when the text is not JSON (a byte order mark is tolerated) or is nested too deeply.
    """
    if isinstance(data, bytes):
        data = data.removeprefix(_BOM)
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except ArithmeticError:
        raise ValueError("a number in the JSON has too large an exponent") from None


def encode_json(value: Any) -> bytes:
    """Write a JSON value: compact, UTF-8, members in their order.

    :raises ValueError: for NaN, an infinity, a number beyond :data:`LARGEST_EXPONENT`, an unpaired
        surrogate, or a value nested too deeply.
    :raises TypeError: for a value that JSON does not have, ``ABSENT`` included.
    """
    try:
        return _encoder.encode(value if _is_writable(value) else _writable(value))
    except RecursionError:
        raise ValueError("the value is nested too deeply to be JSON") from None


def to_text(value: Any) -> str:
    """The text of a value inside other text (Arazzo 1.1, "Runtime Expressions").

    Text stays as it is, numbers are written without exponent, ``true``, ``false`` and ``null`` as JSON
    has them, objects and arrays as compact JSON.

    :raises ValueError: as :func:`encode_json`.
    :raises TypeError: as :func:`encode_json`.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return plain_number(value)
    return encode_json(value).decode()


def plain_number(number: Decimal) -> str:
    """A number with all its digits and without an exponent.

    :raises ValueError: for NaN, an infinity, and beyond :data:`LARGEST_EXPONENT`.

    >>> plain_number(Decimal("1E+3")), plain_number(Decimal("10.10"))
    ('1000', '10.10')
    """
    if not number.is_finite():
        raise ValueError(f"{number} is not a number that JSON can carry")
    text = str(number)
    if "E" not in text:
        return text
    if abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError(f"{number} is too far from one to be written without an exponent")
    return format(number, "f")


_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
_SMALL, _LARGE = 1e-3, 1e15
"""Between these the encoder writes floats as ``repr`` does, without an exponent."""


def _is_writable(value: Any) -> bool:
    """Whether the encoder writes all of a value as it should be: quicker to see than to make a copy."""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is Decimal:
        return bool(value.is_finite()) and "E" not in str(value)
    elif kind is float:
        return bool(value == 0 or _SMALL < abs(value) < _LARGE)
    elif kind is not list:
        return kind in _AS_THEY_ARE
    for item in value:  # noqa: SIM110 - a generator takes longer than to look
        if type(item) not in _AS_THEY_ARE and not _is_writable(item):
            return False
    return True


def _writable(value: Any) -> Any:
    """The value, with numbers that the encoder would write otherwise replaced by their text."""
    if isinstance(value, Decimal):
        text = plain_number(value)
        return msgspec.Raw(text.encode())
    if isinstance(value, float):
        return msgspec.Raw(plain_number(Decimal(repr(value))).encode())
    if isinstance(value, dict):
        return {key: _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    return value
