"""Workflows in workflows: a task for each step of a called workflow, as when one task drives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from scripted import Answer, ScriptedApi, end, goto, retry, workflow

from airflow_arazzo.operators import layout

OPERATIONS = [f"POST /{name}" for name in "abcdefgh"]
ACCEPTED = "$statusCode == 202"


def body(**payload: str) -> dict[str, Any]:
    return {"contentType": "application/json", "payload": payload}


def call(name: str, key: str, **fields: Any) -> dict[str, Any]:
    given = [{"name": n, "value": v} for n, v in fields.pop("inputs", {}).items()]
    return {"stepId": name, "workflowId": key, **({"parameters": given} if given else {}), **fields}


def inputs(**properties: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": kind} for name, kind in properties.items()}}


@dataclass
class Case:
    """Workflows, the first of which runs, and what the API answers.

    :param states: of the tasks, where steps of called workflows have their own.
    :param sent: paths of the requests.
    """

    workflows: list[dict[str, Any]]
    states: dict[str, str]
    sent: str
    answers: dict[str, list[Any]] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    version: str = "1.0.1"


OK, SKIPPED, FAILED, BLOCKED = "success", "skipped", "failed", "upstream_failed"
INNER = workflow(
    "inner",
    {"stepId": "a", "requestBody": body(x="$inputs.x"), "outputs": {"n": "$response.body#/n"}},
    {"stepId": "b", "requestBody": body(x="$inputs.x", n="$steps.a.outputs.n")},
    inputs=inputs(x="integer"),
    outputs={"n": "$steps.a.outputs.n", "x": "$inputs.x"},
)
FORKED = workflow(
    "forked", {"stepId": "d", "onSuccess": [end("enough", ACCEPTED)]}, {"stepId": "e"}, {"stepId": "f"}
)

CASES = {
    "in a row": Case(
        [
            workflow(
                "w",
                {"stepId": "c", "outputs": {"x": "$response.body#/x"}},
                call("call", "inner", inputs={"x": "$steps.c.outputs.x"}),
                {"stepId": "g", "requestBody": body(n="$steps.call.outputs.n", x="$steps.call.outputs.x")},
                outputs={"n": "$steps.call.outputs.n"},
            ),
            INNER,
        ],
        {"c": OK, "call.a": OK, "call.b": OK, "g": OK},
        "cabg",
        {"/c": [{"x": 3}], "/a": [{"n": 7}]},
        {"n": 7},
    ),
    "called twice": Case(
        [
            workflow(
                "w",
                call("one", "inner", inputs={"x": 1}),
                call("two", "inner", inputs={"x": "$steps.one.outputs.n"}),
                outputs={"n": "$steps.two.outputs.x"},
            ),
            INNER,
        ],
        {"one.a": OK, "one.b": OK, "two.a": OK, "two.b": OK},
        "abab",
        {"/a": [{"n": 5}, {"n": 6}]},
        {"n": 5},
    ),
    "two deep": Case(
        [
            workflow(
                "w",
                call("outer", "middle", inputs={"y": 4}, outputs={"mine": "$outputs.m"}),
                {"stepId": "h", "requestBody": body(m="$steps.outer.outputs.mine")},
                outputs={"m": "$steps.outer.outputs.m"},
            ),
            workflow(
                "middle",
                {"stepId": "c", "outputs": {"k": "$response.body#/k"}},
                call("call", "inner", inputs={"x": "$inputs.y"}),
                {"stepId": "g", "requestBody": body(k="$steps.c.outputs.k", n="$steps.call.outputs.n")},
                inputs=inputs(y="integer"),
                outputs={"m": "$steps.call.outputs.n"},
            ),
            INNER,
        ],
        {"outer.c": OK, "outer.call.a": OK, "outer.call.b": OK, "outer.g": OK, "h": OK},
        "cabgh",
        {"/c": [{"k": 1}], "/a": [{"n": 7}]},
        {"m": 7},
    ),
    "an end inside": Case(
        [workflow("w", call("call", "forked"), {"stepId": "g"}), FORKED],
        {"call.d": OK, "call.e": SKIPPED, "call.f": SKIPPED, "g": OK},
        "dg",
        {"/d": [202]},
    ),
    "jumped over": Case(
        [
            workflow(
                "w", {"stepId": "c", "onSuccess": [goto("on", "g")]}, call("call", "inner"), {"stepId": "g"}
            ),
            INNER,
        ],
        {"c": OK, "g": OK},
        "cg",
    ),
    "perhaps jumped over": Case(
        [
            workflow(
                "w",
                {"stepId": "c", "onSuccess": [goto("on", "g", ACCEPTED)]},
                call("call", "inner"),
                {"stepId": "g"},
            ),
            INNER,
        ],
        {"c": OK, "call.a": SKIPPED, "call.b": SKIPPED, "g": OK},
        "cg",
        {"/c": [202]},
    ),
    "the caller jumps": Case(
        [
            workflow(
                "w",
                call("call", "forked", onSuccess=[goto("on", "h", ACCEPTED)]),
                {"stepId": "g"},
                {"stepId": "h"},
            ),
            FORKED,
        ],
        {"call.d": OK, "call.e": SKIPPED, "call.f": SKIPPED, "g": SKIPPED, "h": OK},
        "dh",
        {"/d": [202]},
    ),
    "the caller ends it": Case(
        [
            workflow(
                "w",
                call("call", "inner", inputs={"x": 1}, onSuccess=[end("enough", "$outputs.n == 7")]),
                {"stepId": "g"},
                outputs={"n": "$steps.call.outputs.n"},
            ),
            INNER,
        ],
        {"call.a": OK, "call.b": OK, "g": SKIPPED},
        "ab",
        {"/a": [{"n": 7}]},
        {"n": 7},
    ),
    "a failure inside": Case(
        [
            workflow("w", call("call", "inner"), {"stepId": "g"}),
            workflow("inner", {"stepId": "a", "onFailure": [end("stop")]}, {"stepId": "b"}),
        ],
        {"call.a": FAILED, "call.b": BLOCKED, "g": BLOCKED},
        "a",
        {"/a": [404]},
    ),
    "a failure that the caller handles": Case(
        [
            workflow(
                "w",
                call("call", "inner", onFailure=[goto("repair", "h")]),
                {"stepId": "g"},
                {"stepId": "h", "requestBody": body(n="$steps.call.outputs.n")},
            ),
            INNER,
        ],
        {"call.a": OK, "call.b": OK, "g": SKIPPED, "h": OK},
        "abh",
        {"/b": [404]},
    ),
    "a failure that the caller handles at once": Case(
        [
            workflow(
                "w",
                call("call", "inner", onFailure=[goto("repair", "h")]),
                {"stepId": "g"},
                {"stepId": "h"},
            ),
            INNER,
        ],
        {"call.a": OK, "call.b": SKIPPED, "g": SKIPPED, "h": OK},
        "ah",
        {"/a": [404]},
    ),
    "a failure handled is a step that has run": Case(
        [
            workflow(
                "w",
                {"stepId": "c", "onSuccess": [goto("on", "h", ACCEPTED)]},
                call("call", "inner", onFailure=[goto("repair", "h")]),
                {"stepId": "g"},
                {"stepId": "h", "dependsOn": ["call"]},
            ),
            INNER,
        ],
        {"c": OK, "call.a": OK, "call.b": SKIPPED, "g": SKIPPED, "h": OK},
        "cah",
        {"/a": [404]},
        version="1.1.0",
    ),
    "criteria of the caller": Case(
        [
            workflow(
                "w",
                call("call", "inner", successCriteria=[{"condition": "$outputs.n == 8"}]),
                {"stepId": "g"},
            ),
            INNER,
        ],
        {"call.a": OK, "call.b": FAILED, "g": BLOCKED},
        "ab",
        {"/a": [{"n": 7}]},
    ),
    "inputs that are not accepted": Case(
        [
            workflow(
                "w",
                {"stepId": "c", "outputs": {"x": "$response.body#/x"}},
                call("call", "inner", inputs={"x": "$steps.c.outputs.x"}, onFailure=[goto("repair", "h")]),
                {"stepId": "g"},
                {"stepId": "h"},
            ),
            INNER,
        ],
        {"c": OK, "call.a": OK, "call.b": SKIPPED, "g": SKIPPED, "h": OK},
        "ch",
        {"/c": [{"x": "no number"}]},
    ),
    "a loop inside": Case(
        [
            workflow(
                "w",
                call("call", "inner"),
                {"stepId": "g", "requestBody": body(n="$steps.call.outputs.n")},
            ),
            workflow(
                "inner",
                {"stepId": "a"},
                {
                    "stepId": "b",
                    "outputs": {"n": "$response.body#/n"},
                    "onSuccess": [goto("more", "a", "$response.body#/more == true")],
                },
                {"stepId": "d"},
                outputs={"n": "$steps.b.outputs.n"},
            ),
        ],
        {"call.a": OK, "call.d": OK, "g": OK},
        "ababdg",
        {"/b": [Answer(200, {"more": True}, {"Retry-After": "0"}), {"more": False, "n": 2}]},
    ),
    "a retry inside": Case(
        [
            workflow("w", call("call", "inner"), {"stepId": "g"}),
            workflow(
                "inner",
                {"stepId": "a", "outputs": {"t": "$response.body#/t"}},
                {
                    "stepId": "b",
                    "requestBody": body(t="$steps.a.outputs.t"),
                    "onFailure": [retry("renew", stepId="a")],
                },
                {"stepId": "d", "requestBody": body(t="$steps.a.outputs.t")},
            ),
        ],
        {"call.a": OK, "call.b": OK, "call.d": OK, "g": OK},
        "ababdg",
        {"/a": [{"t": 1}, {"t": 2}], "/b": [404, 200]},
    ),
    "dependencies": Case(
        [
            workflow(
                "w",
                {"stepId": "b"},
                call("call", "inner", inputs={"x": "$workflows.before.outputs.n"}),
                {"stepId": "e", "requestBody": body(n="$workflows.last.outputs.n")},
                dependsOn=["before"],
            ),
            workflow(
                "before",
                {"stepId": "a", "outputs": {"n": "$response.body#/n"}},
                outputs={"n": "$steps.a.outputs.n"},
            ),
            workflow(
                "inner",
                {"stepId": "d", "requestBody": body(x="$inputs.x", n="$workflows.last.outputs.n")},
                dependsOn=["last"],
                inputs=inputs(x="integer"),
            ),
            workflow(
                "last",
                {"stepId": "c", "outputs": {"n": "$response.body#/n"}},
                outputs={"n": "$steps.c.outputs.n"},
            ),
        ],
        {"b": OK, "call.d": OK, "e": OK},
        "",
        {"/a": [{"n": 7}], "/c": [{"n": 8}]},
    ),
    "dependencies of the first step": Case(
        [
            workflow(
                "w",
                call("call", "inner", inputs={"x": "$workflows.before.outputs.n"}),
                {"stepId": "e"},
                dependsOn=["before"],
            ),
            workflow(
                "before",
                {"stepId": "c", "outputs": {"n": "$response.body#/n"}},
                {"stepId": "d"},
                outputs={"n": "$steps.c.outputs.n"},
            ),
            INNER,
        ],
        {"call.a": OK, "call.b": OK, "e": OK},
        "cdabe",
        {"/c": [{"n": 8}]},
    ),
}


@dataclass
class Outcome:
    state: str
    states: dict[str, str]
    sent: list[tuple[str, str]]
    outputs: list[Any]


def drive_by_one_task(patched: pytest.MonkeyPatch, folder: Path) -> None:
    """Give steps of called workflows no tasks. The cache keeps what tasks there are: take another one."""
    patched.setenv("ARAZZO_CACHE_DIR", str(folder / "plans"))
    patched.setattr(layout, "_may_expand", lambda *_: False)


@pytest.fixture
def play(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Any:
    """Runs a case: ``play(case, in_groups, identity)``."""

    def run(case: Case, in_groups: bool, identity: str = "") -> Outcome:
        with monkeypatch.context() as patched:
            if not in_groups:
                drive_by_one_task(patched, tmp_path)
            dag = workflow_dag(
                *case.workflows,
                operations=OPERATIONS,
                document={"arazzo": case.version},
                identity=identity or uuid4().hex,
            )
        api.answers.clear()
        api.requests.clear()
        for path, answers in case.answers.items():
            api.answer(path, *answers)
        ran = run_dag(dag, connections={"api": api.connection()})
        published = [value for (_, key), value in ran.xcoms().items() if key == "workflow_outputs"]
        return Outcome(ran.state, ran.states, [(r.target, r.body) for r in api.requests], published)

    return run


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_both_ways_are_the_same(play: Any, case: Case) -> None:
    """Requests on the wire, outputs and the state of the run; a second run with the same identity, the other
    way, finds every effect in the ledger: the keys are the same."""
    identity = uuid4().hex
    driven = play(case, False, identity)
    own = play(case, True)
    assert own.states == case.states
    assert own.state == driven.state
    assert own.sent == driven.sent
    assert own.outputs == driven.outputs
    assert own.outputs == ([case.outputs] if case.outputs else [])
    if case.sent:
        assert [path for path, _ in own.sent] == [f"/{name}" for name in case.sent]
    if any(isinstance(answer, int) and answer >= 400 for each in case.answers.values() for answer in each):
        return  # what was refused is asked for again
    again = play(case, True, identity)
    assert (again.state, again.states, again.outputs) == (own.state, own.states, own.outputs)
    assert again.sent == []


def test_the_groups_show_what_is_called(workflow_dag: Any) -> None:
    case = CASES["two deep"]
    dag = workflow_dag(*case.workflows, operations=OPERATIONS)
    assert set(dag.task_group_dict) >= {"outer", "outer.call"}
    assert dag.get_task("outer.call.a").task_group.group_id == "outer.call"
    assert dag.get_task("outer.call.b").upstream_task_ids == {"outer.call.a"}
    assert dag.get_task("outer.call.b").task_display_name == "b: The operation /b"


def test_a_token_of_one_task_authenticates_another(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Handed over as an input of the call: it is read where it was, encrypted, and is in no other XCom."""
    token = f"tok-{uuid4().hex}"
    bearer = [{"name": "Authorization", "in": "header", "value": "Bearer {$inputs.token}"}]
    case = Case(
        [
            workflow(
                "w",
                {"stepId": "a", "outputs": {"token": "$response.body#/token"}},
                call("call", "inner", inputs={"token": "$steps.a.outputs.token"}),
            ),
            workflow(
                "inner",
                {"stepId": "b", "parameters": bearer},
                {"stepId": "c", "parameters": bearer},
                inputs=inputs(token="string"),
            ),
        ],
        {"a": OK, "call.b": OK, "call.c": OK},
        "abc",
    )
    for in_groups in (True, False):
        with monkeypatch.context() as patched:
            if not in_groups:
                drive_by_one_task(patched, tmp_path)
            dag = workflow_dag(*case.workflows, operations=OPERATIONS)
        api.requests.clear()
        api.answer("/a", {"token": token})
        ran = run_dag(dag, connections={"api": api.connection()})
        assert ran.state == "success"
        sent = [request.headers.get("Authorization") for request in api.requests]
        assert sent == [None, f"Bearer {token}", f"Bearer {token}"]
        assert token not in str(ran.xcoms())
        assert token not in ran.log


def test_after_a_clear_inside(workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi) -> None:
    """What follows is run again, and finds its effects in the ledger; what came before is not."""
    case = CASES["in a row"]
    for path, answers in case.answers.items():
        api.answer(path, *answers)
    dag = workflow_dag(*case.workflows, operations=OPERATIONS)
    ran = run_dag(dag, connections={"api": api.connection()})
    again = clear_and_run(ran, dag, "call.b")
    assert again.state == "success"
    tries = {name: instance.try_number for name, instance in again.instances.items()}
    assert tries == {"c": 1, "call.a": 1, "call.b": 2, "g": 2}
    assert api.paths == ["/c", "/a", "/b", "/g"]
    assert again.xcom("g", "workflow_outputs") == {"n": 7}


def test_a_task_inside_that_was_marked_by_hand(
    workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi
) -> None:
    """Without what the call gave, nothing that reads it is sent."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    case = CASES["in a row"]
    for path, answers in case.answers.items():
        api.answer(path, *answers)
    dag = workflow_dag(*case.workflows, operations=OPERATIONS)
    ran = run_dag(dag, connections={"api": api.connection()})
    with create_session() as session:
        session.execute(
            delete(XComModel).where(XComModel.task_id == "call.b", XComModel.run_id == ran.run.run_id)
        )
    again = clear_and_run(ran, dag, "g")
    assert again.states["g"] == "failed"
    assert "Task 'call.b' is on the way here and has no outputs" in again.log


def test_a_secret_input_that_is_handed_over(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It comes from the connection in every task that needs it, under whatever name the caller gives it."""
    pin = f"pin-{uuid4().hex}"

    def secret(name: str) -> dict[str, Any]:
        return {"type": "object", "properties": {name: {"type": "string", "format": "password"}}}

    workflows = [
        workflow(
            "w", {"stepId": "a"}, call("call", "inner", inputs={"code": "$inputs.pin"}), inputs=secret("pin")
        ),
        workflow(
            "inner",
            {"stepId": "b"},
            {"stepId": "c", "requestBody": body(code="$inputs.code")},
            inputs=secret("code"),
        ),
    ]
    for in_groups in (True, False):
        with monkeypatch.context() as patched:
            if not in_groups:
                drive_by_one_task(patched, tmp_path)
            dag = workflow_dag(*workflows, operations=OPERATIONS)
        api.requests.clear()
        ran = run_dag(dag, connections={"api": api.connection(extra={"secrets": {"pin": pin}})})
        assert ran.state == "success"
        assert api.bodies == ["", "", f'{{"code":"{pin}"}}']
        assert pin not in str(ran.xcoms())
        assert pin not in ran.log
