"""Workflows over rows in Airflow: what each row asks for, what becomes of it, and what runs again."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, ScriptedApi, workflow

OPERATIONS = ["POST /a", "GET /b", "POST /c", "POST /d"]
INPUTS = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "amount": {"type": "number"}, "kind": {"type": "string"}},
    "required": ["id"],
}
BODY = {"contentType": "application/json", "payload": {"id": "$inputs.id", "amount": "$inputs.amount"}}
KEYED = {"api": {"header": "Idempotency-Key"}}


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"c-{number}", "amount": number} for number in range(count)]


def pay(**fields: Any) -> dict[str, Any]:
    return {"stepId": "a", "requestBody": BODY, "outputs": {"n": "$response.body#/n"}, **fields}


def states(ran: Any) -> dict[str, list[str]]:
    """States of all instances by task, in the order of chunks."""
    found: dict[str, list[tuple[int, str]]] = {}
    for each in ran.run.get_task_instances():
        found.setdefault(each.task_id, []).append((each.map_index, str(each.state)))
    return {task: [state for _, state in sorted(listed)] for task, listed in found.items()}


def report(ran: Any) -> dict[str, Any]:
    found: dict[str, Any] = ran.xcom("report")
    return found


@pytest.fixture
def batch_dag(workflow_dag: Any, tmp_path: Path) -> Callable[..., Any]:
    """A DAG over rows: ``batch_dag(*steps, for_each=…)``."""

    def make(*steps: Any, outputs: Any = None, operations: Any = OPERATIONS, **kwargs: Any) -> Any:
        fields = {"outputs": outputs} if outputs else {}
        kwargs = {"row_key": "id", "rows_folder": f"file://{tmp_path}/rows", **kwargs}
        return workflow_dag(workflow("w", *steps, inputs=INPUTS, **fields), operations=operations, **kwargs)

    return make


def run(run_dag: Any, dag: Any, api: ScriptedApi, **kwargs: Any) -> Any:
    for task in dag.tasks:
        if task.task_id.startswith("chunks."):
            from datetime import timedelta

            task.retry_policy = None
            task.retry_delay = timedelta(0)
    return run_dag(dag, connections={"api": api.connection(), **kwargs.pop("connections", {})}, **kwargs)


def ids(api: ScriptedApi, path: str = "/a") -> Counter[str]:
    return Counter(
        json.loads(request.body)["id"] for request in api.requests if request.target.startswith(path)
    )


def test_rows_of_a_list(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    api.answer("/a", {"n": 7})
    dag = batch_dag(
        pay(), {"stepId": "b"}, for_each=rows(7), batch_size=3, outputs={"n": "$steps.a.outputs.n"}
    )
    ran = run(run_dag, dag, api)
    assert ran.state == "success", ran.log
    ok = ["success"] * 3
    assert states(ran) == {"rows": ["success"], "chunks.a": ok, "chunks.b": ok, "report": ["success"]}
    assert ids(api) == {f"c-{number}": 1 for number in range(7)}
    assert api.paths.count("/b") == 7
    found = report(ran)
    assert {name: found[name] for name in ("rows", "succeeded", "failed", "set_aside")} == {
        "rows": 7,
        "succeeded": 7,
        "failed": 0,
        "set_aside": 0,
    }
    assert [(each["key"], each["outputs"]) for each in found["outputs"]] == [
        (f"c-{number}", {"n": 7}) for number in range(7)
    ]


# --- where rows come from ------------------------------------------------------------------------------


def write_rows(folder: Path, kind: str) -> str:
    """Three rows in a file, the amount of the first with a digit that a float would lose."""
    path = folder / f"usage-2026-01-01.{kind}"
    if kind == "csv":
        path.write_text('id,amount,kind\r\nc-0,10.10,\r\n"c,1",2,"a ""b""\nc"\r\nc-2,,x\r\n')
    elif kind == "jsonl":
        lines = ['{"id":"c-0","amount":10.10}', '{"id":"c,1","amount":2,"kind":"a \\"b\\"\\nc"}', ""]
        path.write_text("\n".join([*lines, '{"id":"c-2","kind":"x"}']))
    else:
        from decimal import Decimal

        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        amounts = pyarrow.array([Decimal("10.10"), Decimal("2.00"), None], pyarrow.decimal128(10, 2))
        columns = {"id": ["c-0", "c,1", "c-2"], "amount": amounts, "kind": [None, 'a "b"\nc', "x"]}
        parquet.write_table(pyarrow.table(columns), path)
    return str(path)


WHOLE = {"contentType": "application/json", "payload": {
    "id": "$inputs.id", "amount": "$inputs.amount", "kind": "$inputs.kind"}}  # fmt: skip


def test_mapped_tasks_are_called_after_their_rows(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    given = [{"id": key} for key in ("c-0", "c-1", "c-2", "c-3", "x" * 99)]
    ran = run(run_dag, batch_dag(pay(), for_each=given, batch_size=2), api)
    named = {
        each.map_index: each.rendered_map_index
        for each in ran.run.get_task_instances()
        if each.task_id == "chunks.a"
    }
    assert named == {0: "c-0 … c-1", 1: "c-2 … c-3", 2: "x" * 59 + "…"}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_of_a_file(batch_dag: Any, run_dag: Any, api: ScriptedApi, tmp_path: Path, kind: str) -> None:
    path = write_rows(tmp_path, kind).replace("2026-01-01", "{{ ds }}")
    dag = batch_dag(pay(requestBody=WHOLE), for_each=path, outputs={"id": "$inputs.id"})
    import pendulum

    ran = run(run_dag, dag, api, logical_date=pendulum.datetime(2026, 1, 1))
    assert ran.state == "success", ran.log
    second = "2.00" if kind == "parquet" else "2"
    assert sorted(api.bodies) == [
        '{"id":"c,1","amount":' + second + ',"kind":"a \\"b\\"\\nc"}',
        '{"id":"c-0","amount":10.10}',
        '{"id":"c-2","kind":"x"}',
    ]


def test_rows_of_a_query(
    batch_dag: Any, run_dag: Any, api: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that the workflow does not ask for, money as text, and a row that is not there yet."""
    with sqlite3.connect(tmp_path / "usage.db") as connection:
        connection.execute("CREATE TABLE usage (day TEXT, number INTEGER, id TEXT, amount TEXT)")
        connection.executemany(
            "INSERT INTO usage VALUES (?, ?, ?, ?)",
            [("2026-01-01", 1, "c-1", "10.10"), ("2026-01-01", 2, "c-1", "3"), ("2026-01-02", 3, "c-3", "4")],
        )
    query = "SELECT number, id, amount FROM usage WHERE day = '{{ ds }}' ORDER BY number"
    import pendulum

    dag = batch_dag(pay(), for_each={"sql": query, "conn_id": "usage"}, row_key="number")
    ran = run(
        run_dag,
        dag,
        api,
        logical_date=pendulum.datetime(2026, 1, 1),
        connections={"usage": {"conn_type": "sqlite", "host": str(tmp_path / "usage.db")}},
    )
    assert ran.state == "success", ran.log
    assert sorted(api.bodies) == ['{"id":"c-1","amount":10.10}', '{"id":"c-1","amount":3}']


def test_rows_of_an_upstream_task_in_a_group(
    dag_file: Any, run_dag: Any, api: ScriptedApi, tmp_path: Path
) -> None:
    from scripted import write

    path = write(
        tmp_path / "documents",
        workflow("w", pay(), inputs=INPUTS, outputs={"n": "$steps.a.outputs.n"}),
        operations=OPERATIONS,
    )
    api.answer("/a", {"n": 1})
    dag = dag_file(
        "host",
        f"""
from airflow.sdk import DAG, task
from airflow_arazzo import ArazzoTaskGroup

with DAG("host", schedule=None) as dag:

    @task
    def usage():
        return [{{"id": "c-1", "amount": {{"$decimal": "0.10"}}}}, {{"id": "c-2", "amount": 2}}]

    @task
    def after(report):
        return [each["key"] for each in report["outputs"]]

    group = ArazzoTaskGroup(
        {str(path)!r}, group_id="bill", for_each=usage(), row_key="id", batch_size=1,
        rows_folder="file://{tmp_path}/rows", inputs={{"kind": "{{{{ dag.dag_id }}}}"}},
    )
    after(group.output)
""",
    ).dag
    ran = run(run_dag, dag, api)
    assert ran.state == "success", ran.log
    assert sorted(api.bodies) == ['{"id":"c-1","amount":0.10}', '{"id":"c-2","amount":2}']
    assert ran.xcom("after") == ["c-1", "c-2"]
    assert states(ran)["bill.chunks.a"] == ["success"] * 2


def test_no_rows(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    ran = run(run_dag, batch_dag(pay(), for_each=[]), api)
    assert ran.state == "success", ran.log
    assert report(ran)["rows"] == 0
    assert api.paths == []


def test_more_chunks_than_airflow_maps(
    batch_dag: Any, run_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    ran = run(run_dag, batch_dag(pay(), for_each=rows(10), batch_size=2), api)
    assert len(states(ran)["chunks.a"]) == 3
    assert len(ids(api)) == 10


# --- rows that are not accepted --------------------------------------------------------------------------

BAD = [
    {"id": "c-0", "amount": 1},
    {"id": "c-1", "amount": "much"},
    {"amount": 2},
    {"id": "c-3", "colour": "red", "amount": True},
    "c-4",
    {"id": "", "amount": 1},
]


def test_bad_rows_are_told_together_and_nothing_is_sent(
    batch_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    ran = run(run_dag, batch_dag(pay(), for_each=BAD), api)
    assert ran.state == "failed"
    assert states(ran)["rows"] == ["failed"]
    assert api.paths == []
    for expected in (
        "5 row(s) are not accepted",
        "line 2: input 'amount' is 'much', expected number",
        "line 3: it has no value for 'id', which is its row_key",
        "line 4 (c-3): workflow 'w' has no input 'colour'",
        "input 'amount': true is not of type number",
        "line 5: it is str, expected an object of inputs",
        "line 6: it has no value for 'id'",
    ):
        assert expected in ran.log, expected


def test_bad_rows_can_be_set_aside(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    ran = run(run_dag, batch_dag(pay(), for_each=BAD, on_bad_rows="set_aside"), api)
    assert ran.state == "success", ran.log
    assert ids(api) == {"c-0": 1}
    found = report(ran)
    assert (found["rows"], found["succeeded"], found["set_aside"]) == (1, 1, 5)
    assert found["set_aside_rows"][0] == {
        "line": 2,
        "key": "",
        "reason": "input 'amount' is 'much', expected number",
    }


def test_inputs_in_a_configuration_are_not_lost_silently(
    batch_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    dag = batch_dag(pay(), for_each=rows(1))
    ran = run_dag(dag, {"amount": 5}, connections={"api": api.connection()})
    assert ran.state == "failed"
    assert "The run's configuration gives amount, and inputs come from the rows" in ran.log
    assert api.paths == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no-such.csv", None, "there is no file"),
        ("x.txt", b"", "no CSV, JSON Lines or Parquet file"),
        ("x.csv", b"id,id\n1,2\n", "several columns have the same name: id"),
        ("x.csv", b"id\n\xff\n", "cannot be read"),
        ("x.parquet", b"no parquet", "cannot be read"),
    ],
)
def test_files_that_cannot_be_read(
    batch_dag: Any, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    from airflow_arazzo.rows.source import BadSource, plain_source, read_rows

    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadSource, match=message):
        list(read_rows(plain_source(str(tmp_path / name))))


def test_duplicates_are_named(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    twice = [{"id": "c-1"}, {"id": "c-2"}, {"id": "c-1", "amount": 1}, {"id": "c-1"}]
    dag = batch_dag(pay(), for_each=twice, on_bad_rows="set_aside")
    ran = run(run_dag, dag, api)
    assert ran.state == "failed"
    assert "Several rows have the same row_key: 'c-1' (lines 1, 3, 4)" in ran.log
    assert api.paths == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"row_key": ""}, "row_key: it must name"),
        ({"batch_size": 0}, "batch_size: expected"),
        ({"concurrency": True}, "concurrency: expected"),
        ({"rate": 0}, "rate: expected"),
        ({"on_bad_rows": "setaside"}, "did you mean 'set_aside'"),
        ({"for_each": {"sql": "SELECT 1"}}, "expected 'sql' and 'conn_id', or 'path'"),
        ({"for_each": {"pth": "x"}}, "did you mean 'path'"),
        ({"for_each": None}, "only for a workflow over rows"),
    ],
)
def test_options_that_cannot_be(batch_dag: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batch_dag(pay(), **{"for_each": [], **arguments})


# --- rows that fail --------------------------------------------------------------------------------------


def fate(number: int) -> str:
    """What becomes of a row; five of each hundred of the first six hundred fail, each hundred otherwise."""
    kinds = ("bad", "400", "429", "500", "timeout", "reset")
    return kinds[number // 100] if number % 100 < 5 and number < 600 else "ok"


def test_thousand_rows_of_which_thirty_fail(
    batch_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi
) -> None:
    import time

    healed = False

    def decide(request: Any) -> Answer | int | None:
        if request.target == "/b":
            return 200
        kind = fate(int(json.loads(request.body)["id"][2:]))
        if kind in ("400", "429", "500"):
            return 200 if healed and kind != "400" else int(kind)
        if kind == "timeout":
            time.sleep(7)
        return None if kind == "reset" else 200

    api.decide = decide
    given = [
        {"id": f"c-{number}", "amount": "?" if fate(number) == "bad" else number} for number in range(1000)
    ]
    dag = batch_dag(
        pay(), {"stepId": "b"}, for_each=given, batch_size=300, on_bad_rows="set_aside", max_failed_rows=10
    )
    connection = {"api": api.connection(extra={"timeout": 4})}
    ran = run(run_dag, dag, api, connections=connection)
    asked = ids(api)
    assert Counter(fate(int(key[2:])) for key in asked.elements()) == {
        "ok": 970,
        "400": 5,
        "429": 5 * 4,  # what may pass by itself is tried again, three times
        "500": 5,
        "timeout": 5,
        "reset": 5,
    }
    assert api.paths.count("/b") == 970
    assert ran.state == "failed"
    assert states(ran)["chunks.a"] == states(ran)["chunks.b"] == ["success"] * 4
    found = report(ran)
    assert (found["succeeded"], found["failed"], found["set_aside"]) == (970, 25, 5)
    assert [each["line"] for each in found["set_aside_rows"]] == [1, 2, 3, 4, 5]
    by_key = {each["key"]: each for each in found["failures"]}
    expected = {
        "400": ("criteria", False),
        "429": ("criteria", True),
        "500": ("outcome-unknown", False),
        "timeout": ("outcome-unknown", False),
        "reset": ("outcome-unknown", False),
    }
    for number in range(1000):
        if fate(number) not in ("ok", "bad"):
            each = by_key[f"c-{number}"]
            assert (each["error"]["code"], each["may_be_tried_again"]) == expected[fate(number)]
            assert each["line"] == number + 1
            assert f"row 'c-{number}'" in ran.log
    assert "25 of 995 row(s) have failed; max_failed_rows is 10" in ran.log

    api.requests.clear()
    healed = True
    again = clear_and_run(ran, dag, "chunks.a")
    # A person's clear asks again for what was refused; of what nobody knows, nothing is sent.
    assert Counter(fate(int(key[2:])) for key in ids(api).elements()) == {"400": 5, "429": 5}
    assert api.paths.count("/b") == 5
    found = report(again)
    assert (found["succeeded"], found["failed"]) == (975, 20)
    assert "ledger resolve" in again.log


@pytest.mark.parametrize(("allowed", "state"), [(None, "success"), (1, "success"), (0, "failed")])
def test_how_many_rows_may_fail(
    batch_dag: Any, run_dag: Any, api: ScriptedApi, allowed: int | None, state: str
) -> None:
    api.decide = lambda request: 400 if '"c-1"' in request.body else 200
    ran = run(run_dag, batch_dag(pay(), for_each=rows(3), max_failed_rows=allowed), api)
    assert ran.state == state
    assert report(ran)["failed"] == 1


def test_a_step_that_no_row_gets_to(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    api.decide = lambda request: 400
    dag = batch_dag(pay(), {"stepId": "b"}, for_each=rows(2), max_failed_rows=None)
    ran = run(run_dag, dag, api)
    ok = ["success"]
    assert states(ran) == {"rows": ok, "chunks.a": ok, "chunks.b": ok, "report": ok}
    assert report(ran)["failed"] == 2
    assert "/b" not in api.paths
