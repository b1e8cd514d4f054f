"""The page on safety is what the tests say."""

from __future__ import annotations

from pathlib import Path

from tests.integration import generate
from tests.pages import stale


def test_the_page_is_up_to_date() -> None:
    assert stale(generate.pages()) == [], "run python -m tests.integration.generate"


def test_every_test_that_the_page_names_is_there() -> None:
    assert generate.missing() == []


def test_the_page_names_no_machine() -> None:
    for text in generate.pages().values():
        assert str(Path.home()) not in text
        assert str(generate.TESTS.parent) not in text
