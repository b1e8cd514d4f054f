"""The pages are what the tests say, and nothing is left out of them."""

from __future__ import annotations

from pathlib import Path

from tests.conformance import generate, rules, tolerances
from tests.pages import stale

ABOUT_THE_PAGES = True


def test_pages_are_up_to_date() -> None:
    assert stale(generate.pages()) == [], "run python -m tests.conformance.generate"


def test_every_test_has_a_row() -> None:
    without = [f"{file}::{name}" for file, name, test in rules.tests() if not vars(test).get("arazzo_rules")]
    assert without == []


def test_all_rows_of_a_test_are_of_the_same_versions() -> None:
    for file, name, test in rules.tests():
        if "arazzo_cases" not in vars(test):
            assert len({row.versions for row, _ in vars(test)["arazzo_rules"]}) == 1, f"{file}::{name}"


def test_no_row_is_given_twice() -> None:
    rows = [(row.section, row.versions, row.text) for row in rules.collected()]
    assert sorted(rows) == sorted(set(rows))


def test_cases_have_names_of_their_own() -> None:
    named = [row.test for row in rules.collected() if "[" in row.test]
    assert len(named) == len(set(named))


def test_only_asyncapi_is_refused() -> None:
    assert {row.refused for row in rules.collected()} == {"", "asyncapi-unsupported"}


def test_every_section_is_shown() -> None:
    assert {row.section for row in rules.collected()} == set(rules.SECTIONS)


def test_every_warning_is_on_the_page() -> None:
    known = tolerances.warning_codes()
    assert {row.code for row in tolerances.collected()} == set(known), known
    assert len(known) > 40


def test_every_test_of_a_tolerance_has_a_row() -> None:
    assert [name for _, name, test in tolerances.tests() if not vars(test).get("arazzo_tolerances")] == []


def test_pages_name_no_machine() -> None:
    for text in generate.pages().values():
        assert str(Path.home()) not in text
        assert str(rules.FOLDER.parents[1]) not in text
