"""Writes the pages from the tests: ``python -m tests.conformance.generate``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from tests.conformance import tolerances
from tests.conformance.rules import Rule, collected

DOCS = Path(__file__).parents[2] / "docs"

CONFORMANCE = """\
# Conformance

<!-- Written by `python -m tests.conformance.generate` from the tests in tests/conformance. Do not edit. -->

What the [Arazzo Specification](https://spec.openapis.org/arazzo/latest.html) asks for, version by version,
and the test that shows what this project does about it. {rows} rows: {supported} supported, {refused}
refused with a diagnostic (all of them AsyncAPI), {missing} not kept yet. A row for 1.0 and 1.1 is tested
with a document of each version. Where a row says how the behaviour differs from the letter of the
specification, the difference is meant.

Tests are named by file and function in `tests/conformance`, with the case in brackets.
"""

TOLERANCES = """\
# Tolerances

<!-- Written by `python -m tests.conformance.generate` from the tests in tests/conformance. Do not edit. -->

Public Arazzo documents often say a little less, or a little else, than the specification wants. Where there
is only one thing that they can mean, they compile, with a warning that says what they are taken to mean.
With `--strict` (`strict=True`) every warning is an error. A few warnings tolerate nothing: they say what a
document will not do as written.
"""


def conformance(rows: Sequence[Rule]) -> str:
    """The page of conformance."""
    refused = sum(bool(row.refused) for row in rows)
    missing = sum(bool(row.missing) for row in rows)
    supported = len(rows) - refused - missing
    parts = [
        CONFORMANCE.format(rows=len(rows), supported=supported, refused=refused, missing=missing),
    ]
    for section, grouped in groupby(rows, key=lambda row: row.section):
        lines = [f"\n## {section}\n", "| Arazzo | Field or rule | Status | Test |", "|---|---|---|---|"]
        for row in grouped:
            versions = ", ".join(row.versions.split())
            lines.append(f"| {versions} | {_cell(row.text)} | {_cell(row.status)} | `{_cell(row.test)}` |")
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def tolerances_page(rows: Sequence[tolerances.Tolerance]) -> str:
    """The page of tolerances."""
    lines = [
        TOLERANCES,
        "| Warning | Written | Taken to mean | Correct form | Test |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        missing = f" (not yet: {row.missing})" if row.missing else ""
        cells = (f"`{row.code}`{missing}", row.written, row.meaning, row.correct, f"`{row.test}`")
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def pages() -> dict[Path, str]:
    """The text of every page, by its file."""
    return {
        DOCS / "conformance.md": conformance(collected()),
        DOCS / "tolerances.md": tolerances_page(tolerances.collected()),
    }


def main() -> int:
    """Write the pages."""
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
