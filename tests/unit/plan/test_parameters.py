"""Parameters: their place and how it is healed, merging, and numbers that keep their digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_arazzo.expression.model import Constant, Expression, ObjectTemplate, Text, Typed
from airflow_arazzo.plan.codec import decode_plan, encode_plan

from .conftest import Project, codes, one_step, parameters


@pytest.mark.parametrize(
    ("operation", "parameter", "sent", "warnings"),
    [
        # declared: sent as written
        ("listThings", "{name: limit, in: query, value: 1}", "query:limit", []),
        ("listThings", "{name: x-trace, in: header, value: a}", "header:x-trace", []),
        # undeclared in that place, and exactly one of that name: healed
        ("listThings", "{name: limit, in: header, value: 1}", "query:limit", ["parameter-place"]),
        ("listThings", "{name: limit, in: path, value: 1}", "query:limit", ["parameter-place"]),
        ("listThings", "{name: limit, value: 1}", "query:limit", ["parameter-place"]),
        ("getThing", "{name: id, in: query, value: a}", "path:id", ["parameter-place"]),
        # of that name in two places: declared there, or as written
        ("listThings", "{name: both, in: query, value: 1}", "query:both", []),
        ("listThings", "{name: both, in: cookie, value: 1}", "cookie:both", []),
        # unknown headers, query parameters and cookies are sent as written
        ("listThings", "{name: X-Other, in: header, value: a}", "header:X-Other", []),
        ("listThings", "{name: other, in: query, value: a}", "query:other", []),
        ("listThings", "{name: other, in: cookie, value: a}", "cookie:other", []),
    ],
)
def test_places(project: Project, operation: str, parameter: str, sent: str, warnings: list[str]) -> None:
    result = project.compile(one_step(f"operationId: {operation}\nparameters: [{parameter}]"))
    assert codes(result) == warnings
    assert list(parameters(result.plans["w"].root.steps[0].call)) == [sent]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "parameter", "code"),
    [
        ("listThings", "{name: both, value: 1}", "parameter-place"),  # two of that name
        ("listThings", "{name: both, in: path, value: 1}", "unknown-parameter"),
        ("listThings", "{name: other, value: 1}", "parameter-place"),
        ("listThings", "{name: id, in: path, value: 1}", "unknown-parameter"),
    ],
)
def test_places_that_cannot_be_known(project: Project, operation: str, parameter: str, code: str) -> None:
    assert codes(project.compile(one_step(f"operationId: {operation}\nparameters: [{parameter}]"))) == [code]


def test_a_declared_path_parameter_without_a_place_in_the_path_is_refused(project: Project) -> None:
    project.write(
        "api.yaml", "openapi: 3.1.0\npaths: {/a: {get: {operationId: a, parameters: [{name: id, in: path}]}}}"
    )
    result = project.compile(one_step("operationId: a\nparameters: [{name: id, in: path, value: 1}]"))
    assert codes(result) == ["unknown-parameter"]


def test_styles_come_from_the_description(project: Project) -> None:
    project.write(
        "api.yaml",
        """
        openapi: 3.1.0
        paths:
          /a:
            get:
              operationId: a
              parameters:
              - {name: a, in: query, style: pipeDelimited, explode: false, allowReserved: true}
              - {name: b, in: query, content: {application/json: {}}}
              - {name: c, in: header, style: nonsense, required: true}
        """,
    )
    call = project.call(
        "operationId: a\nparameters: [{name: a, in: query, value: 1}, {name: b, in: query, value: 1},"
        " {name: c, in: header, value: 1}, {name: d, in: query, value: 1}]"
    )
    found = parameters(call)
    a, b, c, d = found.values()
    assert (a.style, a.explode, a.allow_reserved) == ("pipeDelimited", False, True)
    assert (b.content_type, b.style) == ("application/json", "form")
    assert (c.style, c.explode, c.required) == ("simple", False, True)
    assert (d.style, d.explode, d.required) == ("form", True, False)


def test_parameters_of_the_workflow_are_overridden_by_name_and_place(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          parameters:
          - {name: limit, in: query, value: 1}
          - {name: both, in: query, value: q}
          - {name: X-Trace, in: header, value: t}
          - reference: $components.parameters.code
          steps:
          - stepId: a
            operationId: listThings
            parameters:
            - {name: both, in: header, value: h}
            - {name: limit, in: query, value: 2}
            - reference: $components.parameters.code
              value: mine
          - {stepId: b, operationId: only}
        """,
        rest="components: {parameters: {code: {name: code, in: query, value: shared}}}",
    )
    first, second = (parameters(step.call) for step in plan.root.steps)  # type: ignore[arg-type]
    assert {name: p.value.value for name, p in first.items()} == {  # type: ignore[union-attr]
        "query:limit": 2,
        "query:both": "q",
        "header:X-Trace": "t",
        "query:code": "mine",
        "header:both": "h",
    }
    # what the operation does not declare is sent as a literal of no type
    assert second["query:limit"].value == Constant("1")
    assert second["query:code"].value == Constant("shared")


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        ("007", "code", "007"),
        ("1.10", "code", "1.10"),
        ("1e3", "code", "1e3"),
        ("2024-01-01", "code", "2024-01-01"),
        ("true", "code", True),
        ("12345678901234567890123", "amount", 12345678901234567890123),
        ("10.10", "amount", Decimal("10.10")),
        ("1e3", "amount", Decimal("1e3")),
        ("5.0", "amount", Decimal("5.0")),
        ("5.0", "count", 5),
        ("5.5", "count", Decimal("5.5")),
        ("007", "count", 7),
        ("007", "loose", 7),
        ("007", "unknown", 7),
        ("'007'", "count", "007"),
        ("[007, 1.10, x]", "codes", ["007", "1.10", "x"]),
        ("{code: 007, other: 007}", "nested", {"code": "007", "other": 7}),
    ],
)
def test_literals_in_bodies(project: Project, written: str, name: str, value: Any) -> None:
    step = f"operationId: createThing\nrequestBody: {{payload: {{name: n, {name}: {written}}}}}"
    plan = project.plan(one_step(step))
    for each in (plan, decode_plan(encode_plan(plan))):
        payload = each.root.steps[0].call.body.payload  # type: ignore[union-attr]
        assert payload == Constant({"name": "n", name: value})
        found = payload.value[name]
        assert str(found) == str(value)
        assert type(found) is type(value)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("{name: code, in: query, value: 007}", "007"),
        ("{name: limit, in: query, value: 5.0}", 5),
        ("{name: other, in: query, value: 007}", "007"),
        ("{name: other, in: query, value: 1.10}", "1.10"),
        ("{name: other, in: query, value: true}", "true"),
        ("{name: other, in: query, value: null}", None),
    ],
)
def test_literals_in_parameters(project: Project, parameter: str, value: Any) -> None:
    (found,) = project.call(f"operationId: listThings\nparameters: [{parameter}]").parameters
    assert found.value == Constant(value)


def test_expressions_in_integer_places_lose_their_fraction(project: Project) -> None:
    call = project.call(
        "operationId: createThing\n"
        "requestBody: {payload: {name: $inputs.a, count: $inputs.a, codes: [$inputs.a]}}",
        "a: {}",
    )
    assert call.body is not None
    assert isinstance(call.body.payload, ObjectTemplate)
    members = dict(call.body.payload.members)
    assert isinstance(members["name"], Expression)
    assert isinstance(members["count"], Typed)


def test_a_body_takes_the_content_type_that_is_there(project: Project) -> None:
    project.write(
        "api.yaml",
        "openapi: 3.1.0\npaths: {/a: {post: {operationId: a, requestBody: {content: {text/csv: {},"
        " application/vnd.a+json: {schema: {required: [b], properties: {b: {type: string}}}}}}}}}",
    )
    call = project.call("operationId: a\nrequestBody: {payload: {b: 007}}")
    assert call.body is not None
    assert (call.body.content_type, call.body.payload) == ("application/vnd.a+json", Constant({"b": "007"}))
    assert call.body.required_properties == ("b",)
    typed = project.call("operationId: a\nrequestBody: {contentType: text/csv; charset=utf-8, payload: a}")
    assert typed.body is not None
    assert typed.body.content_type == "text/csv; charset=utf-8"
    assert project.call("operationId: a").body is None


def test_json_text_is_a_template_and_other_text_is_text(project: Project) -> None:
    call = project.call(
        "operationId: createThing\n"
        """requestBody: {payload: '{"name": "{$inputs.a}", "count": {$inputs.a}}'}""",
        "a: {}",
    )
    assert call.body is not None
    assert isinstance(call.body.payload, ObjectTemplate)
    assert [type(value) for _, value in call.body.payload.members] == [Text, Expression]
