"""Access to the fields of an object in a document, with checks that report where something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.description.documents import Location, Report

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?\Z")


def type_name(value: Any) -> str:
    """The JSON name of a value's type, with an article, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | Decimal):
        return "a number"
    names: dict[type, str] = {str: "a text", list: "an array", dict: "an object"}
    return names.get(type(value), type(value).__name__)


@dataclass(frozen=True)
class Fields:
    """The fields of one object. Every accessor reports a wrong type and returns an empty value for it.

    :param kind: what the object is, with an article, for messages.
    """

    at: Location
    kind: str
    report: Report

    @classmethod
    def of(cls, at: Location, kind: str, names: Iterable[str], report: Report) -> Fields | None:
        """The fields of the object at a location; None (reported) where there is none.

        Fields that are not in ``names``, and no extension (``x-``), are notes.
        """
        if not isinstance(at.value, dict):
            report.error("wrong-type", f"expected {kind} as an object, found {type_name(at.value)}", at)
            return None
        known = frozenset(names)
        for name, member in at.members():
            if name not in known and not name.startswith(("x-", "$schema")):
                hint = did_you_mean(name, known)
                message = f"{kind} has no field {name!r}; it is ignored"
                report.note("unknown-field", message, member, hint if "mean" in hint else "", key=True)
        return cls(at, kind, report)

    def __contains__(self, name: str) -> bool:
        return self.at.value.get(name) is not None

    def _value(self, name: str, required: bool) -> Location | None:
        member = self.at.get(name)
        if member is not None and member.value is None:
            self.report.note(
                "empty-field", f"{name!r} of {self.kind} is empty; it is ignored", member, key=True
            )
            member = None
        if member is None and required:
            self.report.error("missing-field", f"{self.kind} needs {name!r}", self.at)
        return member

    def _wrong(self, member: Location, name: str, expected: str) -> None:
        message = f"{name!r} of {self.kind} must be {expected}, found {type_name(member.value)}"
        self.report.error("wrong-type", message, member)

    def text_at(self, name: str, *, required: bool = False) -> Location | None:
        """The location of a text; numbers written without quotes count as text."""
        member = self._value(name, required)
        if member is None or isinstance(member.value, str):
            return member
        if isinstance(member.value, int | Decimal) and not isinstance(member.value, bool):
            return Location(member.document, member.pointer, lexeme(member.value))
        self._wrong(member, name, "a text")
        return None

    def text(self, name: str, *, required: bool = False) -> str:
        """A text, or an empty one."""
        member = self.text_at(name, required=required)
        if member is not None and required and not member.value:
            self.report.error("missing-field", f"{name!r} of {self.kind} is empty", member)
        return str(member.value) if member is not None else ""

    def choice(self, name: str, options: tuple[str, ...], *, required: bool = False) -> str:
        """A text out of a few, or an empty one."""
        member = self.text_at(name, required=required)
        if member is None:
            return ""
        folded = [option for option in options if option.casefold() == member.value.casefold()]
        if member.value not in options and folded:
            message = f"{name!r} of {self.kind} is {member.value!r}; it is read as {folded[0]!r}"
            self.report.warning("value-case", message, member, f"write {folded[0]}")
            return folded[0]
        if member.value not in options:
            message = f"{name!r} of {self.kind} is {member.value!r}, expected one of {', '.join(options)}"
            hint = did_you_mean(member.value, options)
            self.report.error("wrong-value", message, member, hint if "mean" in hint else "")
            return ""
        return str(member.value)

    def integer(self, name: str, *, minimum: int | None = None) -> int | None:
        """An integer, or None."""
        member = self._value(name, False)
        if member is None:
            return None
        value = self._unquoted(member, name)
        if isinstance(value, Decimal) and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(member, name, "an integer")
            return None
        if minimum is not None and value < minimum:
            self.report.error("wrong-value", f"{name!r} must be at least {minimum}, found {value}", member)
            return None
        return int(value)

    def number(self, name: str) -> int | Decimal | None:
        """A number, or None."""
        member = self._value(name, False)
        if member is None:
            return None
        value = self._unquoted(member, name)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self._wrong(member, name, "a number")
            return None
        return value

    def _unquoted(self, member: Location, name: str) -> Any:
        """The value of a field that holds a number, also where it is written as text: ``"5"``."""
        if not isinstance(member.value, str) or not _NUMBER.match(member.value):
            return member.value
        message = f"{name!r} of {self.kind} is a text; it is read as the number {member.value}"
        self.report.warning("number-as-text", message, member, f"write {member.value} without quotes")
        return Decimal(member.value) if "." in member.value else int(member.value)

    def object(self, name: str, *, required: bool = False) -> Location | None:
        """The location of an object, or None."""
        member = self._value(name, required)
        if member is not None and not isinstance(member.value, dict):
            self._wrong(member, name, "an object")
            return None
        return member

    def array(self, name: str, *, required: bool = False) -> list[Location]:
        """The locations of an array's items. A required array must have at least one."""
        member = self._value(name, required)
        if member is None:
            return []
        if isinstance(member.value, dict) and not required:
            self._warn_of_one(member, name)
            return [member]
        if not isinstance(member.value, list):
            self._wrong(member, name, "an array")
            return []
        if required and not member.value:
            self.report.error("missing-field", f"{name!r} of {self.kind} must not be empty", member)
        return list(member.items())

    def _warn_of_one(self, member: Location, name: str) -> None:
        message = f"{name!r} of {self.kind} is no array; it is read as an array of one"
        self.report.warning("one-for-array", message, member, "write it as an item of an array")

    def texts(self, name: str) -> tuple[Location, ...]:
        """The locations of an array of texts."""
        found = []
        single = self.at.get(name)
        if single is not None and isinstance(single.value, str):
            self._warn_of_one(single, name)
            return (single,)
        for item in self.array(name):
            if isinstance(item.value, str):
                found.append(item)
            else:
                self._wrong(item, name, "texts")
        return tuple(found)


def lexeme(value: Any) -> str:
    """The text of a number as it stands in its document."""
    written = getattr(value, "lexeme", None)
    if isinstance(written, str):
        return written
    return format(value, "f") if isinstance(value, Decimal) else str(value)
