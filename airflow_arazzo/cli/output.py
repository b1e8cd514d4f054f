"""What commands print, and their exit statuses."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from airflow_arazzo.description.diagnostics import Diagnostic
from airflow_arazzo.engine.media_type import ascii_json

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_DOCUMENT = 2

EXIT_STATUSES = """\
exit statuses:
  0  done
  1  run: the workflow failed, also before its first request; vendor: a file is missing, differs or could
     not be fetched; or the command itself has a fault
  2  nothing was done: a document does not compile, or an argument cannot be used
"""
"""The same for every command, as ``--help`` prints it."""


class BadArgument(ValueError):
    """An argument that cannot be used; nothing was done. The message never repeats a credential."""


def say(text: str) -> None:
    """Print a line to standard output."""
    sys.stdout.write(text + "\n")


def say_json(text: str) -> None:
    """Print a JSON text to standard output; in ASCII where it does not speak UTF-8."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    say(text if unicode else ascii_json(text))


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
