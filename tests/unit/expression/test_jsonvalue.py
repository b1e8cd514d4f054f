"""JSON text of values, and text of values."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.expression.jsonvalue import (
    _encoder,
    _is_writable,
    _writable,
    decode_json,
    encode_json,
    plain_number,
    to_text,
)
from airflow_arazzo.expression.model import ABSENT


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":2}',
        "10.10",
        "-0.0",
        "0.00000001",
        "123456789012345678901234567890",
        "123456789012345678901234567890.123456789012345678901234567890",
        '["é","\\n",true,null]',
    ],
)
def test_text_survives(text: str) -> None:
    assert encode_json(decode_json(text)).decode() == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("1.50E+1"), "15.0"),
        (1e-7, "0.0000001"),
        (0.1, "0.1"),
        ({"x": [Decimal("2E+2")]}, '{"x":[200]}'),
        ((1, 2), "[1,2]"),
    ],
)
def test_never_an_exponent(value: Any, text: str) -> None:
    assert encode_json(value).decode() == text


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("-Infinity"),
        Decimal("sNaN"),
        Decimal("1E+999999"),
        Decimal("1E-999999"),
        "\ud800",
    ],
)
def test_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several messages
        encode_json([value])


@pytest.mark.parametrize("value", [ABSENT, object(), {1, object()}])
def test_not_a_json_value(value: Any) -> None:
    with pytest.raises(TypeError):
        encode_json({"a": value})


def test_too_deep() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="deep"):
        encode_json(value)
    with pytest.raises(ValueError, match="deep"):
        decode_json("[" * 100_000)


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "{'a':1}", "NaN", "1 2", '"\\ud800"', "01", "nul", "1e" + "9" * 30]
)
def test_not_json(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's messages
        decode_json(text)


def test_byte_order_mark() -> None:
    assert decode_json(b"\xef\xbb\xbf{}") == {}


def test_no_floats() -> None:
    assert decode_json("[1.0, 1e2, 1]") == [Decimal("1.0"), Decimal("1E+2"), 1]
    assert [type(item) for item in decode_json("[1.0, 1e2, 1]")] == [Decimal, Decimal, int]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as is", "as is"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (Decimal("10.10"), "10.10"),
        (Decimal("1E+2"), "100"),
        ({"b": 1, "a": [Decimal("1.0")]}, '{"b":1,"a":[1.0]}'),
        ([], "[]"),
    ],
)
def test_text_of_values(value: Any, text: str) -> None:
    assert to_text(value) == text


def test_text_of_absent_is_a_mistake() -> None:
    with pytest.raises(TypeError):
        to_text(ABSENT)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_plain_numbers_keep_their_value(number: Decimal) -> None:
    text = plain_number(number)
    assert Decimal(text) == number
    assert "E" not in text.upper()


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?", fullmatch=True).filter(lambda text: text != "-0")
)
def test_lexemes_survive(lexeme: str) -> None:
    assert encode_json(decode_json(lexeme)).decode() == lexeme


plain = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]))
trees = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text("abc é"), inner))


@given(trees)
def test_is_json(value: Any) -> None:
    text = encode_json(value)
    assert json.loads(text) == value
    assert decode_json(text) == value


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False), st.integers()
)


@given(
    st.recursive(
        st.one_of(numbers, st.text(), st.none(), st.booleans()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.tuples(inner),
            st.dictionaries(st.text(max_size=3), inner, max_size=3),
        ),
    )
)
def test_what_is_written_as_it_is_is_written_as_everything_is(value: Any) -> None:
    """Values that need no copy before they are written give the same bytes as their copy."""
    if not _is_writable(value):
        return
    assert encode_json(value) == _encoder.encode(_writable(value))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (1718153645.993, "1718153645.993"),
        (1e15, "1000000000000000.0"),
        (1e16, "10000000000000000"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (Decimal("10.10"), "10.10"),
        (Decimal("0E-10"), "0.0000000000"),
        (Decimal("1E+3"), "1000"),
    ],
)
def test_no_number_has_an_exponent(number: Any, text: str) -> None:
    assert encode_json({"n": [number]}).decode() == f'{{"n":[{text}]}}'
