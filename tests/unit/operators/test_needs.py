"""What has to be there for a component to run."""

from __future__ import annotations

import msgspec
import pytest
from workflows import plan_of, step

from airflow_arazzo.expression.model import Expression, ObjectTemplate, Text
from airflow_arazzo.operators.graph import components
from airflow_arazzo.operators.needs import Needs, Read
from airflow_arazzo.plan.model import (
    Action,
    Body,
    CredentialInput,
    Encoding,
    OperationCall,
    Parameter,
    Plan,
    Source,
    Step,
    Workflow,
    WorkflowCall,
)


def needs(plan: Plan) -> dict[str, Needs]:
    return {part.name: part.needs for part in components(plan)}


def output(step_id: str) -> Expression:
    return Expression("steps", step_id, "outputs", "n")


def get(name: str, source: str = "api") -> OperationCall:
    return OperationCall(source, name, "GET", f"/{name}")


def reading(*expressions: Expression, source: str = "api") -> OperationCall:
    members = tuple((f"m{i}", each) for i, each in enumerate(expressions))
    return OperationCall(source, "x", "POST", "/x", body=Body("application/json", ObjectTemplate(members)))


def test_reads_of_every_place() -> None:
    """Body, parameter, encoding header, criterion, output, action's input: and the workflow's outputs."""
    call = OperationCall(
        "api",
        "x",
        "POST",
        "/x",
        parameters=(Parameter("p", "query", Text(("x", output("a")))),),
        body=Body("multipart/form-data", output("b"), {"f": Encoding(headers={"H": output("c")})}),
    )
    plan = plan_of(
        *(step(name) for name in "abcde"),
        step("x", call=call, outputs={"o": output("d")}),
        outputs={"o": output("e"), "own": output("x")},
    )
    assert sorted(read.step for read in needs(plan)["x"].reads) == ["a", "b", "c", "d", "e"]
    assert needs(plan)["e"].reads == ()


def test_outputs_of_a_workflow_are_read_wherever_it_can_end() -> None:
    plan = plan_of(step("a"), step("b", success=["end"]), step("c"), outputs={"o": output("a")})
    assert [bool(each.reads) for each in needs(plan).values()] == [False, True, True]


def test_reading_a_loop() -> None:
    plan = plan_of(step("a"), step("b", success=["a"]), step("c", call=reading(output("b"))))
    assert needs(plan)["c"].reads == (Read("b", ("a",), "a", by_step=True),)


def test_steps_before_a_retry() -> None:
    """They count as run by the task that retries; whether or not they have a task of their own."""
    again = Action("renew", "retry", step="token")
    steps = [
        step("token", outputs={"n": Expression("response")}),
        Step("use", reading(output("token"), source="other"), on_failure=(again,)),
        step("last", call=reading(output("token"))),
    ]
    plan = plan_of(*steps)
    found = needs(plan)
    assert found["use"].guests == ("token",)
    assert found["use"].sources == ("other", "api")
    assert found["last"].reads == (Read("token", ("token", "use"), "token", by_step=False),)
    behind = plan_of(steps[1], step("last", always="end", call=reading(output("token"))), steps[0])
    assert needs(behind)["last"].reads == (Read("token", ("use",), "", by_step=False),)


@pytest.mark.parametrize(
    ("each", "waits"),
    [
        (step("a"), False),
        (step("a", success=["end"]), False),
        (step("a", success=["b"], failure=["b"]), False),
        (step("a", success=["a"]), True),
        (step("a", failure=["a"]), True),
        (Step("a", get("a"), on_failure=(Action("", "retry"),)), True),
        (Step("a", WorkflowCall("other"), timeout_ms=9), True),
        (step("a", success=[">other"]), True),
    ],
    ids=["plain", "end", "forward", "loop", "loop by failure", "retry", "call", "goto workflow"],
)
def test_waiting(each: Step, waits: bool) -> None:
    others = {"other": Workflow("other", (step("x"),))}
    found = needs(plan_of(each, step("b"), others=others))["a"]
    assert found.waits is waits
    assert found.encrypts is waits


def test_secret_outputs_are_encrypted() -> None:
    assert needs(plan_of(step("a", secret_outputs=("token",))))["a"].encrypts


def test_workflows_inside() -> None:
    """Also those that they depend on, call and lead to; their sources and their safety count."""
    others = {
        "called": Workflow("called", (Step("x", get("x", "second")),), depends_on=("before",)),
        "before": Workflow("before", (Step("y", WorkflowCall("deep")),)),
        "deep": Workflow("deep", (step("z", call=OperationCall("third", "z", "DELETE", "/z")),)),
        "unrelated": Workflow("unrelated", (step("u"),)),
    }
    plan = plan_of(
        Step("a", get("a")),
        Step("b", WorkflowCall("called"), timeout_ms=9),
        Step("c", get("c")),
        others=others,
    )
    found = needs(plan)
    assert set(found["b"].inner) == {"called", "before", "deep"}
    assert set(found["b"].sources) == {"second", "third"}
    assert [each.only_safe for each in found.values()] == [True, False, True]


def test_who_must_know_of_finished_workflows() -> None:
    others = {
        "before": Workflow("before", (step("x"),)),
        "called": Workflow("called", (step("y"),), depends_on=("before",)),
    }
    named = Expression("workflows", "before", "outputs", "n")
    plan = plan_of(
        step("a"),
        step("b", call=reading(named)),
        step("c", call=WorkflowCall("called")),
        step("d"),
        others=others,
        depends_on=("before",),
    )
    found = needs(plan)
    assert [each.recalls for each in found.values()] == [(), ("a",), ("a",), ()]
    assert [each.recalled for each in found.values()] == [True, False, False, False]
    assert found["a"].encrypts


def test_sources_of_secret_inputs() -> None:
    """The value of a secret may be in the connection of a source that the step does not call."""
    secret = Expression("inputs", name="pin")
    plan = plan_of(step("a", call=reading(secret)), step("b"), credentials={"pin": CredentialInput("vault")})
    plan = msgspec.structs.replace(plan, sources={**plan.sources, "vault": Source("vault")})
    assert [each.sources for each in needs(plan).values()] == [("api", "vault"), ("api",)]
