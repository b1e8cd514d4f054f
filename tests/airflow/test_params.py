"""The trigger form: a param for each input, and what becomes of its values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from scripted import ScriptedApi, workflow

from airflow_arazzo.form import form_input, form_inputs
from airflow_arazzo.params import input_param, workflow_params
from airflow_arazzo.plan.model import CredentialInput, Workflow


def refuses(param: Any, value: Any) -> bool:
    from airflow.sdk.exceptions import ParamValidationError

    try:
        param.resolve(value)
    except ParamValidationError:
        return True
    return False


def resolved(schema: dict[str, Any], *, required: bool, section: str = "") -> Any:
    return input_param(form_input("x", schema, required=required), section=section)


def test_required() -> None:
    param = resolved({"type": "string", "description": " What it is. "}, required=True)
    assert param.schema == {"type": "string", "title": "x", "description_md": "What it is."}
    assert param.description is None
    assert refuses(param, None)
    assert not param.has_value
    assert param.resolve("a") == "a"


def test_optional() -> None:
    param = resolved({"type": "integer", "title": "How many", "minimum": 1}, required=False)
    assert param.schema == {"type": ["integer", "null"], "title": "How many", "minimum": 1}
    assert param.resolve() is None
    assert param.resolve(3) == 3
    assert refuses(param, 0)
    assert refuses(param, "3")


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, "a", 1),
        ({"type": "boolean"}, True, "yes"),
        ({"type": "number", "maximum": 1.5}, 1.5, 1.6),
        ({"type": "string", "enum": ["a", "b"]}, "a", "c"),
        ({"enum": ["a", 1]}, 1, 2),
        ({"type": "string", "format": "date"}, "2026-02-28", "2026-02-30"),
        ({"type": "string", "pattern": "^a"}, "ab", "ba"),
        ({"type": "array", "items": {"type": "string"}}, ["a"], [1]),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": 1}, {"a": "1"}),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1, 1.5),
        ({"type": "string", "oneOf": [{"const": "a"}, {"const": "b"}]}, "a", "c"),
        ({"const": "only"}, "only", "other"),
        ({"type": ["string", "integer"]}, 1, 1.5),
        ({"type": "string", "nullable": True}, "a", 1),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_kinds(schema: dict[str, Any], good: Any, bad: Any) -> None:
    """Airflow itself accepts and refuses what the schema does; an empty optional field is always accepted."""
    for required in (True, False):
        param = resolved(schema, required=required)
        assert param.resolve(good) == good
        assert refuses(param, bad)
    optional = resolved(schema, required=False)
    assert optional.resolve() is None
    assert optional.resolve(None) is None
    assert refuses(optional, bad)
    json.dumps(optional.dump())


def test_no_type_is_no_restriction() -> None:
    assert resolved({}, required=False).schema == {"title": "x"}


def test_enum_of_an_optional_input_can_be_left_empty() -> None:
    assert resolved({"type": "string", "enum": ["a"]}, required=False).schema == {
        "title": "x",
        "type": ["string", "null"],
        "enum": ["a", None],
    }


def test_descriptions_are_markdown_where_no_text_would_be_lost() -> None:
    """The form shows ``description_md`` only without a ``description``, and leaves out HTML."""
    plain = resolved({"type": "string", "description": "Written <plan>-<region>."}, required=True)
    assert plain.description == "Written <plan>-<region>."
    assert "description_md" not in plain.schema


def shown(schema: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """What of a schema decides how the form shows a field."""
    form = resolved(schema, **{"required": True, **kwargs}).schema
    return {name: value for name, value in form.items() if name not in ("title", "section")}


def test_choices_are_drop_downs() -> None:
    labelled = {"type": "string", "oneOf": [{"const": "m", "title": "Monthly"}, {"const": "y"}]}
    assert shown(labelled) == {"type": "string", "enum": ["m", "y"], "values_display": {"m": "Monthly"}}
    assert shown(labelled, required=False)["enum"] == ["m", "y", None]
    # The form hides what has a const, and then refuses it for being empty.
    assert shown({"const": "only"}) == {"enum": ["only"], "type": "string"}
    # A field without a type is not marked as required.
    assert shown({"enum": ["a", 1]})["type"] == ["string", "integer"]
    assert shown({"enum": ["a", None]})["type"] == ["string", "null"]


def test_types_inside_any_of_are_told_to_the_form() -> None:
    either = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}
    assert shown(either)["type"] == ["integer", "null"]
    optional = resolved(either, required=False)
    assert optional.schema["type"] == ["integer", "null"]
    assert refuses(optional, 0)
    assert refuses(optional, "1")
    assert shown({"allOf": [{"minLength": 1}, {"type": "string"}]})["type"] == "string"
    assert "type" not in shown({"anyOf": [{"type": "integer"}, {"minLength": 1}]})


def test_lists() -> None:
    lines = {"type": "array", "items": {"type": "string"}}
    assert shown(lines) == lines
    ticked = {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}
    assert shown(ticked) == {**ticked, "examples": ["a", "b"]}
    assert refuses(resolved(ticked, required=True), ["c"])
    # Airflow takes examples of a list for its choices; those of a document are lists themselves.
    assert shown({**lines, "examples": [["x"]]}) == lines
    things = {"type": "array", "items": {"properties": {"n": {"type": "integer"}}}}
    assert "object" in shown(things)["items"]["type"]
    param = resolved(things, required=True)
    assert param.resolve([{"n": 1}, "also allowed"]) == [{"n": 1}, "also allowed"]
    assert refuses(param, [{"n": "1"}])


def test_examples_are_suggestions_for_texts() -> None:
    assert shown({"type": "string", "example": "acme"}) == {
        "type": "string",
        "example": "acme",
        "examples": ["acme"],
    }
    assert "examples" not in shown({"type": "string", "examples": {"a": {"value": 1}}})
    assert "examples" not in shown({"type": ["integer", "string"], "examples": [1]})


def test_texts_of_several_lines() -> None:
    assert shown({"type": "string", "default": "a\nb"})["format"] == "multiline"
    assert shown({"type": "string", "contentMediaType": "text/markdown"})["format"] == "multiline"
    assert "format" not in shown({"type": "string", "default": "a"})
    assert shown({"type": "string", "format": "date", "default": "2026-01-01"})["format"] == "date"


def test_optional_inputs_are_folded_beside_required_ones() -> None:
    properties = {"a": {"type": "string"}, "b": {"type": "string"}, "c": {"section": "Mine"}}
    both = Workflow("w", (), inputs={"properties": properties, "required": ["a"]})
    assert [p.schema.get("section") for p in workflow_params(form_inputs(both)).values()] == [
        None,
        "Optional inputs",
        "Mine",
    ]
    # Where nothing is required, nothing is folded.
    rest = workflow_params(form_inputs(both), bound=["a"])
    assert [p.schema.get("section") for p in rest.values()] == [None, "Mine"]


def test_default() -> None:
    from decimal import Decimal

    param = resolved(
        {"type": "number", "default": Decimal("10.10"), "minimum": Decimal("0.1")}, required=False
    )
    assert param.resolve() == 10.1
    assert isinstance(param.resolve(), float)
    assert param.schema["minimum"] == 0.1
    assert resolved({"type": "integer", "default": 5}, required=True).resolve() == 5


def test_a_multiple_of_a_cent() -> None:
    """With floats 10.10 is no multiple of 0.01: Airflow would refuse the run."""
    from decimal import Decimal

    schema = {"type": "number", "multipleOf": Decimal("0.01")}
    assert resolved(schema, required=True).resolve(10.1) == 10.1
    whole = resolved({"type": "array", "items": {**schema, "multipleOf": 5}}, required=True)
    assert refuses(whole, [7])


def test_order_bound_inputs_and_credentials() -> None:
    properties = {"b": {"type": "string"}, "a": {"type": "string"}, "c": True}
    several = Workflow(
        "w",
        (),
        inputs={"properties": properties, "required": ["b"]},
        credentials={"key": CredentialInput("api")},
    )
    made = workflow_params(form_inputs(several), bound=["a"])
    assert list(made) == ["b", "c"]
    assert not made["b"].has_value
    assert made["c"].resolve() is None


# --- in a run ----------------------------------------------------------------------------------------

INPUTS = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "key": {"type": "string"},
        "text": {"type": "string"},
        "whole": {"type": "integer"},
        "amount": {"type": "number"},
        "flag": {"type": "boolean"},
        "thing": {"type": "object"},
        "list": {"type": "array", "items": {"type": "integer"}},
        "old": {"type": "string", "nullable": True},
        "either": {"type": ["string", "null"]},
        "preset": {"type": "integer", "default": 7},
    },
}
PAYLOAD = {name: f"$inputs.{name}" for name in INPUTS["properties"] if name != "key"}  # type: ignore[attr-defined]


@pytest.fixture
def send(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> Any:
    """Runs a workflow that sends its inputs back: ``send(conf, inputs=…)`` is the body, or the failed run."""

    def run(conf: Mapping[str, Any], *, whole_run: bool = False, **kwargs: Any) -> Any:
        step = {
            "stepId": "a",
            "parameters": [{"name": "X-API-KEY", "in": "header", "value": "$inputs.key"}],
            "requestBody": {"contentType": "application/json", "payload": PAYLOAD},
        }
        dag = workflow_dag(workflow("w", step, inputs=INPUTS), operations=["POST /a"], **kwargs)
        ran = run_dag(dag, conf, connections={"api": api.connection()})
        if whole_run or not api.bodies:
            return ran
        assert ran.state == "success"
        return api.bodies[0]

    return run


def test_the_form(workflow_dag: Any) -> None:
    dag = workflow_dag(
        workflow("w", {"stepId": "a"}, inputs=INPUTS), operations=["POST /a"], inputs={"whole": 1}
    )
    assert list(dag.params) == ["key", "text", "amount", "flag", "thing", "list", "old", "either", "preset"]


def test_empty_fields_send_nothing(send: Any) -> None:
    assert send({"text": "a"}) == '{"text":"a","preset":7}'


def test_what_the_form_sends_for_empty_fields(send: Any) -> None:
    """The form sends null for each; that means null only where the schema makes it a value of the input."""
    empty = dict.fromkeys(["whole", "amount", "flag", "thing", "list", "old", "either"])
    assert send({"text": "a", "preset": 7, **empty}) == '{"text":"a","either":null,"preset":7}'


def test_values_of_the_configuration(send: Any) -> None:
    conf = {"text": "1_000", "whole": 3, "amount": 0.1, "flag": False, "thing": {"a": 1.5}, "list": [1]}
    assert send(conf) == (
        '{"text":"1_000","whole":3,"amount":0.1,"flag":false,"thing":{"a":1.5},"list":[1],"preset":7}'
    )


def test_templates_are_cast_to_the_type_of_the_schema(send: Any) -> None:
    inputs = {
        "text": "{{ '1_000' }}",
        "whole": "{{ 20 + 22 }}",
        "amount": "{{ params.of_mine }}",
        "flag": "{{ 1 == 1 }}",
        "thing": '{"at": "{{ run_id[:6] }}", "n": 10.10}',
        "list": "{{ [1, 2] | tojson }}",
        "old": "007",
    }
    assert send({}, inputs=inputs, params={"of_mine": "10.10"}) == (
        '{"text":"1_000","whole":42,"amount":10.10,"flag":true,"thing":{"at":"manual","n":10.10},'
        '"list":[1,2],"old":"007","preset":7}'
    )


def test_values_that_are_no_texts(send: Any) -> None:
    inputs = {"text": "a", "whole": 3, "flag": False, "thing": {"a": ["{{ 1 }}"]}, "amount": 2.0}
    assert send({}, inputs=inputs) == (
        '{"text":"a","whole":3,"amount":2.0,"flag":false,"thing":{"a":["1"]},"preset":7}'
    )


def test_data_interval(send: Any) -> None:
    inputs = {"text": "{{ data_interval_start }}", "whole": "{{ data_interval_start.int_timestamp * 1000 }}"}
    body = json.loads(send({}, inputs=inputs))
    assert body["text"].endswith("+00:00")
    assert body["whole"] > 1_700_000_000_000


@pytest.mark.parametrize(
    ("conf", "inputs", "said"),
    [
        ({"text": "a", "txet": "b"}, {}, "There is no input 'txet'"),
        ({"text": "a", "key": "sk-very-secret"}, {}, "'key', which is a credential"),
        ({"text": "b"}, {"text": "a"}, "Input 'text' is given by the DAG"),
        ({}, {"text": "a", "whole": "{{ 'ten' }}"}, "Input 'whole' is 'ten', expected integer"),
        ({}, {"text": "a", "list": "{{ '[1,' }}"}, "Input 'list' is"),
    ],
    ids=["unknown", "credential", "bound", "not a number", "not JSON"],
)
def test_refused_before_anything_is_sent(
    send: Any, api: ScriptedApi, conf: dict[str, Any], inputs: dict[str, Any], said: str
) -> None:
    ran = send(conf, inputs=inputs)
    assert ran.state == "failed"
    assert "Nothing was sent" in ran.log
    assert said in ran.log
    assert api.requests == []
    assert ran.states == {"a": "failed"}


def test_did_you_mean(send: Any) -> None:
    assert "text" in send({"text": "a", "txet": "b"}).log.split("no input 'txet'")[1].splitlines()[0]
