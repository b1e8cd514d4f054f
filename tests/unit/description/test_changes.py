"""Differences between two versions of a description."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.description.changes import Change, changes, operations
from airflow_arazzo.description.documents import parse_document

OPERATIONS = st.dictionaries(
    st.tuples(st.sampled_from(["GET", "POST"]), st.sampled_from(["/a", "/b", "/c"])),
    st.sampled_from(["", "one", "two", "three"]),
)


def kinds(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> list[str]:
    return [change.kind for change in changes(before, after)]


def test_what_moved_and_what_was_renamed() -> None:
    assert list(changes({("GET", "/a"): "one"}, {("GET", "/a"): "two"})) == [
        Change("renamed", ("GET", "/a", "one"), ("GET", "/a", "two"))
    ]
    assert list(changes({("GET", "/a"): "one"}, {("POST", "/b"): "one"})) == [
        Change("moved", ("GET", "/a", "one"), ("POST", "/b", "one"))
    ]


def test_an_id_that_is_not_unique_moves_nowhere() -> None:
    twice = {("GET", "/a"): "one", ("GET", "/b"): "one"}
    assert kinds({("POST", "/a"): "one"}, twice) == ["gone", "added", "added"]
    assert kinds(twice, {("POST", "/a"): "one"}) == ["gone", "gone", "added"]
    assert kinds({("GET", "/a"): ""}, {("GET", "/b"): ""}) == ["gone", "added"], "no id is no name"


@given(OPERATIONS, OPERATIONS)
def test_changes_lead_from_one_to_the_other(
    before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]
) -> None:
    made = dict(before)
    for change in changes(before, after):
        if change.before:
            assert made.pop(change.before[:2]) == change.before[2]
        if change.after:
            assert change.after[:2] not in made
            made[change.after[:2]] = change.after[2]
    assert made == after
    assert kinds(before, before) == []


def test_operations_of_what_is_no_description() -> None:
    for text in (b"[]", b"a: 1", b"{paths: []}", b"{paths: {/a: 1, /b: {get: 1, $ref: 'x.yaml'}}}"):
        assert operations(parse_document(text, Path("x.yaml"), "x.yaml")) == {}
