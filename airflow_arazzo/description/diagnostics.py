"""Diagnostics: what is wrong with a document, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """An error stops compilation, a warning is a tolerance, a note is advice."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in a file. Lines and columns count from 1; columns count characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Diagnostic(msgspec.Struct, frozen=True):
    """One finding about a document or about the inputs of a run.

    :param code: stable kebab-case name of the rule, for example ``unknown-operation``.
    :param message: what is wrong and what was expected, one sentence without a full stop.
    :param position: where; ``None`` only for findings that have no file (run inputs).
    :param hint: what to do about it, or an empty string.
    """

    code: str
    severity: Severity
    message: str
    position: Position | None = None
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.position}: " if self.position else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.severity}: {self.message} [{self.code}]{hint}"


class DocumentError(Exception):
    """Documents or inputs that cannot be used; carries every diagnostic found, errors first.

    :param diagnostics: at least one diagnostic of severity error.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = sorted_diagnostics(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def sorted_diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Order diagnostics for a reader: errors first, then by place; exact repetitions once."""
    nowhere = Position("", 0, 0)
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda d: (_RANK[d.severity], d.position or nowhere)))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any diagnostic is an error."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known names, or lists them when few, or is empty.

    >>> did_you_mean("createCustomr", ["createCustomer", "listCustomers"])
    "did you mean 'createCustomer'?"
    """
    candidates = sorted(set(known))
    folded = {candidate.casefold(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name.casefold(), folded, n=2, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(repr(folded[match]) for match in close) + "?"
    if candidates and len(candidates) <= 12:
        return "known: " + ", ".join(candidates)
    return ""
