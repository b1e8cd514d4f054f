"""Credentials by flow: which inputs disappear from the form, and what is sent instead."""

# ruff: noqa: E501  the documents are in flow style

from __future__ import annotations

import pytest

from airflow_arazzo.plan.model import CredentialInput, OperationCall, Plan, SecurityScheme

from .conftest import Project, codes, one_step, parameters

SECURED = """
openapi: 3.1.0
security: [{{key: []}}, {{}}]
paths:
  /a: {{get: {{operationId: a}}, post: {{operationId: b, security: [{{bearer: []}}, {{key: []}}]}}}}
components:
  securitySchemes:
    key: {{type: apiKey, in: header, name: X-Tenant-Key}}
    query: {{type: apiKey, in: query, name: sig}}
    cookie: {{type: apiKey, in: cookie, name: sid}}
    {0}
"""
BEARER = "bearer: {type: http, scheme: Bearer}"


@pytest.fixture
def secured(project: Project) -> Project:
    project.write("api.yaml", SECURED.format(BEARER))
    return project


def sent(name: str, place: str, value: str, operation: str = "a") -> str:
    return f"operationId: {operation}\nparameters: [{{name: {name}, in: {place}, value: '{value}'}}]"


def call_of(plan: Plan, step: int = 0) -> OperationCall:
    call = plan.root.steps[step].call
    assert isinstance(call, OperationCall)
    return call


@pytest.mark.parametrize(
    ("name", "place", "value", "scheme"),
    [
        ("X-Tenant-Key", "header", "$inputs.k", "key"),
        ("x-tenant-key", "header", "$inputs.k", "key"),
        ("sig", "query", "$inputs.k", "query"),
        ("sid", "cookie", "{$inputs.k}", "cookie"),
        ("Authorization", "header", "$inputs.k", "bearer"),
        ("authorization", "header", "Bearer {$inputs.k}", "bearer"),
        ("Authorization", "header", "Bearer $inputs.k", "bearer"),
    ],
)
def test_described_schemes(secured: Project, name: str, place: str, value: str, scheme: str) -> None:
    plan = secured.plan(one_step(sent(name, place, value), "k: {type: string}, other: {type: string}"))
    assert plan.root.credentials == {"k": CredentialInput("api", scheme)}
    assert plan.root.inputs == {"type": "object", "properties": {"other": {"type": "string"}}}
    (parameter,) = call_of(plan).parameters
    assert parameter.credential == scheme
    assert scheme in plan.sources["api"].schemes


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("SIG", "query"),  # query names are case-sensitive
        ("sig", "header"),
        ("X-Tenant-Key", "query"),
        ("sid", "query"),
    ],
)
def test_another_name_or_place_is_another_thing(secured: Project, name: str, place: str) -> None:
    plan = secured.plan(one_step(sent(name, place, "$inputs.k"), "k: {type: string}"))
    assert plan.root.credentials == {}


LISTED_HEADERS = ["X-API-KEY", "api-key", "apikey", "Private-Token", "access_token", "X-Auth-Token"]
LISTED_QUERY = ["api_key", "apikey", "access_token", "API_KEY"]


@pytest.mark.parametrize(
    ("name", "place"), [(n, "header") for n in LISTED_HEADERS] + [(n, "query") for n in LISTED_QUERY]
)
def test_listed_names_without_a_scheme(project: Project, name: str, place: str) -> None:
    plan = project.plan(one_step(sent(name, place, "$inputs.k", "only"), "k: {type: string}"))
    assert plan.root.credentials == {"k": CredentialInput("api", name)}
    assert plan.sources["api"].schemes == {name: SecurityScheme("apiKey", place=place, parameter=name)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("continuation-token", "header"),
        ("continuation-token", "query"),
        ("X-Token-Count", "header"),
        ("page_token", "query"),
        ("key", "query"),
        ("token", "query"),
        ("access_token", "cookie"),
        ("secret", "header"),
    ],
)
def test_names_that_only_look_like_credentials(project: Project, name: str, place: str) -> None:
    plan = project.plan(one_step(sent(name, place, "$inputs.k", "only"), "k: {type: string}"))
    assert plan.root.credentials == {}
    assert call_of(plan).parameters[0].credential == ""


def test_a_boolean_called_oauth_tokens_stays_in_the_form(project: Project) -> None:
    step = "operationId: createThing\nrequestBody: {payload: {name: n, oauthTokens: $inputs.oauthTokens}}"
    plan = project.plan(one_step(step, "oauthTokens: {type: boolean}"))
    assert plan.root.credentials == {}
    assert "oauthTokens" in plan.root.inputs["properties"]


def test_a_query_parameter_called_key_fed_by_an_api_key(project: Project) -> None:
    plan = project.plan(one_step(sent("key", "query", "$inputs.apiKey", "only"), "apiKey: {type: string}"))
    assert plan.root.credentials == {"apiKey": CredentialInput("api", "key")}


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("$inputs.k", SecurityScheme("http", scheme="bearer")),
        ("Bearer {$inputs.k}", SecurityScheme("http", scheme="bearer")),
        ("Basic {$inputs.k}", SecurityScheme("http", scheme="basic")),
        (
            "Token {$inputs.k}",
            SecurityScheme("apiKey", place="header", parameter="Authorization", prefix="Token "),
        ),
    ],
)
def test_authorization_without_a_scheme(project: Project, value: str, scheme: SecurityScheme) -> None:
    plan = project.plan(one_step(sent("Authorization", "header", value, "only"), "k: {type: string}"))
    assert plan.root.credentials == {"k": CredentialInput("api", "Authorization")}
    assert plan.sources["api"].schemes == {"Authorization": scheme}


def test_two_ways_of_sending_one_header_are_two_schemes(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          inputs: {properties: {a: {}, b: {}}}
          steps:
          - {stepId: s, operationId: only, parameters: [{name: Authorization, in: header, value: 'Token {$inputs.a}'}]}
          - {stepId: t, operationId: only, parameters: [{name: Authorization, in: header, value: 'Key {$inputs.b}'}]}
        """
    )
    assert [call_of(plan, n).parameters[0].credential for n in (0, 1)] == [
        "Authorization",
        "Authorization (2)",
    ]
    prefixes = [scheme.prefix for scheme in plan.sources["api"].schemes.values()]
    assert prefixes == ["Token ", "Key "]


def test_an_inferred_scheme_does_not_displace_a_described_one(project: Project) -> None:
    project.write("api.yaml", SECURED.format("api_key: {type: apiKey, in: header, name: X-Real}"))
    plan = project.plan(one_step(sent("api_key", "query", "$inputs.k"), "k: {}"))
    assert plan.root.credentials == {"k": CredentialInput("api", "api_key (2)")}


def test_an_input_used_elsewhere_too_is_looked_up_by_its_name(secured: Project) -> None:
    plan = secured.plan(
        """
        - workflowId: w
          inputs: {type: object, required: [k], properties: {k: {type: string}}}
          steps:
          - stepId: s
            operationId: a
            parameters:
            - {name: X-Tenant-Key, in: header, value: $inputs.k}
            - {name: owner, in: query, value: 'for-{$inputs.k}'}
        """
    )
    assert plan.root.credentials == {"k": CredentialInput("api", "", required=True)}
    assert plan.root.inputs == {"type": "object", "properties": {}}


@pytest.mark.parametrize("mark", ["format: password", "writeOnly: true"])
def test_inputs_that_the_schema_calls_secret(project: Project, mark: str) -> None:
    step = "operationId: createThing\nrequestBody: {payload: {name: $inputs.p}}"
    plan = project.plan(one_step(step, f"p: {{type: string, {mark}}}, q: {{type: string, format: date}}"))
    assert plan.root.credentials == {"p": CredentialInput("api")}
    assert list(plan.root.inputs["properties"]) == ["q"]


def test_literal_credentials_are_not_in_the_plan(secured: Project) -> None:
    result = secured.compile(one_step(sent("X-Tenant-Key", "header", "sk_live_secret")))
    assert codes(result) == ["literal-credential"]
    call = call_of(result.plans["w"])
    assert (call.parameters, call.credentials) == ((), ("key",))
    assert b"sk_live_secret" not in secured_text(result.plans["w"])


def secured_text(plan: Plan) -> bytes:
    from airflow_arazzo.plan.codec import encode_plan

    return encode_plan(plan)


def test_security_of_the_operation(secured: Project) -> None:
    first = call_of(secured.plan(one_step("operationId: a")))
    assert [[use.name for use in uses] for uses in first.security] == [["key"], []]
    second = call_of(secured.plan(one_step("operationId: b")))
    assert [[use.name for use in uses] for uses in second.security] == [["bearer"], ["key"]]


@pytest.mark.parametrize("value", ["$steps.login.outputs.token", "Bearer {$steps.login.outputs.token}"])
def test_a_token_that_a_step_produces(secured: Project, value: str) -> None:
    plan = secured.plan(
        f"""
        - workflowId: w
          steps:
          - stepId: login
            operationId: a
            outputs: {{token: $response.body#/token, all: $response.body, other: $response.body#/other}}
          - stepId: use
            operationId: b
            parameters: [{{name: Authorization, in: header, value: '{value}'}}]
        """
    )
    login, use = plan.root.steps
    assert set(login.secret_outputs) == {"token", "all"}
    assert use.secret_outputs == ()
    call = call_of(plan, 1)
    assert parameters(call)["header:Authorization"].credential == ""
    assert [[each.name for each in uses] for uses in call.security] == [[], ["key"]]


def test_a_token_in_the_authorization_header_serves_every_scheme_that_uses_it(project: Project) -> None:
    oauth = "oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: /token}}}\n    " + BEARER
    text = SECURED.format(oauth).replace(
        "security: [{bearer: []}, {key: []}]", "security: [{oauth: [write], key: []}]"
    )
    project.write("api.yaml", text)
    plan = project.plan(
        """
        - workflowId: w
          steps:
          - {stepId: login, operationId: a, outputs: {token: $response.body#/token}}
          - stepId: use
            operationId: b
            parameters: [{name: Authorization, in: header, value: 'Bearer {$steps.login.outputs.token}'}]
        """
    )
    assert [[each.name for each in uses] for uses in call_of(plan, 1).security] == [["key"]]


def test_an_object_input_may_hold_a_credential(secured: Project) -> None:
    plan = secured.plan(one_step(sent("X-Tenant-Key", "header", "$inputs.auth#/key"), "auth: {type: object}"))
    assert plan.root.credentials == {"auth": CredentialInput("api", "key")}
