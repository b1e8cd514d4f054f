"""Literal moments in payloads: every run, retry and backfill would send the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from airflow_arazzo.description.diagnostics import Severity
from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.fields import lexeme

_SECONDS = range(978_307_200, 4_133_980_800)
"""The years 2001 to 2100, in seconds since 1970."""

_ISO = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9].*", re.DOTALL)
_IN_TEXT = re.compile(
    r'(?<![\w."$-])[0-9]{9,13}(?![\w.])|"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[^"]*"'
)


def note_timestamps(at: Location | None, report: Report) -> None:
    """Note every literal moment in a payload, JSON texts included."""
    if at is None:
        return
    for place, text, offset in _moments(at):
        message = f"the moment {text} is a literal: every run, also of a backfill, sends the same"
        hint = "make it an input"
        report.add(Severity.NOTE, "literal-timestamp", message, place, hint, offset=offset)


def _moments(at: Location) -> Iterator[tuple[Location, str, int | None]]:
    value = at.value
    if isinstance(value, dict):
        for _, member in at.members():
            yield from _moments(member)
    elif isinstance(value, list):
        for item in at.items():
            yield from _moments(item)
    elif is_moment(value):
        yield at, value if isinstance(value, str) else lexeme(value), None
    elif isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        for match in _IN_TEXT.finditer(value):
            literal = match.group().strip('"')
            if is_moment(literal if "-" in literal else int(literal)):
                yield at, literal, match.start() + match.group().startswith('"')


def is_moment(value: Any) -> bool:
    """Whether a literal is a plausible moment: (milli)seconds since 1970, or an ISO 8601 date-time."""
    if isinstance(value, str):
        return bool(_ISO.fullmatch(value))
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value != int(value):
        return False
    return int(value) in _SECONDS or int(value) // 1000 in _SECONDS
