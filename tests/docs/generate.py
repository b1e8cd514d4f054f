"""Writes the page on the command line from its parser: ``python -m tests.docs.generate``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from airflow_arazzo.cli.main import parser
from tests.pages import DOCS, table, write

HEAD = """\
# Command line

<!-- Written by `python -m tests.docs.generate` from the parser. Do not edit. -->

Every command exists as `airflow-arazzo …` and as `airflow arazzo …`. The first does not import Airflow, so
it starts quickly. What they print and how they end is in [Formats](../cli-formats.md).

"""


def pages() -> dict[Path, str]:
    """The page, by file."""
    return {DOCS / "reference" / "cli.md": HEAD + "\n".join(_sections(parser()))}


def _sections(root: argparse.ArgumentParser) -> Iterator[str]:
    groups = [each for each in root._actions if isinstance(each, argparse._SubParsersAction)]
    for group in groups:
        for name, command in group.choices.items():
            if any(isinstance(each, argparse._SubParsersAction) for each in command._actions):
                yield from _sections(command)
            else:
                yield _section(command, name)


def _section(command: argparse.ArgumentParser, name: str) -> str:
    words = command.prog.split()[1:]
    given = [each for each in command._actions if each.dest != "help"]
    rows = [(f"`{_written(each)}`", _meaning(each)) for each in given]
    assert words[-1] == name
    return f"## {' '.join(words)}\n\n{command.description}.\n\n{table(['Argument', 'Meaning'], rows)}"


def _written(action: argparse.Action) -> str:
    if action.nargs == 0:
        return action.option_strings[0]
    value = str(action.metavar or "|".join(action.choices or ()) or action.dest.upper())
    if not action.option_strings:
        return f"{value} …" if action.nargs == "+" else value
    return f"{action.option_strings[0]} {value}"


def _meaning(action: argparse.Action) -> str:
    facts = [action.help or ""]
    if action.choices and action.metavar:
        facts.append("one of " + ", ".join(f"`{each}`" for each in action.choices))
    if action.required and action.option_strings:
        facts.append("required")
    if action.default not in (None, "", False, []) and action.nargs != 0:
        facts.append(f"`{action.default}` by default")
    return "; ".join(facts)


if __name__ == "__main__":
    sys.exit(write(pages()))
