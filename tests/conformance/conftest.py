"""A test that shows a rule runs with a document of every version that the rule is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import rules
from tests.conformance.harness import Arazzo


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "arazzo_rules" in vars(metafunc.function):
        names, values = rules.parameters(metafunc.function)
        metafunc.parametrize(names, values)


@pytest.fixture
def arazzo(tmp_path: Path, arazzo_version: str) -> Arazzo:
    """A folder with a document of the version that the test runs with."""
    return Arazzo(tmp_path, rules.VERSIONS[arazzo_version])


@pytest.fixture
def arazzo_version() -> str:
    """The version of a test that shows no rule."""
    return "1.1"
