"""Findings about documents as ``check`` prints them: with their source lines, or for GitHub's log."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from unicodedata import east_asian_width

from airflow_arazzo.description.diagnostics import Diagnostic, Position, Severity
from airflow_arazzo.plan.credentials import HEADERS, QUERY

WIDEST = 120
"""Characters of a source line that are shown."""

_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_CREDENTIAL = re.compile(r"\b(bearer|basic|token)(\s+)(?![{$<])[^\s\"']+", re.IGNORECASE)
_VALUE = re.compile(r"\bvalue\b[\"']?\s*:(?!\s*[\"']?\{?\$)")
_NAME = re.compile(rf"(?<![\w-])({'|'.join(sorted(HEADERS | QUERY))})(?![\w-])", re.IGNORECASE)
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


class SourceLines:
    """Lines of the files that findings are about, each file read once.

    Lines in which a credential was found are not shown: what a build prints, many can read.
    """

    def __init__(self, findings: Iterable[Diagnostic]) -> None:
        self._files: dict[str, list[str]] = {}
        self._hidden = {
            (d.position.file, d.position.line)
            for d in findings
            if d.code == "literal-credential" and d.position is not None
        }

    def excerpt(self, position: Position) -> list[str]:
        """The line of a position and a caret below its column; nothing where that cannot be shown."""
        lines = self._lines(position.file)
        if not 0 < position.line <= len(lines) or (position.file, position.line) in self._hidden:
            return []
        if _may_hold_key(lines[max(0, position.line - 4) : position.line]):
            return []
        text = lines[position.line - 1]
        column = min(position.column - 1, len(text))
        masked = _CREDENTIAL.sub(lambda match: f"{match[1]}{match[2]}***", text)
        if masked != text:
            return [_numbered(position.line, visible(masked[:WIDEST]))]
        start = max(0, column - WIDEST // 2) if len(text) > WIDEST else 0
        shown = visible(text[start : start + WIDEST])
        before, after = ("… " if start else ""), (" …" if start + WIDEST < len(text) else "")
        pad = "".join(map(_blank, before + shown[: column - start]))
        return [_numbered(position.line, before + shown + after), f"{'':6} | {pad}^"]

    def _lines(self, file: str) -> list[str]:
        if file not in self._files:
            try:
                text = Path(file).read_text(encoding="utf-8-sig", errors="replace")
            except (OSError, ValueError):
                text = ""
            self._files[file] = _BREAK.split(text) if text else []
        return self._files[file]


def _may_hold_key(lines: Sequence[str]) -> bool:
    """Whether the last of some lines may be the value of a credential, which nobody has looked for yet.

    A step that does not compile is not searched for credentials.
    """
    return bool(_VALUE.search(lines[-1])) and any(map(_NAME.search, lines))


def visible(text: str) -> str:
    """A text with U+FFFD for what is not printable; a terminal could obey it. Tabs and blanks stay."""
    return "".join(
        each if each.isprintable() or each == "\t" else " " if each == "\xa0" else "\ufffd" for each in text
    )


def _numbered(number: int, text: str) -> str:
    return f"{number:6} | {text}"


def _blank(character: str) -> str:
    """As much room as a character takes."""
    if character == "\t":
        return "\t"
    return "  " if east_asian_width(character) in "WF" else " "


def workflow_command(finding: Diagnostic) -> str:
    """A finding as a workflow command of GitHub Actions, which shows it beside the line.

    >>> from airflow_arazzo.description.diagnostics import Position
    >>> where = Position("a,b.yaml", 1, 2)
    >>> workflow_command(Diagnostic("code", Severity.NOTE, "100%", where))
    '::notice title=code,file=a%2Cb.yaml,line=1,col=2::100%25'
    """
    properties = {"title": finding.code}
    if finding.position is not None:
        at = finding.position
        properties |= {"file": from_here(at.file), "line": str(at.line), "col": str(at.column)}
    written = ",".join(
        f"{name}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}"
        for name, value in properties.items()
    )
    return f"::{_COMMANDS[finding.severity]} {written}::{_escaped(message(finding))}"


def message(finding: Diagnostic) -> str:
    """What is wrong, and what to do about it."""
    return finding.message + (f" ({finding.hint})" if finding.hint else "")


def from_here(file: str) -> str:
    """A file's name as seen from the current folder where it is below that, with slashes."""
    path = Path(os.path.normpath(file))
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix()


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def with_sources(findings: Iterable[Diagnostic], lines: SourceLines) -> Iterator[str]:
    """Each finding in a line, its source line and a caret below it."""
    for finding in findings:
        yield visible(str(finding))
        if finding.position is not None:
            yield from lines.excerpt(finding.position)
