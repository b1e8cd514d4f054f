"""Ways through workflows in Airflow: jumps, ends, failures, retries, loops, workflows in workflows."""

from __future__ import annotations

from collections.abc import Mapping
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


@pytest.mark.parametrize("status", [200, 202], ids=["run", "jumped over"])
def test_a_step_that_depends_on_one_that_may_be_jumped_over(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, status: int
) -> None:
    """It does not run without that one, and the run does not end green; what waits for certain steps does."""
    steps = [
        {"stepId": "a", "onSuccess": [goto("skip", "c", "$statusCode == 202")]},
        {"stepId": "b"},
        {"stepId": "c", "dependsOn": ["b"]},
        {"stepId": "d", "dependsOn": ["a"]},
    ]
    api.answer("/a", status)
    dag = workflow_dag(workflow("w", *steps), operations=ABC, document={"arazzo": "1.1.0"})
    ran = run(run_dag, dag, api)
    if status == 200:
        assert set(ran.states.values()) == {"success"}
        assert api.paths == ["/a", "/b", "/c", "/d"]
        return
    assert ran.states == {"a": "success", "b": "skipped", "c": "failed", "d": "upstream_failed"}
    assert ran.state == "failed"
    assert "it depends on step 'b', which has not run" in ran.log
    assert api.paths == ["/a"]


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


# --- workflows in workflows -------------------------------------------------------------------------


def test_failed_called_workflow(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    inner = workflow("inner", {"stepId": "a", "onFailure": [end("stop")]})
    outer = workflow("w", {"stepId": "call", "workflowId": "inner"}, {"stepId": "c"})
    api.answer("/a", 404)
    ran = run(run_dag, workflow_dag(outer, inner, operations=ABC), api)
    assert ran.states == {"call.a": "failed", "c": "upstream_failed"}
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
