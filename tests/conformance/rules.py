"""Which rule of the specification a test shows: written on the test, collected for the page.

``@rule`` puts one row on a test. ``@cases`` gives a test parameters, and every ``case`` its own row. A row
with ``missing`` is a rule that the code does not keep yet: its test is expected to fail, and says why.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

FOLDER = Path(__file__).parent
VERSIONS = {"1.0": "1.0.1", "1.1": "1.1.0"}

SECTIONS = (
    "Versions",
    "Format",
    "Arazzo Description Structure",
    "Data Types",
    "Parsing Documents",
    "Relative References",
    "Arazzo Specification Object",
    "Info Object",
    "Source Description Object",
    "Workflow Object",
    "Step Object",
    "Parameter Object",
    "Success Action Object",
    "Failure Action Object",
    "Components Object",
    "Reusable Object",
    "Criterion Object",
    "Criterion Object: literals",
    "Criterion Object: operators",
    "Criterion Object: simple conditions",
    "Criterion Object: expressions in conditions",
    "Criterion Object: regex conditions",
    "Criterion Object: JSONPath conditions",
    "Criterion Object: XPath conditions",
    "Criterion Object: evaluation errors",
    "Expression Type Object",
    "Selector Object",
    "Request Body Object",
    "Payload Replacement Object",
    "Runtime Expressions",
    "Runtime Expressions: ABNF",
    "Runtime Expressions: embedded",
    "Runtime Expressions: source descriptions",
    "Inputs (JSON Schema)",
    "Specification Extensions",
    "Security Considerations",
)
"""In the order of the specification (1.1.0); inputs stand before the extensions."""

Test = TypeVar("Test", bound=Callable[..., Any])


class Rule(NamedTuple):
    """A row of the page.

    :param versions: of Arazzo, separated by a blank; the test runs with a document of each.
    :param text: field or rule, in a few words.
    :param refused: code of the diagnostic with which it is refused, for what is not supported.
    :param differs: how the behaviour differs from the letter of the specification, on purpose.
    :param missing: why the rule is not kept yet.
    :param test: file and test, filled in by :func:`collected`.
    """

    versions: str
    section: str
    text: str
    refused: str = ""
    differs: str = ""
    missing: str = ""
    test: str = ""

    @property
    def status(self) -> str:
        if self.refused:
            return f"refused: `{self.refused}`"
        if self.missing:
            return f"not yet: {self.missing}"
        return f"supported; {self.differs}" if self.differs else "supported"


class Case(NamedTuple):
    id: str
    rule: Rule
    values: tuple[Any, ...]


def rule(
    versions: str, section: str, text: str, *, refused: str = "", differs: str = "", missing: str = ""
) -> Callable[[Test], Test]:
    """Put a row on a test."""
    row = _checked(Rule(versions, section, text, refused, differs, missing))

    def mark(test: Test) -> Test:
        rows = vars(test).setdefault("arazzo_rules", [])
        rows.insert(0, (row, ""))
        return pytest.mark.xfail(strict=True, reason=missing)(test) if missing else test

    return mark


def case(
    id: str,
    versions: str,
    section: str,
    text: str,
    *values: Any,
    refused: str = "",
    differs: str = "",
    missing: str = "",
) -> Case:
    """A set of parameters with its own row."""
    return Case(id, _checked(Rule(versions, section, text, refused, differs, missing)), values)


def cases(names: str, *given: Case) -> Callable[[Test], Test]:
    """Give a test parameters, with a row for every set of them."""

    def mark(test: Test) -> Test:
        rows = vars(test).setdefault("arazzo_rules", [])
        rows.extend((each.rule, each.id) for each in given)
        vars(test)["arazzo_cases"] = (names, given)
        return test

    return mark


def parameters(test: Callable[..., Any]) -> tuple[str, list[Any]]:
    """Names and values for pytest: the versions that a test runs with, and the sets of its parameters."""
    names, given = vars(test).get("arazzo_cases", ("", ()))
    if not given:
        versions = vars(test)["arazzo_rules"][0][0].versions
        return "arazzo_version", [pytest.param(v, id=v) for v in versions.split()]
    return f"arazzo_version, {names}", [
        pytest.param(
            version,
            *each.values,
            id=f"{each.id}-{version}",
            marks=[pytest.mark.xfail(strict=True, reason=each.rule.missing)] if each.rule.missing else [],
        )
        for each in given
        for version in each.rule.versions.split()
    ]


def tests() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Every test of this folder that shows rules: file, name and function, in the order of their files."""
    for path in sorted(FOLDER.glob("test_*.py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        if getattr(module, "ABOUT_THE_PAGES", False):
            continue
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_") and function.__module__ == module.__name__:
                yield path.name, name, function


def collected() -> list[Rule]:
    """Every row, in the order of the specification, then of the tests."""
    found: list[tuple[int, str, int, Rule]] = []
    for file, name, function in tests():
        line = function.__code__.co_firstlineno
        for number, (row, case_id) in enumerate(vars(function).get("arazzo_rules", ())):
            test = f"{file}::{name}" + (f"[{case_id}]" if case_id else "")
            order = SECTIONS.index(row.section)
            found.append((order, file, line * 1000 + number, row._replace(test=test)))
    return [row for *_, row in sorted(found, key=lambda each: each[:3])]


def _checked(row: Rule) -> Rule:
    if row.section not in SECTIONS or not set(row.versions.split()) <= set(VERSIONS):
        raise ValueError(f"unknown section or version: {row}")
    return row
