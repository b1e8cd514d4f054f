"""Pages that are written from the code are up to date."""

from __future__ import annotations

from tests.docs import generate
from tests.docs.blocks import ROOT
from tests.pages import stale


def test_the_page_on_the_command_line_is_up_to_date() -> None:
    assert stale(generate.pages()) == [], "run python -m tests.docs.generate"


def test_every_command_is_on_it() -> None:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text()
    for name in ("check", "plan", "explain", "init", "vendor", "run", "ledger list", "ledger resolve"):
        assert f"## {name}\n" in text
