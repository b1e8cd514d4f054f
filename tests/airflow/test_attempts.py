"""Running a task again: Airflow's retries, clears, and states that somebody set by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from fakes import Store, context
from scripted import Answer, ScriptedApi, end, goto, retry, workflow

ABC = ["POST /a", "POST /b", "POST /c", "POST /d"]


def run(
    run_dag: Any, dag: Any, api: ScriptedApi, conf: Mapping[str, Any] | None = None, **kwargs: Any
) -> Any:
    return run_dag(dag, conf, connections={"api": api.connection()}, **kwargs)


# --- retries of Airflow's -----------------------------------------------------------------------------


def retries(dag: Any) -> dict[str, int]:
    return {task.task_id: task.retries for task in dag.tasks}


def test_a_task_comes_back_when_its_worker_died(workflow_dag: Any) -> None:
    """Unless the DAG's author wants it otherwise; the ledger knows what was sent."""
    steps, operations = [{"stepId": "a"}, {"stepId": "b"}], ["GET /a", "POST /b"]
    dag = workflow_dag(workflow("w", *steps), operations=operations)
    assert retries(dag) == {"a": 3, "b": 3}
    own = {"retries": 0, "retry_policy": None}
    dag = workflow_dag(workflow("w", *steps), operations=operations, default_args=own)
    assert retries(dag) == {"a": 0, "b": 0}
    assert {task.retry_policy for task in dag.tasks} == {None}


def test_without_a_ledger_unsafe_tasks_have_no_retries(workflow_dag: Any) -> None:
    steps = [{"stepId": name} for name in "abcdef"]
    operations = ["GET /a", "POST /b", "PUT /c", "DELETE /d", "HEAD /e", "PATCH /f"]
    dag = workflow_dag(
        workflow("w", *steps), operations=operations, default_args={"retries": 5}, ledger=False
    )
    assert retries(dag) == {"a": 5, "b": 0, "c": 0, "d": 0, "e": 5, "f": 0}


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
        ledger=False,
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
        ledger=False,
        default_args={"retries": 3},
    )
    assert retries(dag) == {"a": 3, "call.a": 3, "pay.c": 0}
    dag = workflow_dag(
        workflow("w", {"stepId": "a"}, {"stepId": "b"}, dependsOn=["unsafe"]),
        workflow("unsafe", {"stepId": "c"}),
        operations=["GET /a", "GET /b", "POST /c"],
        ledger=False,
        default_args={"retries": 3},
    )
    assert retries(dag) == {"a": 0, "b": 3}


def test_what_may_pass_by_itself_is_tried_again(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "a"}, {"stepId": "b"}), operations=["GET /a", "POST /b"])
    api.answer("/a", 500, 503, 200)
    api.answer("/b", 500)
    ran = run(run_dag, at_once(dag), api)
    assert ran.states == {"a": "success", "b": "failed"}
    assert api.paths == ["/a"] * 3 + ["/b"]
    assert "ledger resolve" in ran.log or "look it up at the service" in ran.log


def test_what_the_service_refused_is_not_tried_again(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    """That is for the document to say, which has no retry action."""
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["GET /a"])
    api.answer("/a", 404, 200)
    assert run(run_dag, at_once(dag), api).states == {"a": "failed"}
    assert api.paths == ["/a"]


def test_a_request_with_a_key_is_sent_again_with_the_same_key(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    """Once for each attempt; 429 and 500 say nothing that would need a person."""
    dag = workflow_dag(
        workflow("w", {"stepId": "a"}),
        operations=["POST /a"],
        idempotency={"api": {"header": "Idempotency-Key"}},
    )
    api.answer("/a", 429, 500, 200)
    assert run(run_dag, at_once(dag), api).states == {"a": "success"}
    keys = {request.headers.get("Idempotency-Key") for request in api.requests}
    assert len(api.requests) == 3
    assert len(keys) == 1
    assert None not in keys


def at_once(dag: Any) -> Any:
    """The DAG with retries that do not wait, since ``DAG.test`` waits in this process."""
    from datetime import timedelta

    for task in dag.tasks:
        task.retry_policy = None
        task.retry_delay = timedelta(0)
    return dag


def test_waiting_before_a_retry() -> None:
    """Later each time, and not before the service wants it; what is unforeseen goes by the task."""
    from airflow_arazzo.engine.journal import Failure
    from airflow_arazzo.operators.retry import ArazzoRetryPolicy, StepFailed

    policy = ArazzoRetryPolicy()

    def seconds(retry_after: float, try_number: int) -> float:
        failure = Failure("criteria", "status 429", retry_after=retry_after)
        return float(policy.evaluate(StepFailed("", failure), try_number, 3).retry_delay.total_seconds())

    assert [seconds(0, number) for number in (1, 2, 3, 20)] == [2, 4, 8, 300]
    assert seconds(120, 1) == 120
    assert policy.evaluate(StepFailed(""), 1, 3).retry_delay.total_seconds() == 2
    assert policy.evaluate(ValueError("x"), 1, 3).action.value == "default"


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


def test_a_clear_sends_nothing_again_that_took_effect(
    workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi
) -> None:
    """The stored response is read again: same outputs, and the same way."""
    steps = [
        {
            "stepId": "a",
            "outputs": {"n": "$response.body#/n"},
            "onSuccess": [goto("far", "c", "$statusCode == 200")],
        },
        {"stepId": "b"},
        {"stepId": "c", "successCriteria": [{"condition": "$response.body#/ok == true"}]},
    ]
    dag = workflow_dag(workflow("w", *steps), operations=ABC)
    api.answer("/a", {"n": 1}, {"n": 2})
    api.answer("/c", {"ok": False}, {"ok": True})
    first = run(run_dag, dag, api)
    assert first.states == {"a": "success", "b": "skipped", "c": "failed"}
    second = clear_and_run(first, dag, "a")
    assert second.states == first.states
    assert second.xcom("a") == {"n": 1}
    assert api.paths == ["/a", "/c"]
    # Another run is another effect.
    run(run_dag, dag, api)
    assert api.paths == ["/a", "/c"] * 2


def test_the_key_of_a_run_in_templates(
    workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi
) -> None:
    """The same after a clear, another one in another run; where an identity is stated, that identity's."""
    schema = {"type": "object", "properties": {"id": {"type": "string"}}}
    step = {
        "stepId": "a",
        "requestBody": {"contentType": "application/json", "payload": {"id": "$inputs.id"}},
    }

    def dag_with(**kwargs: Any) -> Any:
        flow = workflow("w", step, inputs=schema)
        return workflow_dag(flow, operations=["POST /a"], inputs={"id": "{{ run_key }}-1"}, **kwargs)

    api.answer("/a", 404, 200)
    first = run(run_dag, dag_with(), api)
    clear_and_run(first, dag_with(), "a")
    run(run_dag, dag_with(), api)
    for _ in range(2):
        run(run_dag, dag_with(identity="invoice {{ 40 + 2 }}"), api)
    before, after, other, stated = (json.loads(body)["id"] for body in api.bodies)  # the fifth is not sent
    assert before == after
    assert len({before, other, stated}) == 3
    assert all(re.fullmatch("[0-9a-f]{40}-1", each) for each in (before, other, stated))


def test_a_renamed_dag_keeps_its_namespace(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    flow = workflow("w", {"stepId": "a"})
    for dag_id, namespace, sent in [("old", "", 1), ("new", "old", 1), ("new", "", 2)]:
        dag = workflow_dag(
            flow, operations=["POST /a"], dag_id=dag_id, namespace=namespace, identity="2026-03 renamed"
        )
        run(run_dag, dag, api)
        assert len(api.requests) == sent


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
    dag = workflow_dag(workflow("w", *steps), operations=["GET /a", *ABC[1:], "POST /e"])
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
