"""What a DAG consists of, worked out and read again."""

from __future__ import annotations

import msgspec
import pytest
from workflows import plan_of, step

from airflow_arazzo.plan.model import Action, Plan, Workflow, WorkflowCall
from airflow_arazzo.shape import derivation

INPUTS = {
    "required": ["amount"],
    "properties": {
        "amount": {"type": "number", "minimum": 0.5, "description": "How *much*."},
        "note": {"type": "string", "default": "none"},
        "count": {"type": "integer", "maximum": 10**30, "description": "Any <b>number</b>."},
        "kind": {"oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]},
        "anything": True,
    },
}
RETRY = Action("r", "retry", retry_after="1.5", retry_limit=2)
CALL = WorkflowCall("called")
CALLED = {"called": Workflow("called", (step("x", success=["end"]), step("y")))}

PLANS = {
    "a line": plan_of(step("a"), step("b"), inputs=INPUTS),
    "ways": plan_of(step("a", success=["c"]), step("b", success=["end"]), step("c")),
    "a loop": plan_of(step("a"), step("b", success=["a"], failure=["a"]), step("c")),
    "a retry": plan_of(msgspec.structs.replace(step("a"), on_failure=(RETRY,)), step("b")),
    "a call": plan_of(step("a"), step("call", call=CALL), step("b", depends_on=("a",)), others=CALLED),
}


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_what_is_read_again_is_what_was_made(plan: Plan, parallel: bool) -> None:
    way = derivation(parallel=parallel)
    made = way.make(plan)
    assert made.tasks
    assert way.decoder.decode(msgspec.json.encode(made)) == made


def test_steps_side_by_side_are_another_shape() -> None:
    plan = PLANS["a line"]
    one, other = derivation(parallel=False), derivation(parallel=True)
    assert one.name != other.name
    assert one.make(plan).tasks != other.make(plan).tasks
