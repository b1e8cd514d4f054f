"""Ways through workflows in Airflow: jumps, ends, failures, retries, loops, workflows in workflows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from scripted import Answer, ScriptedApi, end, goto, retry, workflow

ABC = ["POST /a", "POST /b", "POST /c", "POST /d"]
OK = "$statusCode == 200"


def run(
    run_dag: Any, dag: Any, api: ScriptedApi, conf: Mapping[str, Any] | None = None, **kwargs: Any
) -> Any:
    return run_dag(dag, conf, connections={"api": api.connection()}, **kwargs)


# --- one way ----------------------------------------------------------------------------------------


def test_forward_goto_skips_visibly(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    steps = [{"stepId": "a", "onSuccess": [goto("skip", "c", OK)]}, {"stepId": "b"}, {"stepId": "c"}]
    ran = run(run_dag, workflow_dag(workflow("w", *steps), operations=ABC), api)
    assert ran.states == {"a": "success", "b": "skipped", "c": "success"}
    assert ran.state == "success"
    assert api.paths == ["/a", "/c"]
    assert "success action 'skip': goto c" in ran.log
    assert ran.xcom("a", "next_step") == "c"


def test_success_end(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    steps = [
        {"stepId": "a", "onSuccess": [end("enough", OK)], "outputs": {"n": "$response.body#/n"}},
        {"stepId": "b"},
        {"stepId": "c"},
    ]
    api.answer("/a", {"n": 1})
    dag = workflow_dag(workflow("w", *steps, outputs={"n": "$steps.a.outputs.n"}), operations=ABC)
    ran = run(run_dag, dag, api)
    assert ran.states == {"a": "success", "b": "skipped", "c": "skipped"}
    assert ran.state == "success"
    assert ran.xcom("a", "workflow_outputs") == {"n": 1}
    assert api.paths == ["/a"]


def test_failure_that_a_goto_handles(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    steps = [{"stepId": "a", "onFailure": [goto("repair", "c")]}, {"stepId": "b"}, {"stepId": "c"}]
    api.answer("/a", 404)
    ran = run(run_dag, workflow_dag(workflow("w", *steps), operations=ABC), api)
    assert ran.states == {"a": "success", "b": "skipped", "c": "success"}
    assert "failure action 'repair': goto c; this handles the failure" in ran.log
    assert api.paths == ["/a", "/c"]


def test_failure_end_fails_the_run(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    steps = [{"stepId": "a", "onFailure": [end("stop")]}, {"stepId": "b"}]
    api.answer("/a", 404)
    ran = run(run_dag, workflow_dag(workflow("w", *steps), operations=ABC), api)
    assert ran.states == {"a": "failed", "b": "upstream_failed"}
    assert ran.state == "failed"
    assert "ended by action 'stop'" in ran.log


def test_failure_without_action_fails_the_run(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Also where other steps are reached by jumps, and where default_args would let them run all the same."""
    steps = [
        {"stepId": "a", "onSuccess": [goto("skip", "d", "$statusCode == 202")]},
        {"stepId": "b"},
        {"stepId": "c"},
        {"stepId": "d"},
    ]
    api.answer("/b", 500)
    dag = workflow_dag(
        workflow("w", *steps),
        operations=ABC,
        default_args={"trigger_rule": "all_done", "do_xcom_push": False},
    )
    ran = run(run_dag, dag, api)
    assert ran.states == {"a": "success", "b": "failed", "c": "upstream_failed", "d": "upstream_failed"}
    assert ran.state == "failed"
    assert "outcome-unknown" in ran.log
    assert api.paths == ["/a", "/b"]


def test_steps_that_nothing_leads_to_do_not_run(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    steps = [{"stepId": "a", "onSuccess": [end("done")]}, {"stepId": "b"}]
    ran = run(run_dag, workflow_dag(workflow("w", *steps), operations=ABC), api)
    assert ran.states == {"a": "success"}
    assert api.paths == ["/a"]


def test_the_documentation_names_steps_that_nothing_leads_to(workflow_dag: Any) -> None:
    steps = [{"stepId": "a", "onSuccess": [end("done")]}, {"stepId": "b"}]
    (line,) = [
        text
        for text in workflow_dag(workflow("w", *steps), operations=ABC).doc_md.splitlines()
        if "nothing leads to this step" in text
    ]
    assert "`b`" in line


def test_no_connection(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=ABC, connections={"api": "no_such_api"})
    ran = run(run_dag, dag, api)
    assert ran.states == {"a": "failed"}
    assert "Nothing was sent. The conn_id `no_such_api` isn't defined" in ran.log


# --- retries and loops ------------------------------------------------------------------------------


def test_retry_with_retry_after(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Two refusals, both waits in one task; what the service asks for overrules what the document says."""
    steps = [{"stepId": "a", "onFailure": [retry("again", retryAfter=3600, retryLimit=3)]}]
    busy = Answer(429, headers={"Retry-After": "0"})
    api.answer("/a", busy, Answer(429, headers={"Retry-After": "1"}), 200)
    ran = run(run_dag, workflow_dag(workflow("w", *steps), operations=ABC), api)
    assert ran.states == {"a": "success"}
    assert ran.instances["a"].try_number == 1
    assert api.paths == ["/a"] * 3
    assert "retry 2 of 3" in ran.log


def test_exhausted_retry_gives_the_next_action_its_turn(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    steps = [
        {"stepId": "a", "onFailure": [retry("again"), goto("over", "c")]},
        {"stepId": "b"},
        {"stepId": "c"},
    ]
    api.answer("/a", 404)
    ran = run(run_dag, workflow_dag(workflow("w", *steps), operations=ABC), api)
    assert ran.states == {"a": "success", "b": "skipped", "c": "success"}
    assert api.paths == ["/a", "/a", "/c"]


def test_step_before_a_retry(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Its new outputs are what later steps read, although its own task ran earlier."""
    token = {"token": "$response.body#/token"}
    payload = {"contentType": "application/json", "payload": {"t": "$steps.a.outputs.token"}}
    steps = [
        {"stepId": "a", "outputs": token},
        {"stepId": "b", "requestBody": payload, "onFailure": [retry("renew", stepId="a")]},
        {"stepId": "c", "requestBody": payload},
    ]
    api.answer("/a", {"token": 1}, {"token": 2})
    api.answer("/b", 404, 200)
    ran = run(run_dag, workflow_dag(workflow("w", *steps), operations=ABC), api)
    assert ran.state == "success"
    assert api.paths == ["/a", "/b", "/a", "/b", "/c"]
    assert api.bodies == ["", '{"t":1}', "", '{"t":2}', '{"t":2}']


def test_short_loop(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """A loop of two steps in one task, whose outputs later tasks read."""
    body = {"contentType": "application/json", "payload": {"n": "$steps.b.outputs.n"}}
    steps = [
        {"stepId": "a"},
        {"stepId": "b", "outputs": {"n": "$response.body#/n"}},
        {"stepId": "c", "onSuccess": [goto("more", "b", "$response.body#/more == true")]},
        {"stepId": "d", "requestBody": body},
    ]
    api.answer("/b", {"n": 1}, {"n": 2})
    api.answer("/c", Answer(200, {"more": True}, {"Retry-After": "0"}), {"more": False})
    dag = workflow_dag(workflow("w", *steps), operations=ABC)
    ran = run(run_dag, dag, api)
    assert ran.states == {"a": "success", "b": "success", "d": "success"}
    assert api.paths == ["/a", "/b", "/c", "/b", "/c", "/d"]
    assert ran.xcom("b") == {"b": {"n": 2}, "c": {}}
    assert api.bodies[-1] == '{"n":2}'
    assert "loop of workflow 'w', beginning at step 'b'" in ran.log
    assert dag.get_task("b").task_display_name == "loop: b, c"


# --- waiting without a slot -------------------------------------------------------------------------


class Store(dict[str, Any]):
    """A task state store: JSON in, JSON out."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


class TaskInstance(SimpleNamespace):
    """As much of a task instance as the operator asks for."""

    dag_id = "w"
    run_id = "r"
    map_index = -1

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, *, task_ids: str, key: str = "return_value", map_indexes: Any = None) -> Any:
        return self.xcoms.get((task_ids, key))

    def get_task_states(self, *, task_ids: list[str], **_: Any) -> dict[str, Any]:
        return {"r": {name: self.states[name] for name in task_ids if name in self.states}}


def context(store: Store, *, max_tries: int = 0, **fields: Any) -> dict[str, Any]:
    ti = TaskInstance(max_tries=max_tries, pushed={}, **{"xcoms": {}, "states": {}, **fields})
    return {"ti": ti, "task_state_store": store, "params": {}, "dag_run": SimpleNamespace(conf={})}


@pytest.fixture
def polling(workflow_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The task of a poll: ``GET /a`` until it says that it is done, with 30 s between two visits."""
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(api.connection()))
    again = goto("more", "a", "$response.body#/done == false")
    steps = [
        {"stepId": "a", "onSuccess": [again], "outputs": {"secretly": "$response.body#/n"}},
        {"stepId": "b"},
    ]
    dag = workflow_dag(workflow("w", *steps), operations=["GET /a", "POST /b"], default_args={"retries": 3})
    api.answer(
        "/a", {"done": False, "n": "unmistakable-1"}, {"done": False, "n": "unmistakable-2"}, {"done": True}
    )
    return dag.get_task("a")


def seconds_until(error: Any) -> float:
    from datetime import UTC, datetime

    return (error.reschedule_date - datetime.now(UTC)).total_seconds()


def test_a_longer_wait_gives_the_slot_back(
    polling: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowRescheduleException

    import airflow_arazzo.operators.step as module

    store = Store()
    with pytest.raises(AirflowRescheduleException) as slot:
        polling.execute(context(store))
    assert 25 < seconds_until(slot.value) <= 30
    assert api.paths == ["/a"]
    assert "unmistakable" not in json.dumps(store)
    assert set(store["state"]) == {"max_tries", "state"}

    # Too early: it waits again, and sends nothing.
    with pytest.raises(AirflowRescheduleException):
        polling.execute(context(store))
    assert api.paths == ["/a"]

    # Half a minute later: the second visit, and half a minute after that the third.
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 31)
    with pytest.raises(AirflowRescheduleException):
        polling.execute(context(store))
    assert api.paths == ["/a", "/a"]
    from airflow_arazzo.operators.pause import Pause

    state = Pause(context(store)).load(polling.plan)
    assert state is not None
    assert state.frames[0].visits == {"a": 2}
    monkeypatch.setattr(module.time, "time", lambda: now + 62)
    assert polling.execute(context(store)) == {}
    assert api.paths == ["/a"] * 3
    assert store == {}


def test_a_retry_continues_and_a_clear_begins_afresh(
    polling: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowRescheduleException

    from airflow_arazzo.operators.pause import Pause

    store = Store()
    with pytest.raises(AirflowRescheduleException):
        polling.execute(context(store, max_tries=3))
    state = Pause(context(store, max_tries=3)).load(polling.plan)
    assert state is not None
    assert state.frames[0].visits == {"a": 1}
    # Clearing raises max_tries.
    assert Pause(context(store, max_tries=5)).load(polling.plan) is None
    with pytest.raises(AirflowRescheduleException):
        polling.execute(context(store, max_tries=5))
    assert api.paths == ["/a", "/a"]
    state = Pause(context(store, max_tries=5)).load(polling.plan)
    assert state is not None
    assert state.frames[0].visits == {"a": 1}


def test_a_document_that_changed_while_the_task_waited(polling: Any) -> None:
    import msgspec
    from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException

    from airflow_arazzo.operators.pause import Pause

    store = Store()
    with pytest.raises(AirflowRescheduleException):
        polling.execute(context(store))
    root = polling.plan.root
    changed = msgspec.structs.replace(root, steps=root.steps[1:])
    plan = msgspec.structs.replace(polling.plan, workflows={"w": changed})
    with pytest.raises(AirflowFailException, match="has changed while the task waited"):
        Pause(context(store)).load(plan)
    store["state"]["state"] = "damaged"
    with pytest.raises(AirflowFailException, match="cannot be read"):
        Pause(context(store)).load(polling.plan)


def test_no_key_no_waiting(polling: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Fernet key the state could not be stored: that is said before anything is sent."""
    from airflow.sdk.crypto import _NullFernet
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setattr("airflow_arazzo.operators.exchange.get_fernet", _NullFernet)
    with pytest.raises(AirflowFailException, match=r"Nothing was sent.*fernet_key"):
        polling.execute(context(Store()))
    assert api.paths == []


def test_reschedule_in_a_run(workflow_dag: Any, run_dag: Any, api: ScriptedApi, database: None) -> None:
    """The same through Airflow's own task runner: the task is rescheduled, and has sent one request."""
    again = goto("more", "a", "$response.body#/done == false")
    dag = workflow_dag(workflow("w", {"stepId": "a", "onSuccess": [again]}), operations=["GET /a"])
    api.answer("/a", Answer(200, {"done": False}, {"Retry-After": "6"}), {"done": True})
    ran = run(run_dag, dag, api)
    assert "giving the slot back until" in ran.log
    assert ran.states == {"a": "success"}
    assert api.paths == ["/a", "/a"]


# --- workflows in workflows -------------------------------------------------------------------------


def test_called_workflow_in_one_task(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    inner = workflow(
        "inner",
        {"stepId": "a", "outputs": {"n": "$response.body#/n"}},
        {"stepId": "b"},
        inputs={"type": "object", "properties": {"x": {"type": "integer"}}},
        outputs={"n": "$steps.a.outputs.n"},
    )
    body = {"contentType": "application/json", "payload": {"n": "$steps.call.outputs.n"}}
    outer = workflow(
        "w",
        {"stepId": "call", "workflowId": "inner", "parameters": [{"name": "x", "value": 1}]},
        {"stepId": "c", "requestBody": body},
    )
    api.answer("/a", {"n": 7})
    ran = run(run_dag, workflow_dag(outer, inner, operations=ABC), api)
    assert ran.states == {"call": "success", "c": "success"}
    assert ran.xcom("call") == {"n": 7}
    assert api.paths == ["/a", "/b", "/c"]
    assert api.bodies[-1] == '{"n":7}'


def test_failed_called_workflow(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    inner = workflow("inner", {"stepId": "a", "onFailure": [end("stop")]})
    outer = workflow("w", {"stepId": "call", "workflowId": "inner"}, {"stepId": "c"})
    api.answer("/a", 404)
    ran = run(run_dag, workflow_dag(outer, inner, operations=ABC), api)
    assert ran.states == {"call": "failed", "c": "upstream_failed"}
    assert "ended by action 'stop'" in ran.log


def test_depends_on(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """It runs once per run, before the first step, and later tasks know what it gave."""
    before = workflow(
        "before", {"stepId": "a", "outputs": {"n": "$response.body#/n"}}, outputs={"n": "$steps.a.outputs.n"}
    )
    body = {"contentType": "application/json", "payload": {"n": "$workflows.before.outputs.n"}}
    inner = workflow("inner", {"stepId": "d"}, dependsOn=["before"])
    outer = workflow(
        "w",
        {"stepId": "b"},
        {"stepId": "c", "requestBody": body},
        {"stepId": "call", "workflowId": "inner"},
        dependsOn=["before"],
    )
    api.answer("/a", {"n": 7})
    ran = run(run_dag, workflow_dag(outer, before, inner, operations=ABC), api)
    assert ran.state == "success"
    assert api.paths == ["/a", "/b", "/c", "/d"]
    assert api.bodies[2] == '{"n":7}'


def test_goto_workflow_is_one_way(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """All its steps run in the task that leads there, and the run's outputs are its."""
    other = workflow(
        "other",
        {"stepId": "c"},
        {"stepId": "d", "outputs": {"n": "$response.body#/n"}},
        outputs={"n": "$steps.d.outputs.n"},
    )
    leave = {"name": "leave", "type": "goto", "workflowId": "other", "criteria": [{"condition": OK}]}
    outer = workflow(
        "w", {"stepId": "a", "onSuccess": [leave]}, {"stepId": "b"}, outputs={"m": "$steps.b.outputs.m"}
    )
    outer["steps"][1]["outputs"] = {"m": "$response.body#/m"}
    api.answer("/d", {"n": 7})
    ran = run(run_dag, workflow_dag(outer, other, operations=ABC), api)
    assert ran.states == {"a": "success", "b": "skipped"}
    assert api.paths == ["/a", "/c", "/d"]
    assert ran.xcom("a", "workflow_outputs") == {"n": 7}


# --- retries of Airflow's -----------------------------------------------------------------------------


def retries(dag: Any) -> dict[str, int]:
    return {task.task_id: task.retries for task in dag.tasks}


def test_unsafe_tasks_have_no_retries(workflow_dag: Any) -> None:
    steps = [{"stepId": name} for name in "abcdef"]
    operations = ["GET /a", "POST /b", "PUT /c", "DELETE /d", "HEAD /e", "PATCH /f"]
    dag = workflow_dag(workflow("w", *steps), operations=operations, default_args={"retries": 3})
    assert retries(dag) == {"a": 3, "b": 0, "c": 0, "d": 0, "e": 3, "f": 0}


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (retry("again"), 3),
        (retry("other", stepId="b"), 0),
        (retry("flow", workflowId="unsafe"), 0),
        (retry("flow", workflowId="safe"), 3),
        ({"name": "leave", "type": "goto", "workflowId": "unsafe"}, 0),
        ({"name": "leave", "type": "goto", "workflowId": "nested"}, 0),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_safe_step_whose_actions_send_unsafe_requests(
    workflow_dag: Any, action: dict[str, Any], expected: int
) -> None:
    dag = workflow_dag(
        workflow("w", {"stepId": "a", "onFailure": [action]}, {"stepId": "b"}),
        workflow("unsafe", {"stepId": "c"}),
        workflow("safe", {"stepId": "a"}),
        workflow("nested", {"stepId": "call", "workflowId": "unsafe"}),
        operations=["GET /a", "POST /b", "POST /c"],
        default_args={"retries": 3},
    )
    assert retries(dag)["a"] == expected


def test_calls_and_dependencies_count(workflow_dag: Any) -> None:
    dag = workflow_dag(
        workflow(
            "w",
            {"stepId": "a"},
            {"stepId": "call", "workflowId": "safe"},
            {"stepId": "pay", "workflowId": "unsafe"},
        ),
        workflow("unsafe", {"stepId": "c"}),
        workflow("safe", {"stepId": "a"}),
        operations=["GET /a", "POST /c"],
        default_args={"retries": 3},
    )
    assert retries(dag) == {"a": 3, "call": 3, "pay": 0}
    dag = workflow_dag(
        workflow("w", {"stepId": "a"}, {"stepId": "b"}, dependsOn=["unsafe"]),
        workflow("unsafe", {"stepId": "c"}),
        operations=["GET /a", "GET /b", "POST /c"],
        default_args={"retries": 3},
    )
    assert retries(dag) == {"a": 0, "b": 3}


def test_safe_steps_are_retried_and_unsafe_ones_are_not(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    from datetime import timedelta

    dag = workflow_dag(workflow("w", {"stepId": "a"}, {"stepId": "b"}), operations=["GET /a", "POST /b"])
    dag.get_task("a").retries = 2
    dag.get_task("a").retry_delay = timedelta(0)
    api.answer("/a", 500, 503, 200)
    api.answer("/b", 500)
    ran = run(run_dag, dag, api)
    assert ran.states == {"a": "success", "b": "failed"}
    assert api.paths == ["/a"] * 3 + ["/b"]


# --- after a clear, and by hand -----------------------------------------------------------------------


def test_a_task_that_somebody_marked_as_successful(
    workflow_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(api.connection()))
    body = {"contentType": "application/json", "payload": {"n": "$steps.a.outputs.n"}}
    steps = [
        {
            "stepId": "a",
            "outputs": {"n": "$response.body#/n"},
            "onSuccess": [goto("x", "c", "$statusCode == 202")],
        },
        {"stepId": "b", "requestBody": body},
        {"stepId": "c"},
    ]
    task = workflow_dag(workflow("w", *steps), operations=ABC).get_task("b")
    with pytest.raises(AirflowFailException, match="not said which step follows"):
        task.execute(context(Store(), states={"a": "success"}))
    next_step = {("a", "next_step"): "b"}
    with pytest.raises(AirflowFailException, match="has no outputs"):
        task.execute(context(Store(), states={"a": "success"}, xcoms=next_step))
    assert api.paths == []
    with pytest.raises(AirflowSkipException):
        task.execute(context(Store(), states={"a": "skipped"}, xcoms=next_step))
    task.execute(
        context(Store(), states={"a": "success"}, xcoms={**next_step, ("a", "return_value"): {"n": 1}})
    )
    assert api.bodies == ['{"n":1}']


def test_another_way_after_a_clear(
    workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi
) -> None:
    """a → b → c → d, then a is cleared and jumps to e: what c said once does not make d run."""
    steps = [
        {
            "stepId": "a",
            "onSuccess": [goto("far", "e", "$statusCode == 202"), goto("near", "d", "$statusCode == 203")],
        },
        {"stepId": "b"},
        {"stepId": "c", "onSuccess": [goto("over", "e", "$statusCode == 202")]},
        {"stepId": "d", "onSuccess": [end("paid")]},
        {"stepId": "e"},
    ]
    dag = workflow_dag(workflow("w", *steps), operations=[*ABC, "POST /e"])
    assert {task.task_id: task.trigger_rule.value for task in dag.tasks} == {
        "a": "all_success",
        "b": "none_failed_min_one_success",
        "c": "all_success",
        "d": "none_failed_min_one_success",
        "e": "none_failed_min_one_success",
    }
    api.answer("/a", 200, 202)
    first = run(run_dag, dag, api)
    assert api.paths == ["/a", "/b", "/c", "/d"]
    assert first.xcom("c", "next_step") == "d"
    api.requests.clear()
    second = clear_and_run(first, dag, "a")
    assert api.paths == ["/a", "/e"]
    assert second.xcom("c", "next_step") == "d"
    assert second.states == {"a": "success", "b": "skipped", "c": "skipped", "d": "skipped", "e": "success"}


def test_a_clear_in_the_middle(workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi) -> None:
    """A failed step is cleared: the steps before it are not run again, the steps after it are."""
    body = {"contentType": "application/json", "payload": {"n": "$steps.a.outputs.n"}}
    steps = [
        {"stepId": "a", "outputs": {"n": "$response.body#/n"}},
        {"stepId": "b", "requestBody": body},
        {"stepId": "c"},
    ]
    dag = workflow_dag(workflow("w", *steps), operations=ABC)
    api.answer("/a", {"n": 7})
    api.answer("/b", 404, 200)
    first = run(run_dag, dag, api)
    assert first.states == {"a": "success", "b": "failed", "c": "upstream_failed"}
    second = clear_and_run(first, dag, "b")
    assert second.state == "success"
    assert api.paths == ["/a", "/b", "/b", "/c"]
    assert api.bodies[2] == '{"n":7}'


def test_a_loop_begins_afresh_after_a_clear(
    workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi
) -> None:
    again = goto("more", "a", "$response.body#/done == false")
    dag = workflow_dag(workflow("w", {"stepId": "a", "onSuccess": [again]}), operations=["GET /a"])
    waiting = Answer(200, {"done": False}, {"Retry-After": "0"})
    api.answer("/a", waiting, waiting, 404, waiting, {"done": True})
    first = run(run_dag, dag, api)
    assert first.states == {"a": "failed"}
    assert "(visit 3)" in first.log
    second = clear_and_run(first, dag, "a")
    assert second.states == {"a": "success"}
    assert "(visit 2)" in second.log
    assert "(visit 3)" not in second.log
    assert second.instances["a"].max_tries > first.instances["a"].max_tries
