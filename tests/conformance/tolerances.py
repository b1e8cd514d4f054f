"""Which test shows a tolerance of the compiler, and which warnings the source knows."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

SOURCE = Path(__file__).parents[2] / "airflow_arazzo"
LAYERS = ("description", "expression", "plan")

Test = TypeVar("Test", bound=Callable[..., Any])


class Tolerance(NamedTuple):
    """A row of the page.

    :param missing: why the warning does not come yet, or the meaning is not taken.
    """

    code: str
    written: str
    meaning: str
    correct: str
    missing: str = ""
    test: str = ""


def tolerance(
    code: str, written: str, meaning: str, correct: str, *, missing: str = ""
) -> Callable[[Test], Test]:
    """Put a row on a test: what is written, what it is taken to mean, and how it is written correctly."""

    def mark(test: Test) -> Test:
        rows = vars(test).setdefault("arazzo_tolerances", [])
        rows.insert(0, Tolerance(code, written, meaning, correct, missing))
        return pytest.mark.xfail(strict=True, reason=missing)(test) if missing else test

    return mark


def tests() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Every test of a tolerance: file, name and function."""
    for path in sorted(Path(__file__).parent.glob("test_*tolerances.py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_"):
                yield path.name, name, test


def collected() -> list[Tolerance]:
    """Every row, by code, then in the order of the tests."""
    found = [
        row._replace(test=f"{file}::{name}")
        for file, name, test in tests()
        for row in vars(test).get("arazzo_tolerances", ())
    ]
    return sorted(found, key=lambda row: row.code)


def warning_codes() -> dict[str, str]:
    """Codes of the warnings that the compiler can give, with the file of each."""
    found: dict[str, str] = {}
    for layer in LAYERS:
        for path in sorted((SOURCE / layer).glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found |= dict.fromkeys(_codes(tree), path.name)
    return found


def _codes(tree: ast.AST) -> Iterator[str]:
    """First texts of the calls that warn, whatever they are called by."""
    aliases = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and "warning" in ast.unparse(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _warns(node, aliases):
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from texts[:1]


def _warns(call: ast.Call, aliases: set[str]) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    severity = any(ast.unparse(each) == "Severity.WARNING" for each in call.args)
    return name in {"warning", "warn", *aliases} or severity
