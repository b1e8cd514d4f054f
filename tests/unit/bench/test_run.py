"""All parts in one run."""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from bench import __main__ as run
from bench.contender import ContenderFailed
from bench.harness import Part, Table, Target


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts in place of the real ones: one with a figure, one that cannot be measured."""
    good, bad = ModuleType("bench.runners"), ModuleType("bench.parse")

    def measure(short: bool) -> Part:
        table = Table("ms", ("median",), [("ours", [1.0 if short else 2.0])])
        return Part("runners", [table], [Target("ours / theirs", 0.5, 1.0)])

    def fail(short: bool) -> Part:
        raise ContenderFailed("the process ended")

    good.measure, bad.measure = measure, fail  # type: ignore[attr-defined]
    good.__spec__, bad.__spec__ = ModuleSpec("bench.runners", None), ModuleSpec("bench.parse", None)
    monkeypatch.setitem(sys.modules, "bench.runners", good)
    monkeypatch.setitem(sys.modules, "bench.parse", bad)


def test_a_part_that_fails_leaves_the_others(
    parts: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    assert run.main(["--only", "parse", "runners", "--quick", "--json", str(results)]) == 1
    printed = capsys.readouterr().out
    assert "parse: skipped, it failed: the process ended" in printed
    assert "✓ ours / theirs: 0.5 (at most 1)" in printed
    assert "1 of 1 targets are met" in printed
    found = json.loads(results.read_text())
    assert found["quick"] is True
    assert found["machine"]["cores"] >= 1
    assert found["parts"]["parse"] == {"skipped": "it failed: the process ended"}
    assert found["parts"]["runners"]["tables"][0]["rows"] == {"ours": {"median": 1.0}}


def test_parts_are_modules_that_are_there() -> None:
    assert set(run.available()) >= {"runners", "commands", "parse", "execute", "folder", "rows"}
