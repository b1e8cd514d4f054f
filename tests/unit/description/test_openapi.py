"""OpenAPI operations with everything that their path item and document add to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_arazzo.description.openapi import ApiOperation, OpenApi

Make = Callable[[str], OpenApi]

TEXT = """
openapi: 3.1.0
info: {title: Things}
servers: [{url: https://a.example}, nonsense]
security: [{key: []}]
paths:
  /things/{id}:
    servers: [{url: https://b.example}]
    parameters:
    - {name: id, in: path, schema: {type: integer}}
    - {name: q, in: query, style: spaceDelimited, explode: false, schema: {type: array}}
    - {name: q, in: header}
    get:
      operationId: plain
      summary: Gets a thing
      externalDocs: {url: https://docs.example}
      parameters:
      - name: q
        in: query
        required: true
        allowReserved: true
        content: {application/json: {schema: {type: object}}}
      - {name: wrong, in: body}
      - nonsense
      responses:
        '200': {content: {application/json: {}, text/csv: {}}}
        2XX: {content: {application/xml: {}}}
        default: {content: {application/problem+json: {}}}
    put:
      operationId: own
      servers: [{url: https://c.example}]
      security: []
      requestBody:
        required: true
        content:
          application/json: {schema: {type: object, required: [a]}}
          multipart/form-data: {encoding: {a: {contentType: text/plain}}}
      responses: {default: {content: {application/json: {}}}}
    x-other: 1
  /ref: {$ref: '#/components/pathItems/Ref'}
  /lost: {$ref: '#/nowhere'}
  /more:
    query: {operationId: more}
    additionalOperations: {COPY: {operationId: copy}}
webhooks:
  happened: {post: {operationId: happened}}
components:
  pathItems: {Ref: {delete: {operationId: referred}}}
  securitySchemes: {key: {type: apiKey}, other: {$ref: '#/components/securitySchemes/key'}}
"""


@pytest.fixture
def things(api: Make) -> OpenApi:
    return api(TEXT)


def operation(api: OpenApi, operation_id: str) -> ApiOperation:
    (key,) = api.by_id[operation_id]
    return api.operation(key)


def test_parameters_of_the_path_are_overridden_by_name_and_place(things: OpenApi) -> None:
    found = {(p.name, p.place): p for p in operation(things, "plain").parameters}
    assert list(found) == [("id", "path"), ("q", "query"), ("q", "header")]
    assert found["id", "path"].required
    own = found["q", "query"]
    assert (own.required, own.allow_reserved, own.content_type, own.style) == (
        True,
        True,
        "application/json",
        None,
    )
    assert own.schema.types == {"object"}
    inherited = {(p.name, p.place): p for p in operation(things, "own").parameters}["q", "query"]
    assert (inherited.style, inherited.explode, inherited.required) == ("spaceDelimited", False, False)


def test_servers_and_security_of_the_nearest_owner(things: OpenApi) -> None:
    def urls(operation_id: str) -> list[str]:
        return [at.value["url"] for at in operation(things, operation_id).servers]

    assert urls("plain") == ["https://b.example"]
    assert urls("own") == ["https://c.example"]
    assert urls("referred") == ["https://a.example"]
    plain, own = operation(things, "plain").security, operation(things, "own").security
    assert plain is not None
    assert plain.value == [{"key": []}]
    assert own is not None
    assert own.value == []


def test_bodies_and_responses(things: OpenApi) -> None:
    own = operation(things, "own")
    assert own.body_required
    assert list(own.bodies) == ["application/json", "multipart/form-data"]
    assert own.bodies["application/json"].schema.required == ("a",)
    assert own.bodies["multipart/form-data"].encoding is not None
    assert own.responses == ("application/json",)
    assert operation(things, "plain").responses == ("application/json", "text/csv", "application/xml")
    assert operation(things, "plain").documentation == "https://docs.example"


def test_operations_behind_references_and_of_openapi_3_2(things: OpenApi) -> None:
    assert set(things.by_id) == {"plain", "own", "referred", "more", "copy"}
    assert things.by_id["more"][0].method == "QUERY"
    assert things.by_id["copy"][0].method == "COPY"
    assert things.at_path("/ref", "delete") is not None
    assert things.at_path("/ref", "get") is None
    assert things.webhooks == {"happened"}


def test_security_schemes(things: OpenApi) -> None:
    assert things.scheme_names == ("key", "other")
    scheme = things.security_scheme("other")
    assert scheme is not None
    assert scheme.value == {"type": "apiKey"}
    assert things.security_scheme("none") is None


@pytest.mark.parametrize(
    ("version", "supported"),
    [
        ("3.0.0", True),
        ("3.1.1", True),
        ("3.2.0", True),
        ("3.0", True),
        ("4.0.0", False),
        ("3.3.0", False),
        ("2", False),
    ],
)
def test_versions(api: Make, version: str, supported: bool) -> None:
    assert api(f"openapi: '{version}'").supported is supported


def test_unresolved_references_leave_the_rest(api: Make) -> None:
    found = operation(
        api(
            "openapi: 3.1.0\npaths: {/a: {get: {operationId: a, parameters: [{$ref: '#/x'}, {$ref: '#/x'},"
            " {name: q, in: query, schema: {$ref: '#/y'}}], requestBody: {$ref: other.yaml#/z},"
            " responses: {'200': {$ref: '#/r'}, '400': {$ref: '#/unused'}}}}}"
        ),
        "a",
    )
    assert [(p.name, p.schema.types) for p in found.parameters] == [("q", frozenset())]
    assert found.bodies == {}
    messages = [broken.message for broken in found.unresolved]
    assert messages == [
        "there is no file other.yaml",
        "there is no 'x' at #/x",
        "there is no 'x' at #/x",
        "there is no 'y' at #/y",
        "there is no 'r' at #/r",
    ]
    assert found.unresolved[0].at.pointer[-2:] == ("requestBody", "$ref")


def test_references_to_other_files(api: Make, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "common.yaml").write_text(
        "limit: {$ref: '#/real'}\nreal: {name: limit, in: query, schema: {$ref: ../types.yaml#/Int}}"
    )
    (tmp_path / "types.yaml").write_text("Int: {type: integer}")
    found = operation(
        api(
            "openapi: 3.1.0\npaths: {/a: {get: {operationId: a, "
            "parameters: [{$ref: sub/common.yaml#/limit}]}}}"
        ),
        "a",
    )
    assert [(p.name, p.schema.types) for p in found.parameters] == [("limit", {"integer"})]
