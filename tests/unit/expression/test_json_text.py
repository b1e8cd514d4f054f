"""JSON texts with expressions."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.expression.evaluate import evaluate
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.expression.model import ArrayTemplate, Constant, Expression, ObjectTemplate, Text
from airflow_arazzo.expression.names import Names
from airflow_arazzo.expression.parser import parse_json_text

Read = Callable[..., tuple[Any, list[tuple[str, int]]]]

ID = Expression("inputs", name="id", text="$inputs.id")


def test_quotes_make_text_and_their_lack_keeps_the_type(read: Read) -> None:
    template, problems = read(
        parse_json_text, '{"a": "{$inputs.id}", "b": {$inputs.id}, "c": ["x{$inputs.id}"]}'
    )
    assert problems == []
    assert template == ObjectTemplate(
        (("a", Text((ID,))), ("b", ID), ("c", ArrayTemplate((Text(("x", ID)),))))
    )


def test_without_braces(read: Read) -> None:
    text = '{"a": $inputs.id, "b": "$inputs.id", "c": "x $inputs.id"}'
    template, problems = read(parse_json_text, text)
    assert template == ObjectTemplate((("a", ID), ("b", Text((ID,))), ("c", Text(("x ", ID)))))
    assert problems == [("bare-expression", 6), ("bare-expression", 24), ("bare-expression", 45)]


def test_no_expressions_make_a_constant_with_every_digit_and_in_order(read: Read) -> None:
    template, _ = read(
        parse_json_text,
        ' {"b":[1.10, 1e2, -0.0, 12345678901234567890123, "\\u00e9\\ud83d\\ude00\\n"],"a":{}} ',
    )
    assert template == Constant(
        {
            "b": [Decimal("1.10"), Decimal("1E+2"), Decimal("-0.0"), 12345678901234567890123, "é😀\n"],
            "a": {},
        }
    )
    assert list(template.value) == ["b", "a"]
    assert str(template.value["b"][0]) == "1.10"


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ('{"a": {$inputs.nope}}', "unknown-input", 15),
        ('{"a": "{$inputs.nope}"}', "unknown-input", 16),
        ('{"\\n\\u0041": "\\"\\u00e9 {$inputs.nope}"}', "unknown-input", 32),
        ('{"a": "\\ud83d\\ude00\\n {$inputs.nope}"}', "unknown-input", 31),
        ('{"{$inputs.id}": 1}', "expression-in-name", 2),
        ('{"a": {$statusCode 1}}', "bad-expression", 18),
    ],
)
def test_problems_point_into_the_text(text: str, code: str, offset: int, read: Read) -> None:
    assert read(parse_json_text, text)[1] == [(code, offset)]


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ('{"a" 1}', 5),
        ('{"a": 1 "b": 2}', 8),
        ('{"a": 1,}', 8),
        ("[1, 2", 5),
        ('{"a": "x}', 9),
        ('{"a": "\\x"}', 7),
        ('{"a": "\\ud83d"}', 7),
        ('{"a": "\\ude00\\ud83d"}', 7),
        ('{"a": 01}', 6),
        ('{"a": 1e1234567890}', 6),
        ('{"a": 1} x', 9),
        ("{'a': 1}", 1),
        ('{"a": {$foo}}', 6),
        ('{"a": $inputs.nope}', 18),
        ("[" * 300, 201),
    ],
)
def test_what_begins_like_json_and_is_not(text: str, offset: int, read: Read) -> None:
    assert read(parse_json_text, text) == (None, [("not-json", offset)])


@pytest.mark.parametrize("text", ["", "  ", "hello", "<a>{$inputs.id}</a>", "a=1&b={$inputs.id}"])
def test_other_text(text: str, read: Read) -> None:
    assert read(parse_json_text, text) == (None, [])


def test_a_value_cannot_break_out_of_its_string(read: Read, values: Any) -> None:
    template, _ = read(parse_json_text, '{"a": "x{$inputs.id}", "admin": false}')
    value = 'x", "admin": true, "b": "\\'
    result = json.loads(encode_json(evaluate(template, values(inputs={"id": value}))))
    assert result == {"a": "x" + value, "admin": False}


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="${"))
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@given(trees, st.sampled_from([None, 2]), st.booleans())
def test_reads_what_json_writes(value: Any, indent: int | None, ascii_: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_)
    problems: list[Any] = []
    template = parse_json_text(text, Names(), problems)
    assert template == Constant(value)
    assert problems == []


@given(st.text() | st.text('{}[]",:$\\ 1eE.-inputsd\n'))
def test_never_raises(text: str) -> None:
    parse_json_text(text, Names(inputs=frozenset({"id"})), [])
