"""Templates to values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from airflow_arazzo.expression.evaluate import AbsentInText, evaluate
from airflow_arazzo.expression.model import (
    ABSENT,
    ArrayTemplate,
    Constant,
    Expression,
    ObjectTemplate,
    Select,
    Template,
    Text,
    Typed,
)

ID = Expression("inputs", name="id", text="$inputs.id")
DEEP = Expression("inputs", name="id", path=("a", "1"), text="$inputs.id#/a/1")
MISSING = Expression("inputs", name="missing", text="$inputs.missing")
BODY = Expression("response", part="body", text="$response.body")


@pytest.mark.parametrize("value", [1, "x", None, True, Decimal("10.10"), [1], {"a": 1}, ""])
def test_an_expression_keeps_its_type(value: Any, values: Any) -> None:
    found = evaluate(ID, values(inputs={"id": value}))
    assert found == value
    assert type(found) is type(value)


def test_paths(values: Any) -> None:
    assert evaluate(DEEP, values(inputs={"id": {"a": [1, "x"]}})) == "x"
    assert evaluate(DEEP, values(inputs={"id": {"a": [1]}})) is ABSENT
    assert evaluate(DEEP, values(inputs={"id": "text"})) is ABSENT
    assert evaluate(DEEP, values()) is ABSENT


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "evt-x"),
        (5, "evt-5"),
        (Decimal("10.10"), "evt-10.10"),
        (True, "evt-true"),
        (None, "evt-null"),
        ({"a": [1]}, 'evt-{"a":[1]}'),
        ("", "evt-"),
    ],
)
def test_text(value: Any, text: str, values: Any) -> None:
    assert evaluate(Text(("evt-", ID)), values(inputs={"id": value})) == text


def test_absent_in_text_is_refused_and_named(values: Any) -> None:
    with pytest.raises(AbsentInText, match=r"\$inputs.id has no value") as caught:
        evaluate(ObjectTemplate((("a", ArrayTemplate((Text(("evt-", ID)),))),)), values())
    assert caught.value.expression == ID


def test_absent_in_text_may_be_empty(values: Any) -> None:
    template = ObjectTemplate((("a", Text(("evt-", ID))), ("b", Text((ID,)))))
    assert evaluate(template, values(), absent_text="empty") == {"a": "evt-", "b": ""}


def test_absent_members_and_items_are_left_out_and_null_is_not(values: Any) -> None:
    template = ObjectTemplate(
        (
            ("z", ID),
            ("missing", MISSING),
            ("list", ArrayTemplate((MISSING, ID, Constant(None)))),
            ("inner", ObjectTemplate((("missing", MISSING),))),
            ("null", Constant(None)),
        )
    )
    found = evaluate(template, values(inputs={"id": None}))
    assert found == {"z": None, "list": [None, None], "inner": {}, "null": None}
    assert list(found) == ["z", "list", "inner", "null"]


def test_absent_alone(values: Any) -> None:
    assert evaluate(MISSING, values()) is ABSENT
    assert evaluate(Typed(MISSING, "integer"), values()) is ABSENT


@pytest.mark.parametrize(
    ("value", "integer"),
    [
        (Decimal("5.0"), 5),
        (Decimal("1E+2"), 100),
        (5.0, 5),
        (Decimal("5.5"), Decimal("5.5")),
        ("5.0", "5.0"),
        (True, True),
        (None, None),
        (Decimal("1E+999999"), Decimal("1E+999999")),
    ],
)
def test_integers_carry_no_fraction(value: Any, integer: Any, values: Any) -> None:
    found = evaluate(Typed(ID, "integer"), values(inputs={"id": value}))
    assert found == integer
    assert type(found) is type(integer)


def test_constants_are_not_shared(values: Any) -> None:
    template = ObjectTemplate((("a", Constant({"b": [1]})),))
    first = evaluate(template, values())
    first["a"]["b"].append(2)
    first["a"]["c"] = 3
    assert evaluate(template, values()) == {"a": {"b": [1]}}


def test_selectors(values: Any, body: Any) -> None:
    one = Select(BODY, "$.items[1].s", "jsonpath", "rfc9535")
    many = Select(BODY, "$.items[*].id", "jsonpath", "rfc9535")
    assert evaluate(one, values(body=body)) == "b"
    assert evaluate(many, values(body=body)) == [1, 2]
    assert evaluate(one, values()) is ABSENT
    assert evaluate(Typed(one, "integer"), values(body={"items": [0, {"s": Decimal("2.0")}]})) == 2


def test_templates_survive_a_plan(values: Any) -> None:
    template: Template = ObjectTemplate(
        (
            ("a", Text(("x", ID))),
            ("b", ArrayTemplate((DEEP, Constant(Decimal("1.10"))))),
            ("c", Select(BODY, "$.x", "jsonpath", "rfc9535", Text(("$.", ID)))),
            ("d", Typed(ID, "integer")),
        )
    )
    encoded = msgspec.json.Encoder(decimal_format="number").encode(template)
    decoded = msgspec.json.Decoder(Template, float_hook=Decimal).decode(encoded)
    assert decoded == template
    assert str(decoded.members[1][1].items[1].value) == "1.10"
