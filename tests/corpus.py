"""Compiles a folder of real documents: ``python -m tests.corpus FOLDER``.

``FOLDER`` holds ``manifest.json``, a list of documents below ``docs``: ``document`` (path), ``group``,
``sources`` (path by source name, null where the file is not there), ``all_sources_local``,
and ``negative_fixture``. Prints, by group, how many documents compile, every refusal with its
diagnostics, and what took longest. The exit status is 1 when the compiler raised or was too slow.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_arazzo.description.diagnostics import Diagnostic, DocumentError, Severity
from airflow_arazzo.plan.cache import load_plan
from airflow_arazzo.plan.compiler import compile_document
from airflow_arazzo.plan.options import Options

WARM_LIMIT = 2.0
"""Seconds that all plans of one document may take from the cache."""

_MESSAGES = re.compile(r"""["']?type["']?\s*:\s*["']?asyncapi\b|\bchannelPath\b""")


@dataclass
class Result:
    """What came of one document. Times are in seconds; ``warm`` is 0 where nothing could be cached."""

    document: str
    group: str
    counted: bool
    errors: tuple[Diagnostic, ...] = ()
    crash: str = ""
    cold: float = 0.0
    warm: float = 0.0
    codes: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.errors and not self.crash


def is_counted(entry: dict[str, Any], text: str) -> bool:
    """Whether a document shall compile: its sources are there, it is not wrong on purpose, no AsyncAPI."""
    return bool(entry["all_sources_local"]) and not entry["negative_fixture"] and not _MESSAGES.search(text)


def try_document(folder: Path, entry: dict[str, Any], cache: Path) -> Result:
    """Compile a document as a whole, then load the plan of each workflow twice, the second time warm."""
    path = folder / "docs" / entry["document"]
    sources = {name: folder / "docs" / file for name, file in entry["sources"].items() if file}
    options = Options(sources=sources)
    text = path.read_text(encoding="utf-8", errors="replace")
    result = Result(entry["document"], entry["group"], is_counted(entry, text))
    try:
        begun = time.perf_counter()
        compilation = compile_document(path, options)
        result.cold = time.perf_counter() - begun
        result.errors = tuple(d for d in compilation.diagnostics if d.severity is Severity.ERROR)
        result.codes = tuple(d.code for d in compilation.diagnostics)
        for workflow in compilation.plans:
            load_plan(path, workflow, options, cache)
        begun = time.perf_counter()
        for workflow in compilation.plans:
            load_plan(path, workflow, options, cache)
        result.warm = time.perf_counter() - begun
    except DocumentError as error:
        result.errors = error.diagnostics
    except Exception:
        result.crash = traceback.format_exc()
    return result


def figures(results: Iterable[Result]) -> list[str]:
    """A line for each group: accepted, counted, per cent."""
    groups: dict[str, list[bool]] = {}
    for result in results:
        if result.counted:
            groups.setdefault(result.group, []).append(result.accepted)
    lines = []
    for group, accepted in sorted(groups.items()):
        share = 100 * sum(accepted) / len(accepted)
        lines.append(f"{group:16} {sum(accepted):4} / {len(accepted):4}  {share:5.1f} %")
    return lines


def refusals(results: Iterable[Result]) -> list[str]:
    """Every refused document with its errors."""
    lines = []
    for result in results:
        if result.counted and result.errors:
            lines.append(result.document)
            lines.extend(f"  {diagnostic}" for diagnostic in result.errors)
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile every document of a corpus; 1 when the compiler raised or was too slow."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="holds manifest.json and docs")
    parser.add_argument("--warnings", action="store_true", help="count the findings by code")
    parsed = parser.parse_args(arguments)
    entries = json.loads((parsed.folder / "manifest.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as cache:
        results = [try_document(parsed.folder, entry, Path(cache)) for entry in entries]
    crashes = [result for result in results if result.crash]
    slowest = max(results, key=lambda result: result.warm)
    coldest = max(results, key=lambda result: result.cold)
    others = [result for result in results if not result.counted]
    report = [
        "Accepted, of the documents that shall compile:",
        *figures(results),
        "",
        "Refused:",
        *refusals(results),
        "",
        f"Others (sources missing, wrong on purpose, AsyncAPI): {len(others)}, "
        f"{sum(not result.accepted for result in others)} refused, "
        f"{sum(bool(result.crash) for result in others)} crashed",
        f"Slowest warm: {slowest.warm:.3f} s  {slowest.document}",
        f"Slowest cold: {coldest.cold:.3f} s  {coldest.document}",
        *(f"CRASH {result.document}\n{result.crash}" for result in crashes),
    ]
    if parsed.warnings:
        codes = [code for result in results if result.counted for code in result.codes]
        report += [f"{codes.count(code):6} {code}" for code in sorted(set(codes))]
    sys.stdout.write("\n".join(report) + "\n")
    return 1 if crashes or slowest.warm >= WARM_LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
