"""Form bodies as Stripe reads them: ``a=1``, ``a[b]=1``, ``a[]=1``, ``a[0][b]=1``, then typed.

Of equal names the last counts. Lists are written with empty brackets or with numbers, which only give the
order. Reading happens in two steps: `decode` makes a tree of strings, `Object.read` gives it types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol
from urllib.parse import parse_qsl

from sandbox.stripe_wire import StripeError

Tree = dict[str, Any]
"""Names to strings or further trees; lists are trees whose names are numbers."""

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_MAX_DEPTH = 20


def decode(text: str) -> Tree:
    """Read ``name=value&…`` into a tree.

    :raises StripeError: 400, when percent-encoding or brackets are broken.
    """
    tree: Tree = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise StripeError("The body is not valid form data") from None
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None:
            raise StripeError(f"Invalid parameter name: {name}", param=name)
        parts = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(parts) > _MAX_DEPTH:
            raise StripeError("The parameters are nested too deeply", param=match[1])
        _insert(tree, parts, value, name)
    return tree


def _insert(tree: Tree, parts: list[str], value: str, name: str) -> None:
    for part in parts[:-1]:
        branch = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(branch, dict):
            raise StripeError(f"Invalid parameter: {name} is both a value and a hash", param=name)
        tree = branch
    last = parts[-1] or str(len(tree))
    if isinstance(tree.get(last), dict):
        raise StripeError(f"Invalid parameter: {name} is both a value and a hash", param=name)
    tree[last] = value


class Field(Protocol):
    """A type of parameter."""

    def read(self, value: Any, name: str) -> Any:
        """Give a decoded value its type.

        :param name: the parameter as written, such as ``metadata[a]``.
        :raises StripeError: 400, the value is not of this type.
        """


def _scalar(value: Any, name: str, kind: str) -> str:
    if not isinstance(value, str):
        raise StripeError(f"Invalid {kind}: {name} must be a single value", param=name)
    return value


def _empty(name: str) -> StripeError:
    return StripeError(
        f"You passed an empty string for '{name}', which cannot be unset. Leave it out or give it a value.",
        code="parameter_invalid_empty",
        param=name,
    )


@dataclass(frozen=True)
class Text:
    """A string.

    :param longest: greatest number of characters.
    :param choices: the only values, if not empty.
    :param unset: an empty string is allowed and read as None.
    """

    longest: int = 5000
    choices: tuple[str, ...] = ()
    unset: bool = False

    def read(self, value: Any, name: str) -> str | None:
        """Return the string, or None for an empty one that unsets."""
        text = _scalar(value, name, "string")
        if text == "":
            if self.unset:
                return None
            raise _empty(name)
        if self.choices and text not in self.choices:
            raise StripeError(f"Invalid {name}: must be one of {', '.join(self.choices)}", param=name)
        if len(text) > self.longest:
            raise StripeError(
                f"Invalid string: {name} has {len(text)} characters, more than {self.longest}", param=name
            )
        return text


@dataclass(frozen=True)
class Currency:
    """Three letters, in either case; read in lower case."""

    def read(self, value: Any, name: str) -> str:
        """Return the currency in lower case."""
        text = _scalar(value, name, "currency")
        if text == "":
            raise _empty(name)
        if not re.fullmatch(r"[A-Za-z]{3}", text):
            raise StripeError(f"Invalid currency: {text}", param=name)
        return text.lower()


@dataclass(frozen=True)
class Integer:
    """A whole number, also a time in Unix seconds.

    :param smallest: least value, if any.
    """

    unset: bool = False
    smallest: int | None = None
    largest: int | None = None

    def read(self, value: Any, name: str) -> int | None:
        """Return the number, or None for an empty string that unsets."""
        text = _scalar(value, name, "integer")
        if text == "":
            if self.unset:
                return None
            raise _empty(name)
        if not _INTEGER.fullmatch(text):
            raise StripeError(f"Invalid integer: {text}", code="parameter_invalid_integer", param=name)
        number = int(text)
        if (self.smallest is not None and number < self.smallest) or (
            self.largest is not None and number > self.largest
        ):
            raise StripeError(f"Invalid integer: {name} is out of range", param=name)
        return number


@dataclass(frozen=True)
class Boolean:
    """``true`` or ``false``, in lower case only."""

    def read(self, value: Any, name: str) -> bool:
        """Return the truth value."""
        text = _scalar(value, name, "boolean")
        if text == "":
            raise _empty(name)
        if text not in ("true", "false"):
            raise StripeError(f"Invalid boolean: {text}", param=name)
        return text == "true"


@dataclass(frozen=True)
class DecimalText:
    """A decimal number with at most 12 places."""

    def read(self, value: Any, name: str) -> Decimal:
        """Return the exact number."""
        text = _scalar(value, name, "decimal")
        if text == "":
            raise _empty(name)
        if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,12})?", text):
            raise StripeError(f"Invalid decimal: {text}", param=name)
        try:
            return Decimal(text)
        except InvalidOperation:  # pragma: no cover - the pattern admits only decimals
            raise StripeError(f"Invalid decimal: {text}", param=name) from None


@dataclass(frozen=True)
class Metadata:
    """Up to 50 names of 40 characters with values of 500; an empty value removes a name.

    Read as a dict whose removed names have None, or as None when everything is unset.
    """

    def read(self, value: Any, name: str) -> dict[str, str | None] | None:
        """Return the changes of the metadata."""
        if value == "":
            return None
        if not isinstance(value, dict):
            raise StripeError(f"Invalid hash: {name} must be a hash", param=name)
        if len(value) > 50:
            raise StripeError(f"Invalid {name}: more than 50 keys", param=name)
        for key, entry in value.items():
            if not isinstance(entry, str):
                raise StripeError(f"Invalid {name}: values must be strings", param=f"{name}[{key}]")
            if len(key) > 40 or len(entry) > 500:
                raise StripeError(f"Invalid {name}: key or value is too long", param=f"{name}[{key}]")
        return {key: entry or None for key, entry in value.items()}


@dataclass(frozen=True)
class ListOf:
    """A list of values of one type."""

    item: Field
    unset: bool = False

    def read(self, value: Any, name: str) -> list[Any] | None:
        """Return the items in the order of their numbers, or None when unset."""
        if value == "" and self.unset:
            return None
        if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
            raise StripeError("Invalid array", param=name)
        return [self.item.read(value[key], f"{name}[{key}]") for key in sorted(value, key=int)]


@dataclass(frozen=True)
class Hash:
    """A hash whose inside is stored as it comes, for parts of requests that have no meaning here."""

    unset: bool = False

    def read(self, value: Any, name: str) -> Tree | None:
        """Return the strings as they are, or None when unset."""
        if value == "" and self.unset:
            return None
        if not isinstance(value, dict):
            raise StripeError(f"Invalid hash: {name} must be a hash", param=name)
        return value


@dataclass(frozen=True)
class Object:
    """A hash with known names; also the parameters of a whole request."""

    fields: Mapping[str, Field]
    required: tuple[str, ...] = ()
    unset: bool = False

    def read(self, value: Any, name: str = "") -> dict[str, Any] | None:
        """Return the typed values of the names that are present, or None when unset."""
        if value == "" and self.unset:
            return None
        if not isinstance(value, dict):
            raise StripeError(f"Invalid hash: {name} must be a hash", param=name)
        for key in value:
            if key not in self.fields:
                raise StripeError(
                    f"Received unknown parameter: {_written(name, key)}",
                    code="parameter_unknown",
                    param=_written(name, key),
                )
        for key in self.required:
            if key not in value:
                raise StripeError(
                    f"Missing required param: {_written(name, key)}.",
                    code="parameter_missing",
                    param=_written(name, key),
                )
        return {key: self.fields[key].read(entry, _written(name, key)) for key, entry in value.items()}


def _written(parent: str, key: str) -> str:
    return f"{parent}[{key}]" if parent else key
