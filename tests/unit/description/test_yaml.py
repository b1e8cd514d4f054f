"""YAML 1.2's core schema: what scalars become, and how numbers keep their digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_arazzo.description import yaml
from airflow_arazzo.description.fields import lexeme
from airflow_arazzo.description.yaml import YamlProblem, compose, construct


def read(text: str) -> Any:
    return construct(compose(text), [])


@pytest.mark.parametrize(
    "text",
    ["on", "off", "yes", "no", "y", "2024-01-01", "12:30:45", "1_000", "0b1", "=", "<<", "²", "1e", "+", "."],
)
def test_what_yaml_1_1_would_change_stays_text(text: str) -> None:
    assert read(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("TRUE", True),
        ("false", False),
        ("tRUE", "tRUE"),
        ("'true'", "true"),
        ('"7"', "7"),
        ("!!str 7", "7"),
        ("!!int 7", 7),
        ("-7", -7),
        ("0o17", 15),
        ("0xff", 255),
        ("1.5", Decimal("1.5")),
        (".5", Decimal("0.5")),
        ("5.", Decimal("5")),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    found = read(f"a: {text}")["a"]
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    "text",
    ["007", "+5", "-0", "10.10", "1e3", "1E-7", ".50", "0x1F", "123456789012345678901234567890", "1.0"],
)
def test_numbers_remember_how_they_are_written(text: str) -> None:
    assert lexeme(read(f"a: {text}")["a"]) == text


def test_only_numbers_whose_text_says_more_carry_it() -> None:
    assert type(read("a: 7")["a"]) is int
    assert type(read("a: 10.10")["a"]) is Decimal
    assert type(read("a: 007")["a"]) is not int


def test_keys_are_text() -> None:
    assert read("{on: 1, 2024-01-01: 2, 7: 3, null: 4, true: 5}") == {
        "on": 1,
        "2024-01-01": 2,
        "7": 3,
        "null": 4,
        "true": 5,
    }


def test_aliases_share_their_value_and_merge_keys_do_not_exist() -> None:
    found = read("a: &x {k: 1}\nb: *x\nc: {<<: *x}")
    assert found["a"] is found["b"]
    assert found["c"] == {"<<": {"k": 1}}


def test_many_aliases_are_fine_and_too_many_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &a [1, 2, 3]\nb: [" + ", ".join(["*a"] * 100) + "]"
    assert len(read(text)["b"]) == 100
    monkeypatch.setattr(yaml, "MAX_ALIASED_NODES", 200)
    with pytest.raises(YamlProblem) as raised:
        read(text)
    assert (raised.value.code, raised.value.line) == ("too-many-aliases", 2)


@pytest.mark.parametrize("anchored", ["a: &a [1]", '{"a":&a [1], ', "[&a [1], ", "- &a [1]\n- "])
def test_aliases_are_counted_wherever_their_anchor_is(anchored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    aliases = "[" + ", ".join(["*a"] * 100) + "]"
    end = {"{": f"b: {aliases}}}", "[": f"{aliases}]", "-": aliases}.get(anchored[0], f"\nb: {aliases}")
    monkeypatch.setattr(yaml, "MAX_ALIASED_NODES", 50)
    with pytest.raises(YamlProblem) as raised:
        read(anchored + end)
    assert raised.value.code == "too-many-aliases"


def test_depth_counts_through_aliases() -> None:
    deep = "[" * 100 + "]" * 100
    assert read(f"a: {deep}")
    with pytest.raises(YamlProblem) as raised:
        read(f"a: &a {deep}\nb: " + "[" * 40 + "*a" + "]" * 40)
    assert raised.value.code == "too-deep"


def test_brackets_in_long_texts_are_no_depth() -> None:
    assert read("a: '" + "[" * 20_000 + "'")["a"] == "[" * 20_000


def test_every_repeated_key_is_found() -> None:
    duplicates: list[tuple[str, Any]] = []
    construct(compose("{a: 1, a: 2, b: {c: 1, c: 2, c: 3}}"), duplicates)
    assert [key for key, _ in duplicates] == ["a", "c", "c"]


@pytest.mark.parametrize(
    "text", ["9" * 5000, "1e6000", "1e-6000", "1e99999999999999999999", "0x" + "f" * 3000]
)
def test_numbers_that_would_fill_the_memory_are_refused(text: str) -> None:
    with pytest.raises(YamlProblem) as raised:
        read(f"a:\n  b: {text}")
    assert (raised.value.code, raised.value.line, raised.value.column) == ("not-a-number", 2, 6)


def test_long_texts_of_digits_in_quotes_are_fine() -> None:
    assert read(f"a: '{'9' * 5000}'")["a"] == "9" * 5000
