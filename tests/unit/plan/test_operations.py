"""Steps and their operations, in every spelling and with its warning."""

from __future__ import annotations

import pytest

from airflow_arazzo.plan.model import OperationCall

from .conftest import Project, codes, one_step

TWO = "- {name: api, url: api.yaml, type: openapi}\n- {name: api.more, url: more.yaml, type: openapi}"
MORE = "openapi: 3.0.3\npaths: {/more: {get: {operationId: more}, post: {operationId: createThing}}}"


@pytest.mark.parametrize(
    ("target", "called", "warnings"),
    [
        ("operationId: getThing", "GET /things/{id}", []),
        ("operationId: $sourceDescriptions.api.getThing", "GET /things/{id}", []),
        ("operationId: '{$sourceDescriptions.api.getThing}'", "GET /things/{id}", []),
        ("operationId: getthing", "GET /things/{id}", ["operation-case"]),
        ("operationId: $sourceDescriptions.api.GetThing", "GET /things/{id}", ["operation-case"]),
        ("operationId: api.getThing", "GET /things/{id}", ["operation-spelling"]),
        ("operationId: GET /things/{id}", "GET /things/{id}", ["operation-by-path"]),
        ("operationId: get  /things/{id}", "GET /things/{id}", ["operation-by-path"]),
        ("operationId: /only", "GET /only", ["operation-by-path"]),
        (
            "operationId: api#/paths/~1only/get",
            "GET /only",
            ["operation-spelling", "operation-path-source"],
        ),
        ("operationPath: '{$sourceDescriptions.api.url}#/paths/~1only/get'", "GET /only", []),
        ("operationPath: '{$sourceDescriptions.api.url}#/paths/~1only/GET'", "GET /only", []),
        (
            "operationPath: '{$sourceDescriptions.api.url}#/paths/~1things~1%7Bid%7D/get'",
            "GET /things/{id}",
            [],
        ),
        (
            "operationPath: $sourceDescriptions.api.url#/paths/~1only/get",
            "GET /only",
            ["operation-path-source"],
        ),
        ("operationPath: $sourceDescriptions.api#/paths/~1only/get", "GET /only", ["operation-path-source"]),
        ("operationPath: 'api#/paths/~1only/get'", "GET /only", ["operation-path-source"]),
        ("operationPath: '#/paths/~1only/get'", "GET /only", ["operation-path-source"]),
        ("operationPath: './api.yaml#/paths/~1only/get'", "GET /only", ["operation-path-source"]),
        ("operationPath: 'api#/paths//things/{id}/get'", "GET /things/{id}", ["operation-path-source"]),
        (
            "operationPath: 'api#/paths/~1only'",
            "GET /only",
            ["operation-path-source", "operation-path-method"],
        ),
        ("operationPath: GET /only", "GET /only", ["operation-by-path"]),
        ("operationPath: /only", "GET /only", ["operation-by-path"]),
        ("operationPath: api.only", "GET /only", ["operation-spelling", "operation-spelling"]),
    ],
)
def test_spellings(project: Project, target: str, called: str, warnings: list[str]) -> None:
    parameter = "parameters: [{name: id, in: path, value: '1'}]" if "id" in called else ""
    result = project.compile(one_step(f"{target}\n{parameter}"))
    assert not result.failed, result.diagnostics
    assert codes(result) == warnings
    call = result.plans["w"].root.steps[0].call
    assert isinstance(call, OperationCall)
    assert (f"{call.method} {call.path}", call.source) == (called, "api")


@pytest.mark.parametrize(
    "target",
    [
        "operationId: /things",  # two methods
        "operationId: PATCH /only",
        "operationPath: 'api#/paths/~1things'",
        "operationPath: only",
        "operationId: things.only",
        "operationId: ''",
    ],
)
def test_what_is_ambiguous_or_unknown_is_refused(project: Project, target: str) -> None:
    assert project.compile(one_step(target)).failed


@pytest.mark.parametrize(
    ("target", "source", "warnings"),
    [
        ("more", "api.more", ["operation-unqualified"]),
        ("only", "api", ["operation-unqualified"]),
        ("$sourceDescriptions.api.more.more", "api.more", []),
        ("$sourceDescriptions.api.only", "api", []),
    ],
)
def test_two_sources_one_named_like_a_part_of_the_other(
    project: Project, target: str, source: str, warnings: list[str]
) -> None:
    project.write("more.yaml", MORE)
    result = project.compile(one_step(f"operationId: {target}"), sources=TWO)
    assert codes(result) == warnings
    call = result.plans["w"].root.steps[0].call
    assert isinstance(call, OperationCall)
    assert call.source == source


def test_an_operation_of_both_sources_is_ambiguous_unless_qualified(project: Project) -> None:
    project.write("more.yaml", MORE)
    assert codes(project.compile(one_step("operationId: createThing"), sources=TWO)) == [
        "ambiguous-operation"
    ]
    # differing in case only in two places is no less ambiguous
    assert codes(project.compile(one_step("operationId: CREATETHING"), sources=TWO)) == ["unknown-operation"]


def test_what_the_plan_knows_of_an_operation(project: Project) -> None:
    call = project.call("operationId: getThing\nparameters: [{name: id, in: path, value: a}]")
    assert (call.method, call.path, call.operation, call.summary) == (
        "GET",
        "/things/{id}",
        "getThing",
        "Gets one",
    )
    assert [server.url for server in call.servers] == ["https://things.example/v1"]
    assert call.accept == "*/*"
    assert project.call("operationId: listThings").accept == "application/json, text/csv"
