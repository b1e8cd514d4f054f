"""Documents with anything anywhere: only diagnostics come out, and plans only where there are no errors."""

from __future__ import annotations

import contextlib
import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.description.documents import read_document
from airflow_arazzo.plan.codec import decode_plan, encode_plan
from airflow_arazzo.plan.compiler import compile_document, compile_workflow

# ruff: noqa: E501
RICH = """
arazzo: 1.1.0
$self: https://example.com/rich.yaml
info: {title: Rich, version: 1.0.0, summary: s, description: d}
sourceDescriptions:
- {name: api, url: api.json, type: openapi}
- {name: self, url: main.json, type: arazzo}
workflows:
- workflowId: one
  summary: s
  inputs:
    type: object
    required: [id, token]
    allOf: [{properties: {also: {type: string}}, required: [also]}]
    properties: {id: {type: string, default: 007}, token: {type: string, format: password}, n: {$ref: '#/components/inputs/n'}}
  dependsOn: [two]
  parameters: [{name: X-Trace, in: header, value: $inputs.id}, {reference: $components.parameters.limit}]
  successActions: [{name: done, type: end, criteria: [{condition: $statusCode == 204}]}]
  failureActions: [{reference: $components.failureActions.again}]
  steps:
  - stepId: login
    operationId: login
    requestBody:
      contentType: application/x-www-form-urlencoded
      payload: {user: $inputs.id, list: [1, 2.50, 1e3], at: 1717459200}
      replacements: [{target: /user, value: $inputs.also}]
    outputs: {token: $response.body#/access_token, all: $response.body}
  - stepId: create
    operationPath: '{$sourceDescriptions.api.url}#/paths/~1things~1{id}/put'
    timeout: 5000
    dependsOn: [login]
    parameters:
    - {name: id, in: path, value: $inputs.id}
    - {name: Authorization, in: header, value: 'Bearer {$steps.login.outputs.token}'}
    - {name: limit, in: query, value: 5}
    requestBody: {payload: '{"a": "{$inputs.id}", "b": {$inputs.n}}'}
    successCriteria:
    - {condition: $statusCode == 200}
    - {context: $response.body, condition: '$.a[?@.b == 1]', type: jsonpath}
    - {context: $response.body, condition: '^a', type: regex}
    - {context: $response.body, condition: $.a, type: {type: jsonpath, version: rfc9535}}
    onSuccess: [{name: on, type: goto, stepId: call, criteria: [{condition: $response.body#/ok}]}]
    onFailure: [{name: again, type: retry, retryAfter: 1.5, retryLimit: 2, stepId: login}]
    outputs: {a: $response.header.ETag, b: {context: $response.body, selector: $.a, type: jsonpath}}
  - stepId: call
    workflowId: two
    parameters: [{name: x, value: $steps.create.outputs.a}, {name: key, value: abc}]
    outputs: {r: $outputs.r}
  outputs: {a: $steps.create.outputs.a, r: $steps.call.outputs.r, w: $workflows.two.outputs.r}
- workflowId: two
  inputs: {type: object, properties: {x: {}, key: {}}}
  steps:
  - stepId: s
    operationId: $sourceDescriptions.api.get
    parameters: [{name: key, in: query, value: $inputs.key}]
    outputs: {r: $response.body}
  outputs: {r: $steps.s.outputs.r}
components:
  inputs: {n: {type: integer}}
  parameters: {limit: {name: limit, in: query, value: 10}}
  failureActions: {again: {name: more, type: retry, criteria: [{condition: $statusCode >= 500}]}}
"""
API = """
openapi: 3.1.0
info: {title: Api}
servers: [{url: 'https://{host}.example/v1', variables: {host: {default: api}}}]
security: [{key: []}, {}]
paths:
  /login:
    post:
      operationId: login
      security: []
      requestBody:
        $ref: '#/components/requestBodies/Login'
      responses: {'200': {description: ok, content: {application/json: {schema: {type: object}}}}}
  /things/{id}:
    parameters: [{$ref: '#/components/parameters/id'}]
    put:
      operationId: put
      externalDocs: {url: https://docs.example}
      parameters: [{name: limit, in: query, style: form, explode: false, schema: {type: integer}}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/T'}}}}
      responses: {default: {$ref: '#/components/responses/ok'}}
  /get:
    servers: [{url: /get}]
    get: {operationId: get, parameters: [{name: key, in: query, required: true, content: {application/json: {}}}]}
components:
  parameters: {id: {name: id, in: path, required: true, schema: {type: string}}}
  requestBodies:
    Login:
      content:
        application/x-www-form-urlencoded:
          schema: {required: [user], properties: {user: {type: string}, list: {type: array, items: {}}}}
          encoding: {list: {style: form, explode: true, headers: {}}}
  responses: {ok: {description: ok, content: {application/json: {}}}}
  schemas: {T: {allOf: [{type: object, properties: {a: {type: string}}}], anyOf: [{$ref: '#/components/schemas/T'}]}}
  securitySchemes:
    key: {type: apiKey, in: query, name: key}
    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: /token, scopes: {}}}}
"""


def plain(value: Any) -> Any:
    """A value that the json module can write."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def load(text: str, folder: Path) -> Any:
    (folder / "text.yaml").write_text(text)
    return plain(read_document(folder / "text.yaml", "text.yaml").value)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bases")
    return {"main.json": load(RICH, folder), "api.json": load(API, folder)}


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(inner for key in keys for inner in paths_in(value[key], (*path, key)))]


WORDS = st.sampled_from(
    [
        *(
            "$inputs.id",
            "$inputs",
            "$steps.login.outputs.token",
            "$steps.call",
            "$workflows.one.outputs.a",
            "$",
        ),
        *(
            "{$inputs.",
            "$response.body#/a",
            "$statusCode == ",
            "(((",
            "#/components/schemas/T",
            "api.json",
            "//",
        ),
        *(
            "main.json",
            "one",
            "two",
            "login",
            "api.get",
            "$sourceDescriptions.self.one",
            "https://[",
            "\x00",
            "é🦀",
        ),
        *(
            "a" * 5000,
            "{}",
            "/",
            "~",
            "$..[?@",
            "$sourceDescriptions.api.url",
            "end",
            "goto",
            "retry",
            "query",
            "path",
        ),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**40, -1, 1e300, -0.0]),
    st.text(max_size=8),
    WORDS,
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$ref", "type", "name", "in", "value", "reference", "properties", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def mutate(value: Any, data: st.DataObject) -> Any:
    """The value with one place changed: replaced, taken out, doubled, renamed, or put elsewhere."""
    paths = paths_in(value)
    path = data.draw(st.sampled_from(paths))
    kind = data.draw(st.sampled_from(["replace", "remove", "move", "rename"]))
    if not path:
        return data.draw(JUNK) if kind == "replace" else value
    result = copy.deepcopy(value)
    at = result
    for key in path[:-1]:
        at = at[key]
    if kind == "replace":
        at[path[-1]] = data.draw(JUNK)
    elif kind == "remove":
        del at[path[-1]]
    elif kind == "move":
        found = value
        for key in data.draw(st.sampled_from(paths)):
            found = found[key]
        at[path[-1]] = copy.deepcopy(found)
    elif isinstance(at, dict):
        at[data.draw(st.text(max_size=4) | WORDS)] = at.pop(path[-1])
    return result


def check(path: Path) -> None:
    """Compile a document in every way, and look at what comes out."""
    result = compile_document(path)
    assert result.failed or result.plans
    for diagnostic in result.diagnostics:
        assert diagnostic.position is not None
        assert diagnostic.position.line >= 1
        assert diagnostic.position.column >= 1
        assert "Traceback" not in diagnostic.message
    for workflow_id, plan in result.plans.items():
        written = next(
            w for w in json.loads(path.read_text())["workflows"] if str(w["workflowId"]) == workflow_id
        )
        assert len(plan.root.steps) == len(written["steps"])
        assert decode_plan(encode_plan(plan)) == plan
        called = {
            step.call.workflow
            for w in plan.workflows.values()
            for step in w.steps
            if hasattr(step.call, "workflow")
        }
        assert called <= set(plan.workflows)
    with contextlib.suppress(DocumentError):
        compile_workflow(path, "one")


def test_the_unchanged_documents_compile(bases: dict[str, Any], tmp_path: Path) -> None:
    for name, value in bases.items():
        (tmp_path / name).write_text(json.dumps(value))
    result = compile_document(tmp_path / "main.json")
    assert not result.failed, result.diagnostics
    assert set(result.plans) == {"one", "two"}


@pytest.mark.parametrize("changed", ["main.json", "api.json"])
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_changed_values_give_diagnostics(
    changed: str, data: st.DataObject, bases: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    for name, value in bases.items():
        for _ in range(data.draw(st.integers(1, 3)) if name == changed else 0):
            value = mutate(value, data)
        (folder / name).write_text(json.dumps(value))
    check(folder / "main.json")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_changed_texts_give_diagnostics(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    text = RICH.replace(".json", ".yaml").encode()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        extra = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"\n", b"- ", b": ", b"[", b"&a ", b"*a", b"'", b"\t"])
        )
        text = text[:start] + extra + text[end:]
    (folder / "main.yaml").write_bytes(text)
    (folder / "api.yaml").write_text(API)
    result = compile_document(folder / "main.yaml")
    assert result.failed or result.plans
