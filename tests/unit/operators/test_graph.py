from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workflows import Interpreted, Simulation, interpretations, plan_of, step

from airflow_arazzo.operators.graph import Component, Undecided, components, end_of, led_to, task_names
from airflow_arazzo.plan.model import Plan, Step, Workflow


def edges(plan: Plan) -> dict[str, list[str]]:
    return {part.name: [way.task for way in part.upstream] for part in components(plan)}


def by_name(plan: Plan) -> dict[str, Component]:
    return {part.name: part for part in components(plan)}


# --- shapes ---------------------------------------------------------------------------------------


def test_linear() -> None:
    parts = components(plan_of(step("a"), step("b"), step("c")))
    assert [part.steps for part in parts] == [("a",), ("b",), ("c",)]
    assert [part.start for part in parts] == ["a", "b", "c"]
    assert not any(part.asks or part.tells or part.is_loop for part in parts)
    assert [part.ends for part in parts] == [False, False, True]
    assert edges(plan_of(step("a"), step("b"), step("c"))) == {"a": [], "b": ["a"], "c": ["b"]}


def test_forward_jump() -> None:
    parts = by_name(plan_of(step("a", success=["c"]), step("b"), step("c")))
    assert edges(plan_of(step("a", success=["c"]), step("b"), step("c"))) == {
        "a": [],
        "b": ["a"],
        "c": ["a", "b"],
    }
    assert parts["a"].tells
    assert parts["b"].asks
    assert parts["c"].asks
    assert [way.step for way in parts["c"].upstream] == [None, "c"]
    assert not parts["b"].tells


def test_end() -> None:
    parts = by_name(plan_of(step("a", success=["end"]), step("b")))
    assert parts["a"].ends
    assert parts["a"].tells
    assert parts["b"].asks


def test_failure_end_is_no_way_out() -> None:
    parts = by_name(plan_of(step("a", failure=["end"]), step("b")))
    assert not parts["a"].ends
    assert not parts["b"].asks


def test_unconditional_jump() -> None:
    plan = plan_of(step("a", always="c"), step("b"), step("c"))
    assert edges(plan) == {"a": [], "c": ["a"]}
    assert by_name(plan)["c"].start == "c"
    assert not by_name(plan)["c"].asks


@pytest.mark.parametrize("always", ["end", ">other"])
def test_steps_that_nothing_leads_to_are_no_tasks(always: str) -> None:
    others = {"other": Workflow("other", (step("x"),))}
    plan = plan_of(step("a", always=always), step("b"), step("c"), others=others)
    assert list(by_name(plan)) == ["a"]


def test_self_loop() -> None:
    parts = components(plan_of(step("a"), step("poll", success=["poll"]), step("b")))
    assert [part.steps for part in parts] == [("a",), ("poll",), ("b",)]
    assert not any(part.asks for part in parts)


def test_loop_of_several_steps() -> None:
    plan = plan_of(step("a"), step("b"), step("c", success=["b"]), step("d", failure=["d"]))
    parts = by_name(plan)
    assert [part.steps for part in parts.values()] == [("a",), ("b", "c"), ("d",)]
    assert parts["b"].is_loop
    assert parts["d"].start == "d"


def test_loop_that_can_be_entered_in_two_places() -> None:
    plan = plan_of(step("a", success=["c"]), step("b"), step("c", success=["b"]), step("d"))
    loop = by_name(plan)["b"]
    assert loop.steps == ("b", "c")
    assert loop.asks
    assert loop.upstream[0].step is None


def test_jump_into_the_middle_of_a_loop_begins_there() -> None:
    plan = plan_of(step("a", always="c"), step("b"), step("c", success=["b"]))
    assert by_name(plan)["b"].start == "c"


def test_jump_to_the_first_step() -> None:
    parts = components(plan_of(step("a"), step("b", success=["a"])))
    assert [(part.steps, part.upstream) for part in parts] == [(("a", "b"), ())]


def test_order_follows_jumps_backwards() -> None:
    """A step in front of the step that jumps to it comes after it."""
    plan = plan_of(step("a", success=["c"]), step("b", always="end"), step("c", success=["b"]))
    names = list(by_name(plan))
    assert names.index("c") < names.index("b")


def test_names() -> None:
    assert task_names(["a b", "a_b", "ä", "ü", "", "x" * 300, "x" * 300]) == [
        "a_b",
        "a_b_2",
        "step",
        "step_2",
        "step_3",
        "x" * 200,
        "x" * 195 + "_2",
    ]


def test_end_follows_every_way_out() -> None:
    parts = components(plan_of(step("a", success=["end"]), step("b"), step("c")))
    end = end_of(parts, "outputs")
    assert [(way.task, way.step) for way in end.upstream] == [("a", None), ("c", "")]
    success = {"a"}
    assert led_to(end, success.__contains__, {"a": ""}.get) == ""
    success = {"a", "b"}
    assert led_to(end, success.__contains__, {"a": "b"}.get) is None
    success = {"a", "b", "c"}
    assert led_to(end, success.__contains__, {"a": "b"}.get) == ""


def test_a_task_that_succeeded_without_saying_what_follows() -> None:
    """Somebody marked it as successful by hand: nobody may guess which step follows."""
    part = by_name(plan_of(step("a", success=["c"]), step("b"), step("c")))["b"]
    with pytest.raises(Undecided, match="a"):
        led_to(part, lambda task: True, lambda task: None)


# --- Airflow's semantics against the workflow's -------------------------------------------------------


def check_every_run(plan: Plan) -> list[Interpreted]:
    found = list(interpretations(plan))
    for each in found:
        simulation = Simulation(plan)
        assert simulation.run(each.path) == each.path
        assert simulation.succeeded == each.succeeded
    return found


def check_every_clear(plan: Plan, found: Sequence[Interpreted]) -> int:
    """Run one way, clear a task, run another way from there: nothing of the first is left."""
    parts = components(plan)
    homes = {name: part.name for part in parts for name in part.steps}
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
    "linear": [step("a"), step("b"), step("c")],
    "overlapping jumps": [
        step("a", success=["d"]),
        step("b", success=["e"]),
        step("c"),
        step("d"),
        step("e"),
    ],
    "end in the middle": [step("a"), step("b", success=["end"]), step("c"), step("d")],
    "failure taken over": [step("a"), step("b", failure=["d"]), step("c"), step("d")],
    "failure goes further": [
        step("a", failure=["c"]),
        step("b", always="end"),
        step("c", failure=["d"]),
        step("d"),
    ],
    "poll": [step("a"), step("b", success=["b"], failure=["d"]), step("c"), step("d")],
    "loop with two ways in and two out": [
        step("a", success=["c"]),
        step("b", failure=["e"]),
        step("c", success=["b", "e"]),
        step("d"),
        step("e"),
    ],
    "all ends": [
        step("a", success=["end", "c"]),
        step("b", always="end"),
        step("c", failure=["e"]),
        step("d"),
        step("e"),
    ],
    "stale": [step("a", success=["e", "d"]), step("b"), step("c", success=["e"]), step("d"), step("e")],
    "two ways that always meet": [step("a", success=["c"]), step("b", always="d"), step("c"), step("d")],
    "unreachable": [step("a", always="c"), step("b", success=["d"]), step("c"), step("d")],
}


@pytest.mark.parametrize("steps", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_examples(steps: list[Step]) -> None:
    plan = plan_of(*steps)
    found = check_every_run(plan)
    assert len(found) >= len(steps)
    assert check_every_clear(plan, found) > 0


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = "abcdef"[: draw(st.integers(1, 6))]
    targets = st.sampled_from([*names, *names, "end"])
    some = st.lists(targets, max_size=2)
    return plan_of(
        *(
            step(
                name,
                success=draw(some) if draw(st.booleans()) else (),
                always=draw(targets) if draw(st.integers(0, 5)) == 0 else "",
                failure=draw(st.lists(targets, max_size=1)) if draw(st.booleans()) else (),
            )
            for name in names
        )
    )


def few(plan: Plan, most: int) -> list[Interpreted]:
    """Some of the runs of a plan."""
    found = []
    for each in interpretations(plan):
        found.append(each)
        if len(found) == most:
            break
    return found


@settings(max_examples=150, deadline=None)
@given(plans())
def test_any_workflow(plan: Plan) -> None:
    """The same steps in the same order, and the same state of the run, on every way."""
    for each in few(plan, 150):
        simulation = Simulation(plan)
        assert simulation.run(each.path) == each.path
        assert simulation.succeeded == each.succeeded


@settings(max_examples=100, deadline=None)
@given(plans())
def test_any_workflow_after_any_clear(plan: Plan) -> None:
    check_every_clear(plan, few(plan, 25))


def test_the_jump_that_was_not_taken() -> None:
    """a may jump to d and does not; b jumps to e: d is not executed."""
    plan = plan_of(step("a", success=["d"]), step("b", success=["e"]), step("c"), step("d"), step("e"))
    simulation = Simulation(plan)
    assert simulation.run((("a", 200), ("b", 201), ("e", 200))) == (("a", 200), ("b", 201), ("e", 200))
    assert simulation.states == {
        "a": "success",
        "b": "success",
        "c": "skipped",
        "d": "skipped",
        "e": "success",
    }


def test_a_failed_step_fails_everything_downstream() -> None:
    plan = plan_of(step("a"), step("b", success=["d"]), step("c"), step("d"))
    simulation = Simulation(plan)
    simulation.run((("a", 200), ("b", 400)))
    assert simulation.states == {
        "a": "success",
        "b": "failed",
        "c": "upstream_failed",
        "d": "upstream_failed",
    }
    assert not simulation.succeeded


def test_what_a_skipped_task_said_once_is_not_believed() -> None:
    """c said that d follows, and after a clear is skipped without a start: its XCom is still there."""
    plan = plan_of(*EXAMPLES["stale"])
    simulation = Simulation(plan)
    simulation.run((("a", 200), ("b", 200), ("c", 200), ("d", 200), ("e", 200)))
    assert simulation.told["c"] == "d"
    simulation.clear("a")
    assert simulation.run((("a", 201), ("e", 200))) == (("a", 201), ("e", 200))
    assert simulation.told["c"] == "d"
    assert simulation.states["d"] == "skipped"


@pytest.mark.parametrize("fault", ["believes what skipped tasks said", "asks nobody", "asks one"])
def test_the_comparison_sees_faults(fault: str) -> None:
    def choose(part: Component, succeeded: object, told: object) -> str | None:
        if fault == "asks nobody":
            return part.steps[0]
        if fault == "asks one":
            first = part.upstream[0]
            step_id = first.step if first.step is not None else told(first.task)  # type: ignore[operator]
            return step_id if step_id in part.steps else None
        return led_to(part, lambda task: task in ("a", "c"), told)  # type: ignore[arg-type]

    plan = plan_of(*EXAMPLES["stale"])
    found = list(interpretations(plan))

    def all_agree() -> bool:
        for first in found:
            simulation = Simulation(plan, choose=choose)
            if simulation.run(first.path) != first.path:
                return False
            for second in found:
                again = Simulation(plan, choose=choose)
                again.run(first.path)
                again.clear("a")
                if again.run(second.path) != second.path:
                    return False
        return True

    assert not all_agree()
