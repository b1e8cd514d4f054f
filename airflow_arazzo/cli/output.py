"""What commands print, and their exit statuses."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from airflow_arazzo.description.diagnostics import Diagnostic

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_DOCUMENT = 2


def say(text: str) -> None:
    """Print a line to standard output."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(text + "\n")


def located(diagnostic: Diagnostic, document: Path) -> Diagnostic:
    """The diagnostic with its file as seen from the current folder rather than from the document's."""
    position = diagnostic.position
    if position is None:
        return diagnostic
    joined = document.parent / position.file
    parts: list[str] = []
    for part in joined.parts:
        if part == ".." and parts and parts[-1] not in ("..", "/"):
            parts.pop()
        else:
            parts.append(part)
    name = str(Path(*parts)) if parts else position.file
    return msgspec.structs.replace(diagnostic, position=msgspec.structs.replace(position, file=name))
