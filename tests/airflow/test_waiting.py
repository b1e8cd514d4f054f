"""Longer waits: the slot is given back, and the task goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from fakes import Store, context
from scripted import Answer, ScriptedApi, goto, retry, workflow


def run(
    run_dag: Any, dag: Any, api: ScriptedApi, conf: Mapping[str, Any] | None = None, **kwargs: Any
) -> Any:
    return run_dag(dag, conf, connections={"api": api.connection()}, **kwargs)


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

    import airflow_arazzo.operators.step_run as module

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


def test_a_kill_between_short_waits(polling: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are sat out in the slot: the next attempt goes on behind the last of them."""
    from airflow_arazzo.engine.transport import Transport
    from airflow_arazzo.operators.pause import Pause

    class Killed(BaseException):
        pass

    send = Transport.send

    async def mortal(self: Any, *arguments: Any) -> Any:
        if len(api.requests) == 2:
            raise Killed
        return await send(self, *arguments)

    more = Answer(200, {"done": False}, {"Retry-After": "1"})
    api.answer("/a", more, more, more, {"done": True})
    store = Store()
    with monkeypatch.context() as patch:
        patch.setattr(Transport, "send", mortal)
        with pytest.raises(Killed):
            polling.execute(context(store))
    state = Pause(context(store)).load(polling.plan)
    assert state is not None
    assert state.frames[0].visits == {"a": 2}
    assert polling.execute(context(store)) == {}
    assert api.paths == ["/a"] * 4
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


def test_a_short_absence_is_a_longer_one(polling: Any, api: ScriptedApi) -> None:
    """Airflow would take the end of the slot for the failure of the next one, if that came at once."""
    from airflow.sdk.exceptions import AirflowRescheduleException

    api.answer("/a", Answer(200, {"done": False}, {"Retry-After": "6"}))
    with pytest.raises(AirflowRescheduleException) as slot:
        polling.execute(context(Store()))
    assert 13 < seconds_until(slot.value) <= 15


def test_reschedule_in_a_run(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same through Airflow's own task runner: the task is rescheduled, and has sent one request."""
    monkeypatch.setattr("airflow_arazzo.operators.step_run.SHORTEST_ABSENCE", 0.0)
    again = goto("more", "a", "$response.body#/done == false")
    dag = workflow_dag(workflow("w", {"stepId": "a", "onSuccess": [again]}), operations=["GET /a"])
    api.answer("/a", Answer(200, {"done": False}, {"Retry-After": "6"}), {"done": True})
    ran = run(run_dag, dag, api)
    assert "giving the slot back until" in ran.log
    assert ran.states == {"a": "success"}
    assert api.paths == ["/a", "/a"]


def test_the_time_of_a_called_workflow_goes_on_while_its_task_has_no_slot(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    """The wait of a retry is longer than what is left; the task comes back once, and nothing is sent."""
    again = retry("again", retryAfter=3600)
    inner = workflow("inner", {"stepId": "a", "onFailure": [again]})
    outer = workflow("w", {"stepId": "call", "workflowId": "inner", "timeout": 7000}, {"stepId": "b"})
    api.answer("/a", 503)
    dag = workflow_dag(outer, inner, operations=["GET /a", "POST /b"], document={"arazzo": "1.1.0"})
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states == {"call": "failed", "b": "upstream_failed"}
    assert api.paths == ["/a"]
    assert "giving the slot back" in ran.log
    assert "not done within 7 s, the timeout of step 'call'" in ran.log


def test_a_first_attempt_asks_airflow_for_nothing_that_it_stored(polling: Any) -> None:
    """Each question is a call of Airflow's API. Whoever came back, by retry or reschedule, does ask."""
    from airflow_arazzo.operators.pause import Pause

    asked: list[str] = []

    class Told(Store):
        def get(self, key: str, default: Any = None) -> Any:
            asked.append("get")
            return super().get(key, default)

        def delete(self, key: str) -> None:
            asked.append("delete")
            super().delete(key)

    def attempt(count: int, number: int) -> Pause:
        return Pause(context(Told(), try_number=number) | {"task_reschedule_count": count})

    first = attempt(0, 1)
    assert first.load(polling.plan) is None
    first.forget()
    assert asked == []
    for later in (attempt(1, 1), attempt(0, 2)):
        asked.clear()
        assert later.load(polling.plan) is None
        later.forget()
        assert asked == ["get", "delete"]
