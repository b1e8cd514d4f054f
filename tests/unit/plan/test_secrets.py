"""Secrets across workflows."""

# ruff: noqa: E501  the documents are in flow style

from __future__ import annotations

from airflow_arazzo.plan.codec import encode_plan
from airflow_arazzo.plan.model import CredentialInput, Plan, WorkflowCall

from .conftest import Project, codes

KEY = "{name: X-API-Key, in: header, value: $inputs.key}"


def secret(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Secret outputs by ``workflow/step``."""
    found = {f"{key}/{step.id}": step.secret_outputs for key, w in plan.workflows.items() for step in w.steps}
    return {name: tuple(sorted(outputs)) for name, outputs in found.items() if outputs}


def test_a_credential_is_handed_on_through_two_calls(project: Project) -> None:
    plan = project.plan(
        f"""
        - workflowId: a
          inputs: {{properties: {{apiKey: {{}}, id: {{}}}}, required: [apiKey]}}
          steps:
          - {{stepId: s, workflowId: b, parameters: [{{name: k, value: $inputs.apiKey}}, {{name: id, value: $inputs.id}}]}}
        - workflowId: b
          inputs: {{properties: {{k: {{}}, id: {{}}}}}}
          steps:
          - {{stepId: s, workflowId: c, parameters: [{{name: key, value: $inputs.k}}]}}
        - workflowId: c
          inputs: {{properties: {{key: {{}}}}}}
          steps: [{{stepId: s, operationId: only, parameters: [{KEY}]}}]
        """
    )
    found = {key: dict(each.credentials) for key, each in plan.workflows.items()}
    assert found == {
        "a": {"apiKey": CredentialInput("api", "X-API-Key", required=True)},
        "b": {"k": CredentialInput("api", "X-API-Key")},
        "c": {"key": CredentialInput("api", "X-API-Key")},
    }
    assert list(plan.root.inputs["properties"]) == ["id"]
    assert "required" not in plan.root.inputs


def test_workflows_that_jump_to_each_other_share_their_credentials(project: Project) -> None:
    plan = project.plan(
        f"""
        - workflowId: a
          inputs: {{properties: {{key: {{}}}}}}
          steps:
          - stepId: s
            operationId: only
            onSuccess: [{{name: on, type: goto, workflowId: b, parameters: [{{name: key, value: $inputs.key}}]}}]
        - workflowId: b
          inputs: {{properties: {{key: {{}}}}}}
          steps:
          - stepId: s
            operationId: only
            parameters: [{KEY}]
            onFailure: [{{name: back, type: goto, workflowId: a, parameters: [{{name: key, value: $inputs.key}}]}}]
        """
    )
    for each in plan.workflows.values():
        assert each.credentials == {"key": CredentialInput("api", "X-API-Key")}


def test_a_literal_handed_to_a_credential_input_is_dropped(project: Project) -> None:
    result = project.compile(
        f"""
        - workflowId: a
          steps:
          - {{stepId: s, workflowId: b, parameters: [{{name: key, value: sk_live}}, {{name: id, value: seven}}]}}
        - workflowId: b
          inputs: {{properties: {{key: {{}}, id: {{}}}}}}
          steps: [{{stepId: s, operationId: only, parameters: [{KEY}, {{name: id, in: query, value: $inputs.id}}]}}]
        """
    )
    assert codes(result) == ["literal-credential"]
    call = result.plans["a"].root.steps[0].call
    assert isinstance(call, WorkflowCall)
    assert [name for name, _ in call.inputs] == ["id"]
    assert b"sk_live" not in encode_plan(result.plans["a"])


def test_a_workflow_parameter_with_a_place_is_no_input_of_a_called_workflow(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: a
          parameters:
          - {name: Authorization, in: header, value: Basic c2VjcmV0}
          - {name: id, in: query, value: seven}
          - {name: other, in: query, value: eight}
          steps:
          - {stepId: s, workflowId: b}
          - {stepId: t, operationId: only}
        - workflowId: b
          inputs: {properties: {id: {}}}
          steps: [{stepId: s, operationId: only, parameters: [{name: id, in: query, value: $inputs.id}]}]
        """
    )
    call = plan.root.steps[0].call
    assert isinstance(call, WorkflowCall)
    assert [name for name, _ in call.inputs] == ["id"]
    assert b"c2VjcmV0" not in encode_plan(plan)


LOGIN = """
- workflowId: login
  steps:
  - {stepId: auth, operationId: only, outputs: {raw: $response.body#/t, id: $response.body#/id}}
  outputs: {token: $steps.auth.outputs.raw, id: $steps.auth.outputs.id}
"""


def test_a_token_of_a_called_workflow_is_secret_where_it_is_made(project: Project) -> None:
    plan = project.plan(
        """
- workflowId: w
  steps:
  - {stepId: l, workflowId: login, outputs: {mine: $outputs.token, who: $outputs.id}}
  - {stepId: u, operationId: only, parameters: [{name: X-API-Key, in: header, value: $steps.l.outputs.mine}]}
"""
        + LOGIN
    )
    assert secret(plan) == {"w/l": ("mine", "token"), "login/auth": ("raw",)}


def test_a_token_that_is_read_without_being_declared_again(project: Project) -> None:
    plan = project.plan(
        """
- workflowId: w
  steps:
  - {stepId: l, workflowId: login}
  - {stepId: u, operationId: only, parameters: [{name: X-API-Key, in: header, value: $steps.l.outputs.token}]}
"""
        + LOGIN
    )
    assert secret(plan) == {"w/l": ("token",), "login/auth": ("raw",)}


def test_a_token_of_a_workflow_that_ran_before(project: Project) -> None:
    plan = project.plan(
        """
- workflowId: w
  dependsOn: [login]
  steps:
  - stepId: u
    operationId: only
    parameters: [{name: X-API-Key, in: header, value: $workflows.login.outputs.token}]
    outputs: {copy: $workflows.login.outputs.token}
"""
        + LOGIN
    )
    assert secret(plan) == {"w/u": ("copy",), "login/auth": ("raw",)}


def places(plan: Plan) -> dict[str, dict[str, set[str]]]:
    """Where credentials are inside outputs that hold one, by ``workflow/step``."""
    return {
        f"{key}/{step.id}": {
            name: {"/".join(way) for way in ways} for name, ways in step.secret_places.items()
        }
        for key, w in plan.workflows.items()
        for step in w.steps
        if step.secret_places
    }


def test_a_token_inside_an_object(project: Project) -> None:
    """Only what is sent is a credential; what lies beside it is not."""
    plan = project.plan(
        """
        - workflowId: w
          steps:
          - stepId: l
            operationId: only
            outputs: {all: $response.body, auth: $response.body#/auth, t: $response.body#/auth/t, id: $response.body#/id}
          - stepId: m
            operationId: only
            outputs: {copy: {inside: [$steps.l.outputs.all]}, who: $steps.l.outputs.all.id, u: $steps.l.outputs.all.auth.u}
          - {stepId: n, operationId: only, parameters: [{name: api-key, in: header, value: 'Bearer {$steps.l.outputs.auth#/t}'}]}
        """
    )
    assert secret(plan) == {"w/l": ("all", "auth", "t"), "w/m": ("copy",)}
    assert places(plan) == {
        "w/l": {"all": {"auth/t"}, "auth": {"t"}},
        "w/m": {"copy": {"inside/0/auth/t"}},
    }


def test_a_token_inside_an_object_of_a_called_workflow(project: Project) -> None:
    plan = project.plan(
        """
- workflowId: w
  steps:
  - {stepId: l, workflowId: login, outputs: {mine: $outputs.session}}
  - {stepId: u, operationId: only, parameters: [{name: X-API-Key, in: header, value: $steps.l.outputs.mine.tokens.access}]}
- workflowId: login
  steps:
  - {stepId: auth, operationId: only, outputs: {tokens: $response.body#/tokens, raw: $response.body}}
  outputs: {session: {tokens: $steps.auth.outputs.tokens, user: ada}}
"""
    )
    assert secret(plan) == {"w/l": ("mine", "session"), "login/auth": ("raw", "tokens")}
    assert places(plan) == {
        "w/l": {"mine": {"tokens/access"}, "session": {"tokens/access"}},
        "login/auth": {"tokens": {"access"}, "raw": {"tokens/access"}},
    }


def test_outputs_that_read_each_other_without_end(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          steps:
          - {stepId: a, operationId: only, outputs: {x: $steps.b.outputs.y.deeper}}
          - stepId: b
            operationId: only
            outputs: {y: $steps.a.outputs.x.more}
            onSuccess: [{name: back, type: goto, stepId: a}]
            parameters: [{name: X-API-Key, in: header, value: $steps.a.outputs.x}]
        """
    )
    assert secret(plan)["w/a"] == ("x",)


def test_a_token_handed_to_a_credential_input(project: Project) -> None:
    plan = project.plan(
        f"""
        - workflowId: w
          steps:
          - {{stepId: l, operationId: only, outputs: {{t: $response.body#/t}}}}
          - {{stepId: c, workflowId: use, parameters: [{{name: key, value: $steps.l.outputs.t}}]}}
        - workflowId: use
          inputs: {{properties: {{key: {{}}}}}}
          steps: [{{stepId: s, operationId: only, parameters: [{KEY}]}}]
        """
    )
    assert secret(plan) == {"w/l": ("t",)}


def test_copies_of_a_token_are_secret_too(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          steps:
          - {stepId: l, operationId: only, outputs: {t: $response.header.X-T, u: $response.header.X-U}}
          - {stepId: m, operationId: only, outputs: {t: 'token {$steps.l.outputs.t}', u: $steps.l.outputs.u}}
          - {stepId: n, operationId: only, parameters: [{name: api-key, in: header, value: $steps.l.outputs.t}]}
        """
    )
    assert secret(plan) == {"w/l": ("t",), "w/m": ("t",)}


def test_credentials_flow_by_name_into_workflows_that_run_before_or_are_jumped_to(project: Project) -> None:
    plan = project.plan(
        f"""
        - workflowId: w
          inputs: {{properties: {{key: {{}}, other: {{}}, id: {{}}}}}}
          dependsOn: [use]
          steps:
          - stepId: s
            operationId: only
            onSuccess: [{{name: on, type: goto, workflowId: next}}]
        - workflowId: use
          inputs: {{properties: {{key: {{}}}}}}
          steps: [{{stepId: s, operationId: only, parameters: [{KEY}]}}]
        - workflowId: next
          inputs: {{properties: {{other: {{}}, id: {{}}}}}}
          steps:
          - stepId: s
            operationId: only
            parameters: [{{name: id, in: query, value: $inputs.id}}, {{name: api-key, in: header, value: $inputs.other}}]
        """
    )
    assert set(plan.root.credentials) == {"key", "other"}
    assert list(plan.root.inputs["properties"]) == ["id"]
    assert [d.code for d in plan.diagnostics] == []


def test_members_of_a_body_that_are_passwords(project: Project) -> None:
    project.write(
        "api.yaml",
        """
        openapi: 3.1.0
        paths:
          /login:
            post:
              operationId: login
              requestBody:
                content:
                  application/x-www-form-urlencoded:
                    schema:
                      properties:
                        user: {type: string}
                        secret: {type: string, format: password}
                        more: {type: array, items: {properties: {pin: {format: password}}}}
        """,
    )
    plan = project.plan(
        """
        - workflowId: w
          inputs: {properties: {u: {}, p: {}, pin: {}}}
          steps:
          - {stepId: a, operationId: login, outputs: {next: $response.body#/next}}
          - stepId: b
            operationId: login
            requestBody: {payload: {user: $inputs.u, secret: $inputs.p, more: [{pin: 'x{$inputs.pin}'}]}}
          - stepId: c
            operationId: login
            requestBody: {payload: {user: $inputs.u, secret: $steps.a.outputs.next}}
        """
    )
    assert plan.root.credentials == {"p": CredentialInput("api"), "pin": CredentialInput("api")}
    assert secret(plan) == {"w/a": ("next",)}
