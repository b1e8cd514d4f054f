"""Which operations recognise a repeated request, as the documents say."""

from __future__ import annotations

import pytest

from airflow_arazzo.plan.declaration import REPEATABLE
from airflow_arazzo.plan.model import Idempotency
from tests.unit.plan.conftest import Project, codes

OPERATION = """
openapi: 3.1.0
info: {title: Orders}
ROOT
paths:
  /orders:
    get: {operationId: list, HERE}
    post:
      operationId: order
      HERE
      requestBody: {content: {application/json: {}, text/plain: {}}}
    put: {operationId: declared, parameters: [{name: idempotency-key, in: header}]}
    patch: {operationId: similar, parameters: [{name: X-Idempotency-Key, in: header}]}
"""
DAY = Idempotency("header", "Idempotency-Key", 82800.0)
STEP = "operationId: order\nrequestBody: {payload: {a: 1}}\n"


def found(
    project: Project, *, step: str = STEP, own: str = "", here: str = "", source: str = "", root: str = ""
) -> Idempotency | None:
    text = OPERATION.replace("ROOT", root).replace(
        "HERE}", "summary: s, " + here + "}" if here else "summary: s}"
    )
    project.write("api.yaml", text.replace("HERE", here or "summary: s"))
    described = "- {name: api, url: api.yaml, type: openapi" + (", " + source if source else "") + "}"
    return project.call(step + own, sources=described).idempotency


def test_nothing_is_invented(project: Project) -> None:
    assert found(project) is None


@pytest.mark.parametrize("place", ["own", "here", "source", "root"])
def test_every_place(project: Project, place: str) -> None:
    said = "x-idempotency: {header: K, lifetime: 3600}"
    assert found(project, **{place: said}) == Idempotency("header", "K", 3600.0)


def test_the_closest_counts(project: Project) -> None:
    places = {name: f"x-idempotency: {{header: {name}}}" for name in ("own", "here", "source", "root")}
    for name in ("own", "here", "source", "root"):
        given = found(project, **places)
        assert given is not None
        assert given.name == name
        del places[name]


def test_switched_off_and_repeatable(project: Project) -> None:
    assert found(project, own="x-idempotency: false", root="x-idempotency: {header: K}") is None
    assert found(project, own="x-idempotency: {repeatable: true}") == REPEATABLE


def test_of_a_source_only_what_has_a_json_body_takes_a_key_in_it(project: Project) -> None:
    source = "x-idempotency: {body: uniqueId}"
    assert found(project, source=source) == Idempotency("body", "uniqueId")
    text = "operationId: order\nrequestBody: {contentType: text/plain, payload: x}\n"
    assert found(project, step=text, source=source) is None


def test_safe_operations_need_none(project: Project) -> None:
    said = "x-idempotency: {header: K}"
    assert found(project, step="operationId: list\n", own=said, here=said, source=said, root=said) is None


def test_an_operation_with_the_header_as_a_parameter_says_so(project: Project) -> None:
    assert found(project, step="operationId: declared\n") == Idempotency("header", "idempotency-key")
    assert found(project, step="operationId: similar\n") is None
    assert found(project, step="operationId: declared\n", own="x-idempotency: false") is None


def test_a_retry_of_what_may_be_repeated_is_no_warning(project: Project) -> None:
    retry = "onFailure: [{name: again, type: retry}]\n"
    project.write("api.yaml", OPERATION.replace("ROOT", "").replace("HERE", "summary: s"))
    for own, expected in ("", ["unsafe-retry"]), ("x-idempotency: {header: K}\n", []):
        lines = (STEP + own + retry).rstrip().replace("\n", "\n    ")
        result = project.compile("- workflowId: w\n  steps:\n  - stepId: s\n    " + lines)
        assert codes(result) == expected


def test_a_key_in_a_body_that_cannot_have_one_is_an_error(project: Project) -> None:
    project.write("api.yaml", OPERATION.replace("ROOT", "").replace("HERE", "summary: s"))
    step = "operationId: order\nrequestBody: {contentType: text/plain, payload: x}\nx-idempotency: {body: id}"
    result = project.compile("- workflowId: w\n  steps:\n  - stepId: s\n    " + step.replace("\n", "\n    "))
    assert codes(result) == ["bad-idempotency"]
    assert "no JSON body to put 'id' into" in result.diagnostics[0].message
