"""JSON Pointers."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.expression.pointer import array_index, format_pointer, navigate, parse_pointer

RFC = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_examples_of_rfc_6901(pointer: str, value: object) -> None:
    assert navigate(RFC, parse_pointer(pointer)) == value


@pytest.mark.parametrize(
    "path",
    [("foo", "2"), ("foo", "-"), ("foo", "01"), ("foo", "-1"), ("foo", "0", "x"), ("zz",), ("foo", "9" * 40)],
)
def test_leads_nowhere(path: tuple[str, ...]) -> None:
    assert navigate(RFC, path) is ABSENT


def test_null_is_there_but_nothing_is_below_it() -> None:
    assert navigate({"a": None}, ("a",)) is None
    assert navigate({"a": None}, ("a", "b")) is ABSENT


@pytest.mark.parametrize("pointer", ["a", "a/b", "/a~", "/a~2", "/~b"])
def test_malformed(pointer: str) -> None:
    with pytest.raises(ValueError, match="JSON Pointer"):
        parse_pointer(pointer)


@given(st.lists(st.text() | st.text("~01/")))
@example(["~1"])
def test_round_trip(tokens: list[str]) -> None:
    assert parse_pointer(format_pointer(tokens)) == tuple(tokens)


@given(st.integers(min_value=0, max_value=10**12))
def test_indices(index: int) -> None:
    assert array_index(str(index)) == index
    assert array_index(f"0{index}") is None


def test_other_digits_are_no_indices() -> None:
    assert array_index("\u0663") is None
