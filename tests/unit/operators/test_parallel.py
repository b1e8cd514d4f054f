"""Steps side by side: what shares no data and no declared order; everything else keeps its meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workflows import Interpreted, Simulation, interpretations, plan_of, step

from airflow_arazzo.expression.model import Compare, Criterion, Expression, ObjectTemplate
from airflow_arazzo.operators.graph import Component, components, end_of
from airflow_arazzo.plan.model import (
    Action,
    Body,
    Encoding,
    OperationCall,
    Plan,
    Step,
    Workflow,
    WorkflowCall,
)
from airflow_arazzo.plan.parallel import sections


def output(step_id: str) -> Expression:
    return Expression("steps", step_id, "outputs", "n")


def reading(name: str, *others: str, **fields: object) -> Step:
    members = tuple((other, output(other)) for other in others)
    call = OperationCall(
        "api", name, "POST", f"/{name}", body=Body("application/json", ObjectTemplate(members))
    )
    return step(name, call=call, **fields)  # type: ignore[arg-type]


def edges(plan: Plan) -> dict[str, list[str]]:
    return {part.name: [way.task for way in part.upstream] for part in components(plan, parallel=True)}


# --- shapes -----------------------------------------------------------------------------------------


def test_plain_steps_follow_what_they_read() -> None:
    plan = plan_of(step("a"), step("b"), reading("c", "a"), step("d"), reading("e", "a", "c", "d"))
    assert edges(plan) == {"a": [], "b": [], "c": ["a"], "d": [], "e": ["c", "d"], "outputs": ["b", "e"]}
    parts = components(plan, parallel=True)
    assert not any(part.asks or part.tells for part in parts)
    assert [part.name for part in parts if part.ends] == ["outputs"]


def test_the_graph_of_one_after_the_other_is_the_same_without_it() -> None:
    plan = plan_of(step("a"), step("b"), reading("c", "a"))
    assert {p.name: [w.task for w in p.upstream] for p in components(plan)} == {
        "a": [],
        "b": ["a"],
        "c": ["b"],
    }


def in_criterion(step_id: str) -> Criterion:
    return Criterion("x", simple=Compare("==", output(step_id), output(step_id)))


@pytest.mark.parametrize(
    "last",
    [
        reading("z", "a"),
        step("z", criteria=(in_criterion("a"),)),
        step("z", outputs={"o": output("a")}),
        step("z", depends_on=("a",)),
        Step("z", step("z").call, on_failure=(Action("", "end", criteria=(in_criterion("a"),)),)),
        Step("z", WorkflowCall("other", (("n", output("a")),))),
        step(
            "z",
            call=OperationCall(
                "api",
                "z",
                "POST",
                "/z",
                body=Body("multipart/form-data", output("b"), {"f": Encoding(headers={"H": output("a")})}),
            ),
        ),
    ],
    ids=["body", "criterion", "output", "dependsOn", "action", "call", "encoding header"],
)
def test_every_kind_of_order(last: Step) -> None:
    plan = plan_of(step("a"), step("b"), last, others={"other": Workflow("other", (step("x"),))})
    assert "a" in edges(plan)["z.x" if isinstance(last.call, WorkflowCall) else "z"]


@pytest.mark.parametrize(
    "plain",
    [
        Step("b", step("b").call, on_failure=(Action("", "retry"),)),
        Step("b", step("b").call, on_failure=(Action("", "retry", step="b"), Action("", "end"))),
    ],
    ids=["retry", "retry of its own, then the end"],
)
def test_what_changes_nothing_for_others(plain: Step) -> None:
    assert edges(plan_of(step("a"), plain, step("c")))["b"] == []


def failing(*actions: Action) -> Step:
    return Step("m", step("m").call, on_failure=actions)


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        (step("m", success=["n"]), "ab mn op"),
        (step("m", failure=["o"]), "ab mno p"),
        (step("m", success=["m"]), "ab m nop"),
        (step("m", success=["b"]), "a bm nop"),
        (step("m", success=["end"]), "ab mnop"),
        (step("m", success=[">other"]), "ab mnop"),
        (failing(Action("", "retry", step="b")), "a bm nop"),
        (Step("m", WorkflowCall("depends")), "ab m nop"),
        (failing(Action("", "retry", workflow="depends")), "ab m nop"),
        (Step("m", WorkflowCall("other")), "abmnop"),
    ],
    ids=[
        "goto",
        "failure goto",
        "poll",
        "loop",
        "end",
        "leaves",
        "step before a retry",
        "call",
        "workflow before a retry",
        "plain call",
    ],
)
def test_jumps_keep_the_order_around_them(middle: Step, expected: str) -> None:
    others = {
        "other": Workflow("other", (step("x"),)),
        "depends": Workflow("depends", (Step("y", WorkflowCall("deep")),)),
        "deep": Workflow("deep", (step("x"),), depends_on=("other",)),
    }
    plan = plan_of(step("a"), step("b"), middle, step("n"), step("o"), step("p"), others=others)
    assert ["".join(section.steps) for section in sections(plan)] == expected.split()


def test_sections_come_after_each_other() -> None:
    plan = plan_of(step("a"), step("b"), step("m", success=["n"]), step("n"), step("o"), step("p"))
    assert edges(plan) == {
        "a": [],
        "b": [],
        "m": ["a", "b"],
        "n": ["m"],
        "o": ["n"],
        "p": ["n"],
        "outputs": ["o", "p"],
    }


def test_an_end_in_several_places() -> None:
    plan = plan_of(step("a"), step("b"), step("c", success=["end"]), step("d"))
    parts = components(plan, parallel=True)
    assert edges(plan) == {"a": [], "b": [], "c": ["a", "b"], "d": ["c"]}
    assert [way.task for way in end_of(parts, "end").upstream] == ["c", "d"]


def test_one_step_that_ends_it_needs_no_other() -> None:
    plan = plan_of(step("a"), step("b"), reading("c", "a", "b"), outputs={"n": output("a")})
    parts = components(plan, parallel=True)
    assert [(part.name, part.ends) for part in parts] == [("a", False), ("b", False), ("c", True)]
    assert [read.step for read in parts[-1].needs.reads] == ["a", "b"]


def test_dependencies_run_before_everything_else() -> None:
    plan = plan_of(
        step("a"), step("b"), others={"before": Workflow("before", (step("x"),))}, depends_on=("before",)
    )
    assert edges(plan) == {"a": [], "b": ["a"]}


def test_a_called_workflow_is_a_group_where_it_ends_in_one_place() -> None:
    others = {
        "inner": Workflow("inner", (step("x"), step("y"))),
        "forked": Workflow("forked", (step("x", success=["end"]), step("y"))),
    }
    steps = [Step("c", WorkflowCall("inner")), Step("d", WorkflowCall("forked")), reading("e", "c", "d")]
    assert edges(plan_of(*steps, others=others)) == {"c.x": [], "c.y": ["c.x"], "d": [], "e": ["c.y", "d"]}


def test_workflows_that_are_named_come_first() -> None:
    named = OperationCall(
        "api", "z", "POST", "/z", body=Body("application/json", Expression("workflows", "inner"))
    )
    plan = plan_of(
        Step("c", WorkflowCall("inner")),
        step("b"),
        step("z", call=named),
        others={"inner": Workflow("inner", (step("x"),))},
    )
    assert edges(plan)["z"] == ["c.x"]


# --- Airflow's semantics against the workflow's -------------------------------------------------------


def named_by(plan: Plan) -> Mapping[str, set[str]]:
    """By step, the steps that it names in its body."""
    found = {}
    for each in plan.root.steps:
        body = each.call.body if isinstance(each.call, OperationCall) else None
        members = body.payload.members if body and isinstance(body.payload, ObjectTemplate) else ()
        found[each.id] = {name for name, _ in members}
    return found


def check(plan: Plan, found: Sequence[Interpreted]) -> None:
    """The same requests, in an order that is as declared; a failure ends no run green."""
    parts = components(plan, parallel=True)
    names = named_by(plan)
    for each in found:
        left = list(each.path)
        failed = [name for name, status in each.path if not each.succeeded][-1:]

        def given(name: str, left: list[tuple[str, int]] = left) -> int:
            mine = next((pair for pair in left if pair[0] == name), None)
            if mine is None:
                return 200  # beside the branch that has failed
            left.remove(mine)
            return mine[1]

        simulation = Simulation(plan, parts)
        executed = simulation.run_by(given)
        assert simulation.succeeded == each.succeeded
        ran = [name for name, _ in executed]
        if each.succeeded:
            assert sorted(executed) == sorted(each.path)
            assert sorted(simulation.keys) == sorted(each.keys)
        else:
            assert set(each.path) <= set(executed)
            assert not any(names[name] & set(failed) for name in ran if name not in dict(each.path))
        for index, name in enumerate(ran):
            # what it names has run, where it runs at all before it
            wanted = {n for n in names[name] if n in dict(each.path) and order(each.path, n, name)}
            assert wanted <= set(ran[:index])


def order(path: Sequence[tuple[str, int]], first: str, second: str) -> bool:
    steps = [name for name, _ in path]
    return second in steps and steps.index(first) < steps.index(second)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = "abcdef"[: draw(st.integers(1, 6))]
    targets = st.sampled_from([*names, "end"])
    steps = []
    for index, name in enumerate(names):
        jumpy = draw(st.integers(0, 4)) == 0
        steps.append(
            reading(
                name,
                *(draw(st.sets(st.sampled_from(names[:index]), max_size=2)) if index else ()),
                success=draw(st.lists(targets, max_size=1)) if jumpy else (),
                always=draw(targets) if jumpy and draw(st.integers(0, 3)) == 0 else "",
                failure=draw(st.lists(targets, max_size=1)) if jumpy else (),
            )
        )
    return plan_of(*steps)


def few(plan: Plan, most: int) -> list[Interpreted]:
    found = []
    for each in interpretations(plan):
        found.append(each)
        if len(found) == most:
            break
    return found


@settings(max_examples=200, deadline=None)
@given(plans())
def test_any_workflow(plan: Plan) -> None:
    check(plan, few(plan, 60))


@settings(max_examples=100, deadline=None)
@given(plans())
def test_every_step_is_in_one_section_and_in_order(plan: Plan) -> None:
    positions = {each.id: index for index, each in enumerate(plan.root.steps)}
    listed = [name for section in sections(plan) for name in section.steps]
    assert listed == sorted(set(listed), key=positions.__getitem__)
    ran = {name for part in components(plan, parallel=True) for name in part.steps}
    assert ran == set(listed)


def test_a_join_waits_for_all() -> None:
    plan = plan_of(step("a"), step("b"), reading("c", "a", "b"), step("d"))
    simulation = Simulation(plan, components(plan, parallel=True))
    simulation.run_by(lambda name: 400 if name == "b" else 200)
    assert simulation.states == {
        "a": "success",
        "b": "failed",
        "c": "upstream_failed",
        "d": "success",
        "outputs": "upstream_failed",
    }
    assert not simulation.succeeded


def test_the_conclusion_reads_what_the_outputs_name() -> None:
    plan = plan_of(step("a"), step("b"), outputs={"n": output("a")})
    conclusion: Component = components(plan, parallel=True)[-1]
    assert conclusion.steps == ()
    assert [read.step for read in conclusion.needs.reads] == ["a"]
    assert all(len(part.needs.reads) == 0 for part in components(plan, parallel=True)[:-1])
