"""Findings as SARIF 2.1.0 (OASIS), which code scanning on GitHub and many editors read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_arazzo.cli.findings import from_here, message
from airflow_arazzo.description.diagnostics import Diagnostic, Severity
from airflow_arazzo.version import __version__

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_PACKAGE = Path(__file__).parents[1]
_TOLERANCES = (_PACKAGE / "tolerances.md", _PACKAGE.parent / "docs" / "tolerances.md")
"""The page on tolerances: in an installed package, and where the package is used from its repository."""

_CELL = re.compile(r"(?<!\\)\|")
_RANK = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.ERROR: 2}


def sarif(findings: Iterable[tuple[str, Diagnostic]]) -> dict[str, Any]:
    """A SARIF log of one run.

    :param findings: each with the document that was checked, where it is shown when it has no place of its
        own. A finding that several documents share is there once.
    """
    unique = list(dict.fromkeys((d if d.position else document, d) for document, d in findings))
    codes = sorted({d.code for _, d in unique})
    found = {code: [d.severity for _, d in unique if d.code == code] for code in codes}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "airflow-arazzo",
                        "semanticVersion": __version__,
                        "rules": [_rule(code, found[code]) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(place, d, codes.index(d.code)) for place, d in unique],
            }
        ],
    }


def _rule(code: str, found: Iterable[Severity]) -> dict[str, Any]:
    title = code.replace("-", " ").capitalize()
    rule: dict[str, Any] = {
        "id": code,
        "name": "".join(word.capitalize() for word in code.split("-")),
        "shortDescription": {"text": title},
        "defaultConfiguration": {"level": max(found, key=_RANK.__getitem__).value},
    }
    entries = tolerances().get(code)
    if entries:
        lines = [
            f"{written}: taken to mean {meaning}. Correct: {correct}."
            for written, meaning, correct in entries
        ]
        rule["help"] = {
            "text": " ".join(line.replace("`", "") for line in lines),
            "markdown": "\n".join(f"- {line}" for line in lines),
        }
    else:
        rule["help"] = {"text": f"{title}: what is wrong and what to do is in the message."}
    return rule


def _result(place: Diagnostic | str, finding: Diagnostic, rule: int) -> dict[str, Any]:
    physical: dict[str, Any]
    if finding.position is None:
        physical = {"artifactLocation": _artifact(str(place))}
    else:
        at = finding.position
        physical = {
            "artifactLocation": _artifact(at.file),
            "region": {"startLine": max(at.line, 1), "startColumn": max(at.column, 1)},
        }
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity.value,
        "message": {"text": message(finding)},
        "locations": [{"physicalLocation": physical}],
    }


def _artifact(file: str) -> dict[str, str]:
    """A file below the current folder relative to it, any other by its whole URI."""
    name = from_here(file)
    if Path(name).is_absolute() or name.startswith("../"):
        return {"uri": Path(name).resolve().as_uri()}
    return {"uri": quote(name), "uriBaseId": "%SRCROOT%"}


@cache
def tolerances() -> Mapping[str, list[tuple[str, str, str]]]:
    """What the page on tolerances says of each code: as written, taken to mean, correct form, in Markdown."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    page = next((path for path in _TOLERANCES if path.is_file()), None)
    for line in page.read_text(encoding="utf-8").splitlines() if page else ():
        cells = [cell.strip().replace("\\|", "|") for cell in _CELL.split(line)]
        if len(cells) > 5 and re.match(r"`[a-z-]+`", cells[1]):
            found.setdefault(cells[1].split("`")[1], []).append((cells[2], cells[3], cells[4]))
    return found
