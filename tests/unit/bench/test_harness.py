"""The arithmetic behind the benchmarks, and what is printed of it."""

from __future__ import annotations

import pytest

from bench.harness import Part, Table, Target, compared, in_turns, number, ratio, summary


def test_contenders_take_turns_and_each_begins_a_round() -> None:
    asked: list[str] = []

    def contender(name: str) -> float:
        asked.append(name)
        return float(len(asked))

    taken = in_turns({name: lambda name=name: contender(name) for name in "abc"}, rounds=3, warm=0)
    assert "".join(asked) == "abcbcacab"
    assert taken == {"a": [1.0, 6.0, 8.0], "b": [2.0, 4.0, 9.0], "c": [3.0, 5.0, 7.0]}


def test_warming_rounds_do_not_count() -> None:
    figures = iter([100.0, 100.0, 1.0, 2.0])
    assert in_turns({"a": lambda: next(figures)}, rounds=2, warm=2) == {"a": [1.0, 2.0]}


def test_the_median_is_not_moved_by_one_busy_moment() -> None:
    assert summary([2.0, 900.0, 1.0]) == {"median": 2.0, "least": 1.0, "most": 900.0}


def test_ratios_are_of_medians() -> None:
    taken = {"ours": [1.0, 2.0, 90.0], "theirs": [4.0, 5.0, 3.0]}
    assert ratio(taken, "ours", "theirs") == 0.5


def test_a_comparison_has_the_ratio_to_the_one_named() -> None:
    table = compared("s", {"ours": [0.001], "theirs": [0.004]}, "theirs", factor=1000)
    assert table.columns == ("median", "least", "most", "x theirs")
    assert table.rows == [("ours", [1.0, 1.0, 1.0, 0.25]), ("theirs", [4.0, 4.0, 4.0, 1.0])]


@pytest.mark.parametrize(("value", "met"), [(1.0, True), (0.99, True), (1.01, False)])
def test_a_target_is_met_at_its_limit(value: float, met: bool) -> None:
    target = Target("ours / theirs", value, 1.0)
    assert target.met is met
    assert str(target).startswith("✓" if met else "✗")


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (2.5, "2.5"), (1234.5, "1,234"), (3.0, "3"), (12.34, "12.3")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_part_is_json_with_its_figures_by_name() -> None:
    part = Part("p", [Table("ms", ("median", "most"), [("ours", [1.5, None])])], [Target("t", 2.0, 1.0)])
    assert part.as_json() == {
        "tables": [{"title": "ms", "rows": {"ours": {"median": 1.5, "most": None}}}],
        "targets": [{"what": "t", "value": 2.0, "limit": 1.0, "met": False}],
        "notes": [],
    }


def test_a_skipped_part_says_why() -> None:
    part = Part("commands", skipped="npm is not here")
    assert str(part) == "commands: skipped, npm is not here"
    assert part.as_json() == {"skipped": "npm is not here"}
