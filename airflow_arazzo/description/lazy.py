"""Objects of large JSON documents whose members are read when they are asked for.

An API description of many megabytes offers a thousand operations, and a workflow calls three of them. Here
the file is checked as JSON from end to end, but only what is asked for becomes Python values: the lists of
paths, operations and components say where each of their members is written, and no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import Any, NoReturn

import msgspec

Span = tuple[int, int]
"""Offsets in bytes of the first byte of a value and behind its last."""

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY = re.compile(rb'[ \t\n\r]*,?[ \t\n\r]*"((?:[^"\\]|\\.)*)"[ \t\n\r]*:[ \t\n\r]*')


class Irregular(ValueError):
    """An object that has to be read the slow way, which says what is wrong with it."""


class _Unread:
    """Stands for a value that nobody has asked for. No encoder takes it for a value."""

    __slots__ = ("span",)

    def __init__(self, span: Span) -> None:
        self.span = span


class LazyObject(dict[str, Any]):
    """A dict whose values are made when they are first asked for, whichever way one asks.

    It is for reading only: what changes documents makes a copy first.

    :param data: the document.
    :param spans: where in it the value of each key is written.
    :param read: makes the value of a key from its place.
    """

    def __init__(self, data: bytes, spans: Mapping[str, Span], read: Callable[[str, Span], Any]) -> None:
        super().__init__({key: _Unread(span) for key, span in spans.items()})
        self._data, self._read = data, read

    def unread(self, key: str) -> bytes | None:
        """The JSON text of a value that nobody has asked for yet; None for others."""
        value = super().__getitem__(key)
        return self._data[slice(*value.span)] if isinstance(value, _Unread) else None

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, _Unread):
            value = self._read(key, value.span)
            super().__setitem__(key, value)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """As of any dict."""
        return self[key] if key in self else default  # noqa: SIM401

    def __iter__(self) -> Iterator[str]:
        # Being here, it keeps `dict(…)` and `{**…}` from copying what is stored.
        return super().__iter__()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """As of any dict."""
        return ItemsView(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """As of any dict."""
        return ValuesView(self)

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def copy(self) -> dict[str, Any]:
        """As of any dict."""
        return dict(self)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this object of a document cannot be changed")

    __setitem__ = __delitem__ = __ior__ = pop = popitem = clear = update = setdefault = _refuse


def members(data: bytes, span: Span) -> dict[str, Span]:
    """Where the values of an object's members are written.

    :param span: of the object.
    :raises Irregular: when it is no valid JSON object, or has a key twice.
    """
    try:
        found = _MEMBERS.decode(memoryview(data)[span[0] : span[1]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Irregular(str(error)) from None
    spans: dict[str, Span] = {}
    at = data.index(b"{", *span) + 1
    for key, value in found.items():
        match = _KEY.match(data, at)
        if match is None or _text(match[1]) != key:
            raise Irregular(f"{key!r} does not come next")  # a key that is there twice keeps its first place
        at = match.end() + len(memoryview(value))
        spans[key] = match.end(), at
    if data[at : span[1]].strip(b" \t\n\r") != b"}":
        raise Irregular("there are more keys")
    return spans


def _text(key: bytes) -> str:
    return str(json.loads(b'"' + key + b'"')) if b"\\" in key else key.decode()
