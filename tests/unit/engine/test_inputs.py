from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.engine import inputs
from airflow_arazzo.engine.input_schema import schema_findings
from airflow_arazzo.engine.inputs import InvalidInputs, allows_null, cast_text, exact, prepare_inputs
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.plan.model import CredentialInput, Workflow


def workflow(schema: dict[str, Any] | None = None, *required: str, **properties: Any) -> Workflow:
    inputs = schema or {"type": "object", "properties": properties, "required": list(required)}
    return Workflow("w", (), inputs=inputs, credentials={"key": CredentialInput("api", "scheme")})


def findings(one: Workflow, given_: dict[str, Any], **options: bool) -> list[tuple[str, str, str]]:
    with pytest.raises(InvalidInputs) as raised:
        prepare_inputs(one, given_, **options)
    return [(d.code, d.message, d.hint) for d in raised.value.diagnostics]


TEXT, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}


# --- what is there -------------------------------------------------------------------------------------


def test_defaults_fill_what_is_absent_and_nothing_else() -> None:
    one = workflow(
        a={**TEXT, "default": "x"},
        b={"type": ["string", "null"], "default": "x"},
        c={**INTEGER, "default": 5},
    )
    assert prepare_inputs(one, {}) == {"a": "x", "b": "x", "c": 5}
    assert prepare_inputs(one, {"a": "y", "b": None}) == {"a": "y", "b": None, "c": 5}
    assert prepare_inputs(one, {"a": None}, null_is_absent=True) == {"a": "x", "b": "x", "c": 5}


def test_a_default_counts_for_required_and_is_not_shared_between_runs() -> None:
    one = workflow(None, "tags", tags={"type": "array", "default": ["a"]})
    first = prepare_inputs(one, {})
    first["tags"].append("b")
    assert prepare_inputs(one, {}) == {"tags": ["a"]}


def test_a_default_is_checked_and_made_exact_as_values_are() -> None:
    assert prepare_inputs(workflow(n={**INTEGER, "default": Decimal("3.0")}), {}) == {"n": 3}
    assert findings(workflow(n={**INTEGER, "default": "x"}), {})[0][:2] == (
        "wrong-input",
        "input 'n': \"x\" is not of type integer",
    )


def test_every_missing_input_is_named_with_what_is_known_of_it() -> None:
    one = workflow(None, "a", "b'c", a={**TEXT, "description": "Who pays.\nMore."}, **{"b'c": NUMBER})
    assert findings(one, {}) == [
        ("missing-input", "input 'a' is required", "string, Who pays."),
        ("missing-input", 'input "b\'c" is required', "number"),
    ]


def test_a_name_that_several_parts_of_the_schema_require_is_missing_once() -> None:
    part = {"type": "object", "required": ["a"], "properties": {"a": TEXT}}
    one = workflow({**part, "allOf": [part]})
    assert [code for code, _, _ in findings(one, {})] == ["missing-input"]


def test_an_unknown_input_is_refused_with_a_guess() -> None:
    one = workflow(customerId=TEXT)
    assert findings(one, {"customerID": "x"}) == [
        ("unknown-input", "workflow 'w' has no input 'customerID'", "did you mean 'customerId'?")
    ]
    assert findings(Workflow("w", ()), {"x": 1})[0][0] == "unknown-input"
    assert prepare_inputs(one, {"other": 1}, handed_over=True) == {"other": 1}


@pytest.mark.parametrize(
    "more", [{"additionalProperties": True}, {"additionalProperties": {}}, {"patternProperties": {"^x-": {}}}]
)
def test_a_schema_may_allow_other_names(more: dict[str, Any]) -> None:
    one = workflow({"type": "object", "properties": {"a": TEXT}, **more})
    assert prepare_inputs(one, {"x-b": 1}) == {"x-b": 1}


def test_a_credential_is_refused_without_repeating_it() -> None:
    found = findings(workflow(a=TEXT), {"key": "hunter2", "a": 1})
    assert found[0] == (
        "credential-input",
        "input 'key' is a credential; it comes from the connection of source 'api'",
        "remove it from the inputs",
    )
    assert "hunter2" not in str(found)
    assert prepare_inputs(workflow(a=TEXT), {"key": "k"}, handed_over=True) == {"key": "k"}


# --- null ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "allowed"),
    [
        (TEXT, False),
        ({}, False),
        (True, False),
        ({"type": "null"}, True),
        ({"type": ["string", "null"]}, True),
        ({"type": "string", "nullable": True}, True),
        ({"enum": ["a", None]}, True),
        ({"enum": ["a"]}, False),
        ({"const": None}, True),
        ({"anyOf": [TEXT, {"type": "null"}]}, True),
        ({"oneOf": [TEXT, INTEGER]}, False),
    ],
)
def test_null_is_a_value_only_where_the_schema_says_so(schema: Any, allowed: bool) -> None:
    assert allows_null(schema) is allowed


def test_an_explicit_null_is_a_fault_where_leaving_out_is_possible() -> None:
    assert findings(workflow(a=TEXT), {"a": None}) == [
        ("wrong-input", "input 'a': null is not of type string", "leave it out")
    ]
    assert prepare_inputs(workflow(a=TEXT), {"a": None}, null_is_absent=True) == {}
    assert findings(workflow(None, "a", a=TEXT), {"a": None}, null_is_absent=True)[0][0] == "missing-input"


# --- numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "schema", "written"),
    [
        (10.10, NUMBER, b"10.1"),
        (Decimal("10.10"), NUMBER, b"10.10"),
        (1e22, NUMBER, b"10000000000000000000000"),
        (0.1 + 0.2, NUMBER, b"0.30000000000000004"),
        (1e-7, NUMBER, b"0.0000001"),
        (123456789012345678901234567890, INTEGER, b"123456789012345678901234567890"),
        (Decimal("5.0"), INTEGER, b"5"),
        (5.0, INTEGER, b"5"),
        (1e22, INTEGER, b"10000000000000000000000"),
        (Decimal("5.0"), NUMBER, b"5.0"),
        (Decimal("5.0"), {"type": ["integer", "null"]}, b"5"),
        (Decimal("5.0"), {"anyOf": [INTEGER, {"type": "null"}]}, b"5"),
        ([Decimal("1.0"), 2], {"type": "array", "items": INTEGER}, b"[1,2]"),
        ({"n": 1.0}, {"type": "object", "properties": {"n": INTEGER}}, b'{"n":1}'),
        ((1, 2.50), None, b"[1,2.5]"),
        (True, INTEGER, b"true"),
        ("007", INTEGER, b'"007"'),
    ],
)
def test_numbers_keep_their_digits_and_integers_have_no_fraction(
    value: Any, schema: Any, written: bytes
) -> None:
    assert encode_json(exact(value, schema)) == written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("-Infinity"), [float("nan")]])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    ((code, message, _),) = findings(workflow(a={}), {"a": value})
    assert code == "wrong-input"
    assert message.startswith("input 'a' is ")


def test_values_that_json_does_not_know_are_refused() -> None:
    assert findings(workflow(a={}), {"a": {1, 2}})[0][1] == "input 'a' is set, which JSON does not know"
    huge = findings(workflow(a=INTEGER), {"a": Decimal("1e999999")})
    assert huge[0][1] == "input 'a' is 1E+999999, which has too many digits"


def test_an_integer_with_a_fraction_is_a_fault_and_an_integral_one_is_none() -> None:
    one = workflow(a=INTEGER, b={"not": {}, "anyOf": [{"$comment": "no type", "multipleOf": 2}]})
    assert findings(workflow(a=INTEGER), {"a": 1.5}) == [
        ("wrong-input", "input 'a': 1.5 is not of type integer", "")
    ]
    assert prepare_inputs(one, {"a": 2.0}) == {"a": 2}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_taken_with_the_digits_that_it_prints_with(value: float) -> None:
    assert float(exact(value, NUMBER)) == value


# --- the schema ----------------------------------------------------------------------------------------


def test_a_fault_deep_inside_is_pointed_at() -> None:
    one = workflow(a={"type": "object", "properties": {"b": {"type": "array", "items": {"maximum": 2}}}})
    assert findings(one, {"a": {"b": [1, Decimal("2.5")]}}) == [
        ("wrong-input", "input 'a' at /b/1: 2.5 is greater than the maximum of 2", "")
    ]


def test_long_values_are_not_repeated_at_length() -> None:
    ((_, message, _),) = findings(workflow(a=NUMBER), {"a": "x" * 5000})
    assert len(message) < 300


def test_a_schema_that_cannot_be_applied_is_not_the_inputs_fault() -> None:
    ((code, message, _),) = findings(workflow(a={"type": "no such type"}), {"a": 1})
    assert code == "input-schema"
    assert message.startswith("the inputs' schema cannot be applied")


def test_two_schemas_are_not_taken_for_each_other() -> None:
    for kind, value in (("string", "x"), ("integer", 1), ("boolean", True)) * 50:
        assert prepare_inputs(workflow(a={"type": kind}), {"a": value}) == {"a": value}
        assert findings(workflow(a={"type": kind}), {"a": []})


# --- rendered texts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        (" 5 ", TEXT, " 5 "),
        ("", TEXT, ""),
        ("5", {}, "5"),
        ("5", {"type": ["string", "integer"]}, "5"),
        ("5", INTEGER, 5),
        ("+5", INTEGER, 5),
        (" -5\n", INTEGER, -5),
        ("5.0", INTEGER, 5),
        ("1e3", INTEGER, 1000),
        ("007", INTEGER, 7),
        ("10.10", NUMBER, Decimal("10.10")),
        (".5", NUMBER, Decimal("0.5")),
        ("123456789012345678901234567890", NUMBER, 123456789012345678901234567890),
        ("5", {"anyOf": [INTEGER, {"type": "null"}]}, 5),
        ("True", {"type": "boolean"}, True),
        ("false", {"type": ["boolean", "null"]}, False),
        ("", INTEGER, None),
        ("None", {"type": "object"}, None),
        ("null", {"type": ["integer", "null"]}, None),
        ('["a", 1.50]', {"type": "array"}, ["a", Decimal("1.50")]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("[1]", {"type": ["integer", "array"]}, [1]),
        ("1", {"type": ["integer", "array"]}, 1),
    ],
)
def test_a_text_becomes_what_its_schema_says(text: str, schema: Any, value: Any) -> None:
    found = cast_text(text, schema)
    assert found == value
    assert type(found) is type(value)
    assert str(found) == str(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1_000", "integer"),
        ("1,000", "number"),
        ("NaN", "number"),
        ("Infinity", "number"),
        ("0x10", "integer"),
        ("²", "integer"),
        ("\u0661", "integer"),
        ("five", "integer"),
        ("yes", "boolean"),
        ("1", "boolean"),
        ("{'a': 1}", "object"),
        ("a, b", "array"),
    ],
)
def test_a_text_that_is_no_such_value_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=f"expected {kind}"):
        cast_text(text, {"type": kind})


_SCALARS = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
_VALUES = _SCALARS | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
_KEYWORDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "boolean", "null", ["string", "null"]]),
        "title": st.just("t"),
        "minimum": st.just(3),
        "enum": st.just(["a", 1]),
        "pattern": st.just("^b"),
        "format": st.just("date"),
    },
)
_NAMES = st.sampled_from(["a", "b", "c"])
_OBJECTS = st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(_NAMES, _KEYWORDS)},
    optional={
        "required": st.lists(_NAMES, unique=True),
        "additionalProperties": st.booleans() | _KEYWORDS,
        "minProperties": st.just(2),
    },
)


@given(_OBJECTS, st.dictionaries(_NAMES, _VALUES))
def test_what_is_valid_at_a_glance_is_valid(schema: dict[str, Any], values: dict[str, Any]) -> None:
    if inputs._is_plainly_valid(schema, values):
        assert schema_findings(Workflow(id="w", steps=(), inputs=schema), values) == []


def test_usual_inputs_are_valid_at_a_glance() -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "string"}, "b": {"type": "number", "description": "d", "default": 1}},
    }
    assert inputs._is_plainly_valid(schema, {"a": "x", "b": Decimal("1.5")})
    assert not inputs._is_plainly_valid(schema, {"b": 1})
    assert not inputs._is_plainly_valid(schema, {"a": "x", "b": True})
