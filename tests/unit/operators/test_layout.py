"""Steps of called workflows as tasks of their own: the same requests under the same keys, on every way."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workflows import Interpreted, Simulation, interpretations, plan_of, step

from airflow_arazzo.expression.model import Expression
from airflow_arazzo.operators.graph import Component, components
from airflow_arazzo.operators.layout import MOST_TASKS
from airflow_arazzo.operators.needs import Read
from airflow_arazzo.plan.model import Action, Plan, Step, Workflow, WorkflowCall


def calling(name: str, workflow: str, **fields: object) -> Step:
    return step(name, call=WorkflowCall(workflow), **fields)  # type: ignore[arg-type]


def nested(*steps: Step, **others: Sequence[Step]) -> Plan:
    return plan_of(*steps, others={key: Workflow(key, tuple(own)) for key, own in others.items()})


def edges(plan: Plan) -> dict[str, list[str]]:
    return {part.name: [way.task for way in part.upstream] for part in components(plan)}


def by_name(plan: Plan) -> dict[str, Component]:
    return {part.name: part for part in components(plan)}


# --- shapes -----------------------------------------------------------------------------------------


def test_a_call_in_a_row() -> None:
    plan = nested(step("a"), calling("call", "inner"), step("z"), inner=[step("x"), step("y")])
    assert edges(plan) == {"a": [], "call.x": ["a"], "call.y": ["call.x"], "z": ["call.y"]}
    parts = by_name(plan)
    assert not any(part.asks or part.tells for part in parts.values())
    assert parts["call.x"].start == "call"
    assert parts["call.x"].position("call") == ("call",)
    assert parts["call.y"].start == "call/y"
    assert parts["call.y"].position("call/y") == ("call", "y")
    assert [part.answers for part in parts.values()] == [False, False, True, False]
    assert [part.ends for part in parts.values()] == [False, False, False, True]


def test_calls_in_calls() -> None:
    plan = nested(
        calling("one", "middle"),
        middle=[calling("two", "inner"), step("m")],
        inner=[step("x")],
    )
    assert edges(plan) == {"one.two.x": [], "one.m": ["one.two.x"]}
    assert by_name(plan)["one.two.x"].start == "one"
    assert by_name(plan)["one.m"].ends


def test_ways_lead_into_and_out_of_calls() -> None:
    plan = nested(
        step("a", success=["z"]),
        calling("call", "inner", success=["end"], failure=["r"]),
        step("r"),
        step("z"),
        inner=[step("x", success=["end"]), step("y")],
    )
    parts = by_name(plan)
    assert edges(plan)["call.x"] == ["a"]
    assert edges(plan)["r"] == ["call.x", "call.y"]
    assert parts["call.x"].tells
    assert parts["call.x"].ends
    assert parts["call.x"].asks


@pytest.mark.parametrize(
    "plan",
    [
        nested(calling("c", "inner", timeout_ms=5), inner=[step("x")]),
        nested(Step("c", WorkflowCall("inner"), on_failure=(Action("", "retry"),)), inner=[step("x")]),
        nested(
            step("a"),
            calling("c", "inner"),
            Step("b", step("b").call, on_failure=(Action("", "retry", step="c"),)),
            inner=[step("x")],
        ),
        nested(calling("c", "inner", success=["c"]), inner=[step("x")]),
        nested(calling("c", "inner"), step("b", success=["c"]), inner=[step("x")]),
        nested(calling("c", "inner"), inner=[step("x", success=[">other"])], other=[step("o")]),
        nested(calling("c", "inner"), inner=[step("x", failure=[">other"])], other=[step("o")]),
        nested(calling("c", "inner", failure=[">other"]), inner=[step("x")], other=[step("o")]),
        nested(calling("c", "inner"), inner=[step(f"x{i}") for i in range(MOST_TASKS + 1)]),
        nested(calling("c", "inner"), inner=[step("x/y")]),
        nested(calling("c" * 150, "inner"), inner=[step("x" * 100)]),
    ],
    ids=[
        "timeout",
        "retry",
        "before a retry",
        "loop of its own",
        "loop",
        "leaves",
        "leaves by failure",
        "caller leaves",
        "many",
        "odd name",
        "long name",
    ],
)
def test_one_task_drives_it(plan: Plan) -> None:
    assert not any(part.calls for part in components(plan))


def test_a_loop_inside_is_one_task() -> None:
    plan = nested(calling("c", "inner"), step("z"), inner=[step("x"), step("y", success=["x"]), step("w")])
    assert {part.name: part.steps for part in components(plan)} == {
        "c.x": ("x", "y"),
        "c.w": ("w",),
        "z": ("z",),
    }


def test_inputs_that_could_change_on_the_way() -> None:
    """What they are worked out from finishes once more inside."""
    named = Expression("workflows", "before", "outputs", "n")
    call = WorkflowCall("inner", (("n", named),))
    others = {
        "before": Workflow("before", (step("b"),)),
        "inner": Workflow("inner", (calling("again", "before"),)),
    }
    plan = plan_of(step("c", call=call), others=others, depends_on=("before",))
    assert not any(part.calls for part in components(plan))
    harmless = {**others, "inner": Workflow("inner", (step("x"),))}
    assert [p.name for p in components(plan_of(step("c", call=call), others=harmless))] == ["c.x"]


# --- what is read -------------------------------------------------------------------------------------


def output(step_id: str) -> Expression:
    return Expression("steps", step_id, "outputs", "n")


def test_what_tasks_inside_read() -> None:
    """Inputs of the call from outside, outputs of the workflow where it ends, and what its caller sees."""
    plan = plan_of(
        step("a"),
        step("b"),
        Step("c", WorkflowCall("inner", (("n", output("a")),)), outputs={"o": output("b")}),
        Step("z", WorkflowCall("last", (("n", output("c")),))),
        others={
            "inner": Workflow("inner", (step("x"), step("y")), outputs={"n": output("x")}),
            "last": Workflow("last", (step("w"),)),
        },
    )
    parts = by_name(plan)
    own = Read("x", ("c.x",), "c.x", by_step=False, level=1)
    a, b = (Read(name, (name,), name, by_step=False) for name in "ab")
    assert parts["c.x"].needs.reads == (a,)
    assert set(parts["c.y"].needs.reads) == {a, b, own}
    assert parts["z.w"].needs.reads == (Read("c", ("c.y",), "", by_step=False, called=True),)


# --- against the machine by itself ------------------------------------------------------------------------


def check(plan: Plan, found: Sequence[Interpreted]) -> None:
    for each in found:
        simulation = Simulation(plan)
        assert simulation.run(each.path) == each.path
        assert simulation.succeeded == each.succeeded
        assert tuple(simulation.keys) == each.keys


def home(own: Mapping[str, str], name: str) -> str:
    """The task that runs a step: its own, or the one that drives a step that calls its workflow."""
    names = [part.partition("#")[0] for part in name.split("/")]
    around = ("/".join(names[:length]) for length in range(len(names), 0, -1))
    return next((own[each] for each in around if each in own), next(iter(own.values())))


def check_clears(plan: Plan, found: Sequence[Interpreted]) -> int:
    """Run one way, clear a task, run another way from there: nothing of the first is left."""
    parts = components(plan)
    own = {"/".join((*part.calls, name)): part.name for part in parts for name in part.steps}
    homes = {name: home(own, name) for each in found for name, _ in each.path}
    checked = 0
    for first in found:
        for index, (name, _) in enumerate(first.path):
            if index and homes[first.path[index - 1][0]] == homes[name]:
                continue
            for second in found:
                if second.path[:index] != first.path[:index] or second is first:
                    continue
                simulation = Simulation(plan, parts)
                simulation.run(first.path)
                simulation.clear(homes[name])
                assert simulation.run(second.path[index:]) == second.path[index:]
                assert simulation.succeeded == second.succeeded
                checked += 1
    return checked


EXAMPLES = {
    "in a row": nested(step("a"), calling("c", "inner"), step("z"), inner=[step("x"), step("y")]),
    "twice": nested(calling("c", "inner"), calling("d", "inner"), inner=[step("x"), step("y")]),
    "in calls": nested(
        calling("c", "middle", failure=["z"]),
        step("b"),
        step("z"),
        middle=[step("m"), calling("n", "inner", success=["end"]), step("o")],
        inner=[step("x", success=["end"]), step("y")],
    ),
    "caller jumps": nested(
        step("a", success=["z"]),
        calling("c", "inner", success=["z", "end"], failure=["y"]),
        step("y"),
        step("z"),
        inner=[step("x", success=["w"]), step("v", failure=["w"]), step("w")],
    ),
    "first of first": nested(
        calling("c", "middle"), step("z"), middle=[calling("m", "inner"), step("n")], inner=[step("x")]
    ),
    "loop inside": nested(calling("c", "inner"), step("z"), inner=[step("x"), step("y", success=["x"])]),
    "dependencies first": plan_of(
        calling("c", "inner"),
        step("z"),
        others={
            "inner": Workflow("inner", (step("x"), step("y")), depends_on=("deep",)),
            "before": Workflow("before", (step("b"), step("d"))),
            "deep": Workflow("deep", (step("e"), step("f"))),
        },
        depends_on=("before",),
    ),
    "failed criteria": plan_of(
        step("c", call=WorkflowCall("inner"), criteria=step("_", success=["x"]).on_success[0].criteria),
        step("z"),
        others={"inner": Workflow("inner", (step("x", success=["end"]), step("y")))},
    ),
}


@pytest.mark.parametrize("plan", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_examples(plan: Plan) -> None:
    assert any(part.calls for part in components(plan))
    found = few(plan, 250)
    check(plan, found)
    some = random.Random(1).sample(found, min(25, len(found)))
    assert check_clears(plan, some) > 0


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans whose steps call others, up to two deep, with jumps on every level."""

    def some_steps(names: str, callable_keys: Sequence[str]) -> list[Step]:
        names = names[: draw(st.integers(1, len(names)))]
        targets = st.sampled_from([*names, "end"])
        made = []
        for name in names:
            jumps = {
                "success": draw(st.lists(targets, max_size=1)),
                "failure": draw(st.lists(targets, max_size=1)) if draw(st.integers(0, 2)) == 0 else [],
            }
            if callable_keys and draw(st.booleans()):
                made.append(calling(name, draw(st.sampled_from(callable_keys)), **jumps))
            else:
                made.append(step(name, **jumps))
        return made

    inner = some_steps("xyz", [])
    middle = some_steps("mno", ["inner"])
    return nested(*some_steps("abcd", ["inner", "middle"]), inner=inner, middle=middle)


def few(plan: Plan, most: int) -> list[Interpreted]:
    found = []
    for each in interpretations(plan):
        found.append(each)
        if len(found) == most:
            break
    return found


@settings(max_examples=150, deadline=None)
@given(plans())
def test_any_workflow(plan: Plan) -> None:
    check(plan, few(plan, 80))


@settings(max_examples=80, deadline=None)
@given(plans())
def test_any_workflow_after_any_clear(plan: Plan) -> None:
    check_clears(plan, few(plan, 15))
