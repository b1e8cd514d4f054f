"""Workflow inputs as JSON Schema 2020-12, the data types, and secrets among them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_arazzo.engine.inputs import InvalidInputs
from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
INPUTS, TYPES, REFERENCES = "Inputs (JSON Schema)", "Data Types", "Relative References"
ECHO = "  steps: [{stepId: s, operationId: createPet, requestBody: {payload: {x: $inputs.x}}}]\n"


def workflow(schema: str, rest: str = "") -> str:
    return f"- workflowId: w\n  inputs: {schema}\n{ECHO}{rest}"


def echoed(arazzo: Arazzo, schema: str, inputs: dict[str, Any], rest: str = "") -> Any:
    """The input ``x`` as a request carries it, or ``refused``, or ``absent``."""
    try:
        run = arazzo.run(workflow(schema, rest), reply(201), inputs=inputs)
    except InvalidInputs:
        return "refused"
    return json.loads(run.body()).get("x", "absent")


def of(schema: str) -> str:
    return f"{{type: object, properties: {{x: {schema}}}}}"


@cases(
    "schema, good, bad",
    case("string", BOTH, TYPES, "`string`", "{type: string}", "a", 1),
    case("number", BOTH, TYPES, "`number`", "{type: number}", 1.5, "1.5"),
    case("integer", BOTH, TYPES, "`integer`: a number without fraction", "{type: integer}", 3, 3.5),
    case("boolean", BOTH, TYPES, "`boolean`", "{type: boolean}", True, "true"),
    case("array", BOTH, TYPES, "`array`", "{type: array, items: {type: string}}", ["a"], [1]),
    case("object", BOTH, TYPES, "`object`", "{type: object, required: [a]}", {"a": 1}, {}),
    case("null", BOTH, TYPES, "`null`, also beside other types", "{type: [string, 'null']}", None, 5),
    case(
        "int32", BOTH, TYPES, "`format`: `int32` is a hint", "{type: integer, format: int32}", 2147483648, "a"
    ),
    case(
        "int64",
        BOTH,
        TYPES,
        "`format`: `int64` is a hint; all digits are kept",
        "{type: integer, format: int64}",
        9223372036854775807,
        "a",
    ),
    case("float", BOTH, TYPES, "`format`: `float` is a hint", "{type: number, format: float}", 0.1, "a"),
    case("double", BOTH, TYPES, "`format`: `double` is a hint", "{type: number, format: double}", 10.25, "a"),
    case("enum", BOTH, INPUTS, "`enum`", "{enum: [a, 1]}", 1, 2),
    case("const", BOTH, INPUTS, "`const`", "{const: {a: 1}}", {"a": 1}, {"a": 2}),
    case(
        "range",
        BOTH,
        INPUTS,
        "`minimum`, `exclusiveMaximum`, `multipleOf`",
        "{minimum: 1, exclusiveMaximum: 4, multipleOf: 0.5}",
        3.5,
        4,
    ),
    case("length", BOTH, INPUTS, "`minLength`, `maxLength`", "{minLength: 2, maxLength: 3}", "ab", "a"),
    case("pattern", BOTH, INPUTS, "`pattern`", "{pattern: '^[a-z]+$'}", "abc", "A"),
    case("allOf", BOTH, INPUTS, "`allOf`", "{allOf: [{minimum: 1}, {maximum: 3}]}", 2, 4),
    case("anyOf", BOTH, INPUTS, "`anyOf`", "{anyOf: [{type: string}, {minimum: 5, type: integer}]}", 6, 4),
    case("oneOf", BOTH, INPUTS, "`oneOf`", "{oneOf: [{minimum: 1}, {maximum: 3}]}", 4, 2),
    case("not", BOTH, INPUTS, "`not`", "{not: {type: string}}", 1, "a"),
    case(
        "if",
        BOTH,
        INPUTS,
        "`if`, `then`, `else`",
        "{if: {type: string}, then: {minLength: 3}, else: {minimum: 3}}",
        "abc",
        2,
    ),
    case(
        "prefixItems",
        BOTH,
        INPUTS,
        "`prefixItems`",
        "{prefixItems: [{type: string}], items: false}",
        ["a"],
        ["a", 1],
    ),
    case(
        "contains",
        BOTH,
        INPUTS,
        "`contains`, `minContains`",
        "{contains: {const: 1}, minContains: 2}",
        [1, 1],
        [1],
    ),
    case("unique", BOTH, INPUTS, "`uniqueItems`", "{uniqueItems: true}", [1, 2], [1, 1]),
    case(
        "dependent",
        BOTH,
        INPUTS,
        "`dependentRequired`",
        "{dependentRequired: {a: [b]}}",
        {"a": 1, "b": 2},
        {"a": 1},
    ),
    case(
        "additional",
        BOTH,
        INPUTS,
        "`additionalProperties`",
        "{properties: {a: {}}, additionalProperties: false}",
        {"a": 1},
        {"b": 1},
    ),
    case(
        "patterns",
        BOTH,
        INPUTS,
        "`patternProperties`",
        "{patternProperties: {'^n': {type: integer}}}",
        {"n1": 1},
        {"n1": "a"},
    ),
    case("names", BOTH, INPUTS, "`propertyNames`", "{propertyNames: {maxLength: 2}}", {"ab": 1}, {"abc": 1}),
    case(
        "unevaluated",
        BOTH,
        INPUTS,
        "`unevaluatedProperties`",
        "{allOf: [{properties: {a: {}}}], unevaluatedProperties: false}",
        {"a": 1},
        {"b": 1},
    ),
    case(
        "date",
        BOTH,
        INPUTS,
        "`format`: dates are checked",
        "{type: string, format: date}",
        "2024-02-29",
        "2023-02-29",
    ),
)
def test_keywords(arazzo: Arazzo, schema: str, good: Any, bad: Any) -> None:
    assert echoed(arazzo, of(schema), {"x": good}) == good
    assert echoed(arazzo, of(schema), {"x": bad}) == "refused"


@rule(BOTH, INPUTS, "a boolean may stand for a schema")
def test_boolean_schema(arazzo: Arazzo) -> None:
    assert echoed(arazzo, of("true"), {"x": [1]}) == [1]
    assert echoed(arazzo, of("false"), {"x": [1]}) == "refused"


@rule(BOTH, INPUTS, "`required`: without the input nothing is sent")
def test_required(arazzo: Arazzo) -> None:
    schema = "{type: object, required: [x], properties: {x: {}}}"
    assert echoed(arazzo, schema, {"x": 1}) == 1
    with pytest.raises(InvalidInputs, match="'x' is required"):
        arazzo.run(workflow(schema), inputs={})


@rule(
    BOTH,
    INPUTS,
    "inputs that the schema does not name are refused",
    differs="JSON Schema lets them pass by default",
)
def test_unknown_input(arazzo: Arazzo) -> None:
    with pytest.raises(InvalidInputs, match="has no input 'y'"):
        arazzo.run(workflow(of("{}")), inputs={"x": 1, "y": 2})


@rule(BOTH, INPUTS, "`additionalProperties: true` lets other inputs pass, and expressions name them")
def test_open_inputs(arazzo: Arazzo) -> None:
    assert echoed(arazzo, "{type: object, additionalProperties: true}", {"x": 1, "y": 2}) == 1


@cases(
    "default, expected",
    case("text", BOTH, INPUTS, "`default` fills an input that is not given", "sold", "sold"),
    case("object", BOTH, INPUTS, "`default` may be an object", "{a: [1]}", {"a": [1]}),
    case("null", BOTH, INPUTS, "`default` may be null", "null", None),
)
def test_defaults(arazzo: Arazzo, default: str, expected: Any) -> None:
    schema = of(f"{{default: {default}}}")
    assert echoed(arazzo, schema, {}) == expected
    assert echoed(arazzo, schema, {"x": "given"}) == "given"


@rule(BOTH, INPUTS, "`default` fills inputs before they are checked, in called workflows too")
def test_defaults_in_calls(arazzo: Arazzo) -> None:
    called = workflow("{type: object, required: [x], properties: {x: {default: 5}}}").replace(
        "workflowId: w", "workflowId: v"
    )
    run = arazzo.run(one_step("workflowId: v") + called, reply(201))
    assert run.body() == '{"x":5}'


@rule(BOTH, INPUTS, "a called workflow checks its inputs; the calling step fails")
def test_inputs_of_calls(arazzo: Arazzo) -> None:
    called = workflow(of("{type: integer}")).replace("workflowId: w", "workflowId: v")
    run = arazzo.run(one_step("workflowId: v\nparameters: [{name: x, value: five}]") + called)
    assert (run.sent, run.failure.partition(":")[0]) == ([], "inputs")


@rule(BOTH, INPUTS, "an input that is not given has no value")
def test_absent(arazzo: Arazzo) -> None:
    assert echoed(arazzo, of("{type: string}"), {}) == "absent"


COMPONENT = "components: {inputs: {page: {type: object, properties: {x: {type: integer}}}}}\n"


@rule(BOTH, INPUTS, "`$ref` to `#/components/inputs`")
def test_ref(arazzo: Arazzo) -> None:
    schema = "{$ref: '#/components/inputs/page'}"
    assert echoed(arazzo, schema, {"x": 1}, COMPONENT) == 1
    assert echoed(arazzo, schema, {"x": "a"}, COMPONENT) == "refused"


@rule(BOTH, INPUTS, "`$ref` of one property, and keywords beside it")
def test_ref_of_property(arazzo: Arazzo) -> None:
    schema = of("{$ref: '#/components/inputs/size', maximum: 5}")
    rest = "components: {inputs: {size: {type: integer}}}\n"
    assert echoed(arazzo, schema, {"x": 5}, rest) == 5
    assert echoed(arazzo, schema, {"x": 6}, rest) == "refused"
    assert echoed(arazzo, schema, {"x": "5"}, rest) == "refused"


@rule(BOTH, INPUTS, "`allOf` with `$ref`: inputs of several schemas")
def test_all_of(arazzo: Arazzo) -> None:
    schema = "{allOf: [{$ref: '#/components/inputs/page'}, {type: object, properties: {y: {default: 1}}}]}"
    assert echoed(arazzo, schema, {"x": 1, "y": 2}, COMPONENT) == 1
    assert echoed(arazzo, schema, {"x": "a"}, COMPONENT) == "refused"


@rule(BOTH, INPUTS, "`$ref` to `$defs` of the schema")
def test_defs(arazzo: Arazzo) -> None:
    schema = (
        "{type: object, properties: {x: {$ref: '#/workflows/0/inputs/$defs/size'}}, "
        "$defs: {size: {minimum: 2}}}"
    )
    assert echoed(arazzo, schema, {"x": 2}) == 2
    assert echoed(arazzo, schema, {"x": 1}) == "refused"


@rule("1.1", INPUTS, "`$ref` to an `$anchor`")
def test_anchor(arazzo: Arazzo) -> None:
    rest = "components: {inputs: {size: {$anchor: small, maximum: 5}}}\n"
    assert echoed(arazzo, of("{$ref: '#small'}"), {"x": 5}, rest) == 5
    assert echoed(arazzo, of("{$ref: '#small'}"), {"x": 6}, rest) == "refused"


@rule(BOTH, REFERENCES, "`$ref` to another file, relative to the document")
def test_other_file(arazzo: Arazzo) -> None:
    arazzo.write(
        "schemas/inputs.yaml", "page: {type: object, properties: {x: {$ref: '#/size'}}}\nsize: {maximum: 5}\n"
    )
    schema = "{$ref: 'schemas/inputs.yaml#/page'}"
    assert echoed(arazzo, schema, {"x": 5}) == 5
    assert echoed(arazzo, schema, {"x": 6}) == "refused"


@rule("1.1", REFERENCES, "`$ref` to an `$anchor` of another file")
def test_anchor_of_other_file(arazzo: Arazzo) -> None:
    arazzo.write("inputs.yaml", "a: {b: [{$anchor: small, maximum: 5}]}\n")
    assert echoed(arazzo, of("{$ref: 'inputs.yaml#small'}"), {"x": 6}) == "refused"
    assert echoed(arazzo, of("{$ref: 'inputs.yaml#small'}"), {"x": 5}) == 5


@cases(
    "reference",
    case(
        "pointer",
        BOTH,
        REFERENCES,
        "a JSON Pointer fragment must lead somewhere",
        "'#/components/inputs/none'",
    ),
    case("anchor", BOTH, REFERENCES, "a plain-name fragment must lead somewhere", "'#none'"),
    case("file", BOTH, REFERENCES, "a relative reference must lead to a file", "none.yaml"),
    case(
        "remote",
        BOTH,
        REFERENCES,
        "remote references are not fetched, but refused",
        "'https://x.example/a.yaml'",
    ),
)
def test_broken_references(arazzo: Arazzo, reference: str) -> None:
    arazzo.refused(workflow(f"{{$ref: {reference}}} # HERE"), "broken-reference")


@rule(
    BOTH, TYPES, "`format`: `password` hides a value: it comes from the connection, not from the run's inputs"
)
def test_password(arazzo: Arazzo) -> None:
    text = workflow(of("{type: string, format: password}"))
    assert "x" not in arazzo.plan(text).root.inputs["properties"]
    with pytest.raises(InvalidInputs, match="is a credential"):
        arazzo.run(text, inputs={"x": "s3cret"})
    run = arazzo.run(text, reply(201), secrets={("w", "x"): "s3cret"})
    assert run.body() == '{"x":"s3cret"}'
