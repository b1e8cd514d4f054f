"""Writes the pages from the tests: ``python -m tests.conformance.generate``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from tests.conformance import tolerances
from tests.conformance.rules import Rule, collected
from tests.pages import DOCS, table, write

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
        listed = [(", ".join(row.versions.split()), row.text, row.status, f"`{row.test}`") for row in grouped]
        header = ("Arazzo", "Field or rule", "Status", "Test")
        parts.append(f"\n## {section}\n\n{table(header, listed)}")
    return "".join(parts)


def tolerances_page(rows: Sequence[tolerances.Tolerance]) -> str:
    """The page of tolerances."""
    listed = []
    for row in rows:
        missing = f" (not yet: {row.missing})" if row.missing else ""
        listed.append((f"`{row.code}`{missing}", row.written, row.meaning, row.correct, f"`{row.test}`"))
    header = ("Warning", "Written", "Taken to mean", "Correct form", "Test")
    return f"{TOLERANCES}\n{table(header, listed)}"


def pages() -> dict[Path, str]:
    """The text of every page, by its file."""
    return {
        DOCS / "conformance.md": conformance(collected()),
        DOCS / "tolerances.md": tolerances_page(tolerances.collected()),
    }


def main() -> int:
    """Write the pages."""
    return write(pages())


if __name__ == "__main__":
    sys.exit(main())
