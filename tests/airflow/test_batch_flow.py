"""Rows of a batch one by one: they go the ways they would go alone, and go on where they were."""

from __future__ import annotations

import asyncio
import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import Store, context, manual_run
from scripted import KEY, Answer, ScriptedApi, end, goto, retry, workflow
from test_batch import BODY, INPUTS, ids, pay, report, run, states

OPERATIONS = ["POST /a", "GET /b", "POST /c", "POST /d", "GET /e"]


@pytest.fixture
def batch_dag(workflow_dag: Any, tmp_path: Path) -> Callable[..., Any]:
    def make(*workflows: Any, **kwargs: Any) -> Any:
        kwargs = {"row_key": "id", "rows_folder": f"file://{tmp_path}/rows", **kwargs}
        return workflow_dag(*workflows, operations=OPERATIONS, **kwargs)

    return make


# --- the same as alone -----------------------------------------------------------------------------------

IN_QUERY = [{"name": "id", "in": "query", "value": "$inputs.id"}]
WAYS = workflow(
    "w",
    {
        "stepId": "a",
        "requestBody": BODY,
        "outputs": {"n": "$response.body#/n"},
        "onSuccess": [goto("skip", "d", "$statusCode == 202"), end("enough", "$statusCode == 203")],
        "onFailure": [goto("repair", "c", "$statusCode == 404"), end("stop", "$statusCode == 410")],
    },
    {
        "stepId": "b",
        "parameters": IN_QUERY,
        "outputs": {"looked": "$response.body#/looked"},
        "onSuccess": [goto("more", "b", "$response.body#/looked < 3")],
    },
    {
        "stepId": "c",
        "requestBody": BODY,
        "onFailure": [retry("again", "$statusCode == 422", retryLimit=2, retryAfter=0)],
        "onSuccess": [goto("back", "b", "$statusCode == 205")],
    },
    {"stepId": "d", "workflowId": "inner", "parameters": [{"name": "id", "value": "$inputs.id"}]},
    inputs=INPUTS,
    outputs={"n": "$steps.a.outputs.n", "looked": "$steps.b.outputs.looked", "e": "$steps.d.outputs.e"},
)
INNER = workflow(
    "inner",
    {"stepId": "e", "parameters": IN_QUERY, "outputs": {"e": "$response.body#/id"}},
    inputs={"type": "object", "properties": {"id": {"type": "string"}}},
    outputs={"e": "$steps.e.outputs.e"},
)
FATES = {
    "plain": {},
    "skips": {"a": [202]},
    "enough": {"a": [203]},
    "repaired": {"a": [404]},
    "stopped": {"a": [410]},
    "loops": {"c": [205, 205, 200]},
    "retried": {"c": [422, 422, 200]},
    "exhausted": {"c": [422, 422, 422]},
    "refused": {"a": [400]},
    "lost": {"a": [500]},
    "inner": {"e": [404]},
}


class Fates:
    """Answers by the row that asks; each row's requests in their order."""

    def __init__(self, api: ScriptedApi) -> None:
        self.seen: dict[str, list[tuple[str, str, str]]] = {}
        api.decide = self.decide

    def decide(self, request: Any) -> Answer:
        path, _, query = request.target.partition("?")
        row = query.removeprefix("id=") if query else json.loads(request.body)["id"]
        before = self.seen.setdefault(row, [])
        turn = sum(1 for _, target, _ in before if target.partition("?")[0] == path)
        before.append((request.method, request.target, request.body))
        statuses = FATES[row].get(path[1:], [])
        status = statuses[turn] if turn < len(statuses) else 200
        body = {"n": len(row), "id": row, "looked": turn + 1}
        return Answer(status, body, {"Retry-After": "0"})


def alone(plan: Any, api: ScriptedApi, row: dict[str, Any]) -> Any:
    from airflow_arazzo.engine.connection import Connection
    from airflow_arazzo.engine.run import run_plan

    connection = Connection(id="api", base_url=api.url, password=KEY)
    return asyncio.run(run_plan(plan, row, {"api": connection}))


def test_each_row_does_what_it_would_do_alone(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Jumps, ends, loops, retries, workflows in workflows: the same requests, outputs and failures."""
    rows = [{"id": name, "amount": number} for number, name in enumerate(FATES)]
    dag = batch_dag(WAYS, INNER, for_each=rows, batch_size=4, max_failed_rows=None)
    expected = Fates(api)
    results = {row["id"]: alone(dag.plan, api, row) for row in rows}
    found = Fates(api)
    ran = run(run_dag, dag, api)
    assert ran.state == "success", ran.log
    assert found.seen == expected.seen
    assert len(found.seen["loops"]) > 8
    told = report(ran)
    outputs = {each["key"]: each["outputs"] for each in told["outputs"]}
    failures = {each["key"]: each["error"] for each in told["failures"]}
    assert outputs.keys() | failures.keys() == FATES.keys()
    for name, result in results.items():
        if result.status == "succeeded":
            assert outputs[name] == json.loads(json.dumps(result.outputs)), name
        else:
            assert failures[name]["code"] == result.error.code, name
            assert failures[name]["step"] == result.error.step
    assert failures.keys() == {"stopped", "exhausted", "refused", "lost", "inner"}
    # One task for each step or loop and chunk, and none is skipped.
    assert {state for each in states(ran).values() for state in each} == {"success"}


def test_a_chunk_that_fails_disturbs_no_other(
    batch_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    import airflow_arazzo.operators.chunk_run as module
    from airflow_arazzo.rows.manifest import BrokenManifest

    real = module.read_chunk

    def broken(folder: Any, manifest: Any, index: int) -> Any:
        if index == 1:
            raise BrokenManifest("the disk is on fire")
        return real(folder, manifest, index)

    monkeypatch.setattr(module, "read_chunk", broken)
    rows = [{"id": f"c-{number}"} for number in range(6)]
    dag = batch_dag(workflow("w", pay(), {"stepId": "b"}, inputs=INPUTS), for_each=rows, batch_size=2)
    ran = run(run_dag, dag, api)
    assert states(ran) == {
        "rows": ["success"],
        "chunks.a": ["success", "failed", "success"],
        "chunks.b": ["success", "upstream_failed", "success"],
        "report": ["failed"],
    }
    assert "Nothing was sent. The disk is on fire" in ran.log
    assert ids(api) == {"c-0": 1, "c-1": 1, "c-4": 1, "c-5": 1}
    unfinished = [(each["key"], each["error"]["code"]) for each in report(ran)["failures"]]
    assert unfinished == [("c-2", "not-finished"), ("c-3", "not-finished")]
    monkeypatch.setattr(module, "read_chunk", real)
    api.requests.clear()
    again = clear_and_run(ran, dag, "chunks.a")
    assert again.state == "success", again.log
    assert ids(api) == {"c-2": 1, "c-3": 1}
    assert api.paths.count("/b") == 2


# --- attempts of one task --------------------------------------------------------------------------------


class Attempts:
    """Tasks of one run, executed one by one."""

    def __init__(self, dag: Any) -> None:
        self.dag, self.run = dag, manual_run()
        self.xcoms: dict[tuple[str, str], Any] = {}
        self.stores: dict[str, Store] = {}

    def execute(self, task_id: str, *, chunk: int = 0, max_tries: int = 0, try_number: int = 1) -> Any:
        task = copy.copy(self.dag.get_task(task_id))
        if hasattr(task, "chunk"):
            task.chunk = chunk
        store = self.stores.setdefault(f"{task_id}.{chunk}", Store())
        now = context(store, run=self.run, xcoms=self.xcoms, max_tries=max_tries, try_number=try_number)
        try:
            return task.execute(now)
        finally:
            self.xcoms |= {(task_id, key): value for key, value in now["ti"].pushed.items()}

    def rows(self, **kwargs: Any) -> Any:
        return self.execute("rows", **kwargs)


@pytest.fixture
def attempts(batch_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Attempts]:
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(api.connection()))

    def make(*steps: Any, **kwargs: Any) -> Attempts:
        return Attempts(batch_dag(workflow("w", *steps, inputs=INPUTS), **kwargs))

    return make


LOOK = {"stepId": "b", "parameters": IN_QUERY}
SIX = [{"id": f"c-{number}", "amount": number} for number in range(6)]


def die_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the task end abruptly once so many requests were sent."""
    from airflow_arazzo.engine.transport import Transport

    real, left = Transport.send, [number]

    async def send(self: Any, *given: Any) -> Any:
        if left[0] == 0:
            raise MemoryError
        left[0] -= 1
        return await real(self, *given)

    monkeypatch.setattr(Transport, "send", send)


def test_another_attempt_begins_with_what_is_not_done(
    attempts: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = attempts(LOOK, for_each=SIX, concurrency=1)
    tasks.rows()
    with monkeypatch.context() as patched:
        die_at(patched, 3)
        with pytest.raises(MemoryError):
            tasks.execute("chunks.b")
    assert [request.target for request in api.requests] == ["/b?id=c-0", "/b?id=c-1", "/b?id=c-2"]
    found = tasks.execute("chunks.b", try_number=2)
    assert [request.target for request in api.requests[3:]] == ["/b?id=c-3", "/b?id=c-4", "/b?id=c-5"]
    assert found == {"rows": 6, "open": 0, "ended": 6, "failed": 0}
    # Once more, as after a clear: nothing is left to do.
    assert tasks.execute("chunks.b", max_tries=4, try_number=3) == found
    assert len(api.requests) == 6


def test_what_a_killed_task_sent_is_not_sent_again(
    attempts: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it was kept beside the manifest; the ledger knows."""
    tasks = attempts(pay(), for_each=SIX, concurrency=1)
    tasks.rows()
    with monkeypatch.context() as patched:
        patched.setattr("airflow_arazzo.operators.chunk_run._Work.keep", lambda self: None)
        die_at(patched, 3)
        with pytest.raises(MemoryError):
            tasks.execute("chunks.a")
    assert sorted(ids(api)) == ["c-0", "c-1", "c-2"]
    # The fourth was about to be sent when the process died, and nobody knows more.
    from airflow.sdk.exceptions import AirflowRescheduleException

    with pytest.raises(AirflowRescheduleException):
        tasks.execute("chunks.a", try_number=2)
    assert ids(api) == {"c-0": 1, "c-1": 1, "c-2": 1, "c-4": 1, "c-5": 1}


def test_rows_that_wait_give_the_slot_back(
    attempts: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from airflow.sdk.exceptions import AirflowRescheduleException

    import airflow_arazzo.operators.chunk_run as module

    looked: dict[str, int] = {}

    def decide(request: Any) -> Answer:
        row = request.target[-1]
        looked[row] = looked.get(row, 0) + 1
        wait = int(row) < 2 and looked[row] == 1
        return Answer(200, {"done": not wait, "mark": "unmistakable"}, {"Retry-After": "40"} if wait else {})

    api.decide = decide
    again = goto("more", "b", "$response.body#/done == false")
    step = {**LOOK, "onSuccess": [again], "outputs": {"mark": "$response.body#/mark"}}
    tasks = attempts(step, {"stepId": "e", "parameters": IN_QUERY}, for_each=SIX)
    tasks.rows()
    with pytest.raises(AirflowRescheduleException):
        tasks.execute("chunks.b")
    assert looked == dict.fromkeys("012345", 1)
    with pytest.raises(AirflowRescheduleException):
        tasks.execute("chunks.b")  # too early
    assert sum(looked.values()) == 6
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 41)
    assert tasks.execute("chunks.b") == {"rows": 6, "open": 6, "ended": 0, "failed": 0}
    assert looked == {**dict.fromkeys("2345", 1), "0": 2, "1": 2}
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("steps/**/*") if path.is_file())
    assert stored
    assert b"unmistakable" not in stored


# --- the manifest ----------------------------------------------------------------------------------------


def test_a_retry_keeps_what_is_frozen(attempts: Any, api: ScriptedApi) -> None:
    tasks = attempts(pay(), for_each=SIX, batch_size=4)
    assert tasks.rows(max_tries=2) == [0, 1]
    frozen = dict(tasks.xcoms[("rows", "manifest")])
    tasks.dag.get_task("rows").for_each = SIX[:1]
    assert tasks.rows(max_tries=2, try_number=2) == [0, 1]
    assert tasks.xcoms[("rows", "manifest")] == frozen


def test_a_clear_reads_again_and_added_rows_come_behind(attempts: Any, api: ScriptedApi) -> None:
    tasks = attempts(pay(), for_each=SIX, batch_size=4)
    tasks.rows()
    tasks.execute("chunks.a", chunk=0)
    assert sorted(ids(api)) == ["c-0", "c-1", "c-2", "c-3"]
    new = [{"id": "c-9", "amount": 9}, *reversed(SIX), {"id": "c-8", "amount": 8}]
    tasks.dag.get_task("rows").for_each = new
    assert tasks.rows(max_tries=1) == [0, 1]
    for chunk in (0, 1):
        tasks.execute("chunks.a", chunk=chunk)
    assert ids(api) == {f"c-{number}": 1 for number in (0, 1, 2, 3, 4, 5, 8, 9)}


@pytest.mark.parametrize("change", ["changed", "gone"])
@pytest.mark.parametrize("begun", [True, False])
def test_rows_that_change_after_something_was_sent(
    attempts: Any, api: ScriptedApi, change: str, begun: bool
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    tasks = attempts(pay(), for_each=SIX)
    tasks.rows()
    if begun:
        tasks.execute("chunks.a")
    other = [{**SIX[0], "amount": 99}, *SIX[1:]] if change == "changed" else SIX[1:]
    tasks.dag.get_task("rows").for_each = other
    if begun:
        told = "have other values now: c-0" if change == "changed" else "are gone: c-0"
        with pytest.raises(AirflowFailException, match=told):
            tasks.rows(max_tries=1)
        # What was frozen is still there to go on with.
        assert tasks.execute("chunks.a")["ended"] == 6
        tasks.dag.get_task("rows").accept_changes = True
    tasks.rows(max_tries=2)
    assert tasks.xcoms[("rows", "manifest")]["rows"] == len(other)
    found = tasks.execute("chunks.a", max_tries=3)
    assert ids(api)["c-0"] == int(begun or change == "changed")
    # The ledger has the row's effect with another amount: that is told, and not billed again.
    assert found["failed"] == int(begun and change == "changed")


def test_digits_are_part_of_what_is_frozen(attempts: Any, api: ScriptedApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    tasks = attempts(pay(), for_each=[{"id": "c", "amount": "10.10"}])
    tasks.rows()
    tasks.execute("chunks.a")
    assert api.bodies == ['{"id":"c","amount":10.10}']
    tasks.dag.get_task("rows").for_each = [{"id": "c", "amount": "10.1"}]
    with pytest.raises(AirflowFailException, match="have other values now"):
        tasks.rows(max_tries=1)


def test_a_folder_that_was_cleaned_up_costs_nothing(attempts: Any, api: ScriptedApi, tmp_path: Path) -> None:
    """Old runs' files may go: a clear freezes the rows anew, and the ledger has their effects."""
    from airflow.sdk.exceptions import AirflowFailException

    tasks = attempts(pay(), for_each=SIX, batch_size=4)
    tasks.rows()
    for chunk in (0, 1):
        assert tasks.execute("chunks.a", chunk=chunk)["failed"] == 0
    [folder] = {path.parent for path in tmp_path.rglob("rows-*.jsonl")}
    shutil.rmtree(folder)
    with pytest.raises(AirflowFailException, match=r"Nothing was sent.*are gone"):
        tasks.execute("chunks.a", max_tries=1)
    assert tasks.rows(max_tries=1) == [0, 1]
    for chunk in (0, 1):
        assert tasks.execute("chunks.a", chunk=chunk, max_tries=1)["failed"] == 0
    assert ids(api) == {f"c-{number}": 1 for number in range(6)}


def test_a_manifest_that_somebody_changed(attempts: Any, api: ScriptedApi, tmp_path: Path) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    tasks = attempts(pay(), for_each=SIX)
    tasks.rows()
    [path] = tmp_path.rglob("rows-*.jsonl")
    path.write_text(path.read_text().replace('"amount":1}', '"amount":9}'))
    with pytest.raises(AirflowFailException, match=r"Nothing was sent.*chunk 0 has changed"):
        tasks.execute("chunks.a")
    path.unlink()
    with pytest.raises(AirflowFailException, match=r"Nothing was sent.*are gone"):
        tasks.execute("chunks.a")
    assert api.paths == []


# --- secrets, rates, large reports -----------------------------------------------------------------------


@pytest.mark.parametrize("encrypted", [True, False])
def test_no_key_is_in_any_file(
    attempts: Any, api: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    """Also where a service echoes it, and where Airflow cannot encrypt."""
    if not encrypted:
        from airflow.sdk.crypto import _NullFernet

        for module in ("exchange", "standings"):
            monkeypatch.setattr(f"airflow_arazzo.operators.{module}.get_fernet", _NullFernet)
    api.decide = lambda request: Answer(
        200 if '"c-0"' in request.body else 400, {"n": f"you sent {request.headers.get('X-API-KEY')}"}
    )
    criteria = [{"condition": "$response.body#/n == 'x'"}, {"condition": "$statusCode == 200"}]
    steps = [pay(), {"stepId": "c", "requestBody": BODY, "successCriteria": criteria}]
    tasks = attempts(*steps, for_each=SIX, max_failed_rows=None)
    tasks.rows()
    tasks.execute("chunks.a")
    tasks.execute("chunks.c")
    found = tasks.execute("report")
    files = [path for path in tmp_path.rglob("rows/**/*") if path.is_file()]
    assert len(files) > 4
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in json.dumps(found)
    assert found["failed"] == 6


def test_a_credential_among_the_columns(
    batch_dag: Any, run_dag: Any, api: ScriptedApi, tmp_path: Path
) -> None:
    key = {"name": "X-API-KEY", "in": "header", "value": "$inputs.apiKey"}
    inputs = {**INPUTS, "properties": {**INPUTS["properties"], "apiKey": {"type": "string"}}}
    rows = [{"id": "c-1", "apiKey": "unmistakable-key"}]
    dag = batch_dag(workflow("w", pay(parameters=[key]), inputs=inputs), for_each=rows)
    ran = run(run_dag, dag, api)
    assert ran.state == "failed"
    assert "'apiKey' is a credential; it comes from the connection" in ran.log
    assert not [path for path in tmp_path.rglob("rows/**/*") if path.is_file()]


def test_a_rate_of_the_connection(attempts: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(api.connection(extra={"rate": 10})))
    times: list[float] = []

    def decide(request: Any) -> int:
        times.append(time.monotonic())
        return 200

    api.decide = decide
    tasks = attempts(LOOK, for_each=[*SIX, *({"id": f"d-{number}"} for number in range(6))], rate=1000)
    tasks.rows()
    tasks.execute("chunks.b")
    assert 1.0 < times[-1] - times[0] < 2


def test_large_reports_go_into_a_file(attempts: Any, api: ScriptedApi) -> None:
    api.answer("/a", {"n": "x" * 20_000})
    fields = {"for_each": SIX}
    tasks = Attempts(
        attempts(pay(), **fields).dag
    )  # the outputs of the steps are kept, the workflow declares none
    tasks.rows()
    tasks.execute("chunks.a")
    assert len(tasks.execute("report")["outputs"]) == 6
    from airflow_arazzo.operators import report_run as module

    module.LARGEST, kept = 10, module.LARGEST
    try:
        found = tasks.execute("report")
    finally:
        module.LARGEST = kept
    assert "outputs" not in found
    lines = Path(found["file"].removeprefix("file://")).read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == [row["id"] for row in SIX]


def test_progress_names_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_arazzo.operators import progress as module

    now = [100.0]
    told: list[str] = []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    progress = module.Progress(SimpleNamespace(info=lambda _, line: told.append(line)), 1000)
    for number in range(100):
        now[0] += 0.25
        progress.count(failed=number % 10 == 0)
    assert told == [
        "rows: 40 of 1000 done, 4 failed, 4.0 per second, 4 min 0 s left",
        "rows: 80 of 1000 done, 8 failed, 4.0 per second, 3 min 50 s left",
    ]
