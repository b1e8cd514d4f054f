"""DAGs of documents: their arguments, schedules, errors and identity, and how Airflow stores them."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedApi, workflow, write

ROOT = Path(__file__).parents[2]
DAGS = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
REQUIRED = {
    "type": "object",
    "required": ["who"],
    "properties": {"who": {"type": "string"}, "much": {"type": "number"}},
}
A = workflow("w", {"stepId": "a"}, inputs=REQUIRED, summary="Does it.")


def callback(context: Any) -> None:
    pass


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write(tmp_path, A, operations=["POST /a"])


# --- arguments -------------------------------------------------------------------------------------

START = datetime(2026, 1, 1, tzinfo=UTC)
ARGUMENTS: list[dict[str, Any]] = [
    {"schedule": None},
    {"start_date": START, "end_date": START + timedelta(days=9)},
    {"catchup": True},
    {"tags": ["money", "arazzo"]},
    {"default_args": {"retries": 2, "owner": "me", "execution_timeout": timedelta(minutes=3)}},
    {"default_args": {"pool": "mine", "queue": "q"}},
    {"max_active_runs": 1, "max_active_tasks": 3, "max_consecutive_failed_dag_runs": 2},
    {"dagrun_timeout": timedelta(hours=1)},
    {"on_failure_callback": callback, "on_success_callback": [callback]},
    {"access_control": {"Viewer": {"can_read"}}},
    {"description": "mine", "doc_md": "# mine", "dag_display_name": "Mine"},
    {"is_paused_upon_creation": False},
    {"render_template_as_native_obj": True, "user_defined_macros": {"x": 1}},
    {"params": {"of_mine": 3}},
    {"owner_links": {"me": "https://example.com"}, "default_args": {"owner": "me"}},
    {"fail_fast": True, "auto_register": False},
    {"schedule": "@once"},
]
OURS = {"params", "tags", "description", "doc_md", "is_paused_upon_creation", "catchup"}


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda each: "-".join(each))
def test_arguments_mean_what_they_mean_for_any_dag(document: Path, arguments: dict[str, Any]) -> None:
    from airflow.sdk import DAG, BaseOperator

    from airflow_arazzo import ArazzoDag

    made = ArazzoDag(document, dag_id="d", inputs={"who": "me"}, **arguments)
    with DAG("d", **{"schedule": None, **arguments}) as plain:
        BaseOperator(task_id="a")
    skipped = {"fileloc", "task_dict", "task_group", "timetable", "template_searchpath"}
    for name in sorted(DAG.get_serialized_fields() - skipped):
        if name not in OURS or name in arguments:
            ours, theirs = getattr(made, name), getattr(plain, name)
            if name == "tags":
                assert ours == theirs | {"arazzo"}
            elif name == "params":
                assert ours.dump() == {**theirs.dump(), "much": None}
            else:
                assert ours == theirs, name
    assert type(made.timetable) is type(plain.timetable)
    task, its = made.get_task("a"), plain.get_task("a")
    for name in ("owner", "pool", "queue", "execution_timeout", "start_date", "end_date", "email"):
        assert getattr(task, name, None) == getattr(its, name, None), name


def test_what_we_fill_in(document: Path) -> None:
    from airflow_arazzo import ArazzoDag

    dag = ArazzoDag(document)
    assert dag.dag_id == "w"
    assert dag.is_paused_upon_creation is True
    assert dag.catchup is False
    assert dag.description == "Does it."
    assert dag.tags == {"arazzo"}
    assert "`POST /a` of `api`" in str(dag.doc_md)
    assert list(dag.params) == ["who", "much"]


def test_pool(document: Path) -> None:
    from airflow_arazzo import ArazzoDag

    dag = ArazzoDag(document, pool="ours", default_args={"pool": "theirs", "queue": "q"})
    assert dag.get_task("a").pool == "ours"
    assert dag.get_task("a").queue == "q"
    assert ArazzoDag(document, default_args=None).get_task("a").pool == "default_pool"


# --- schedules ---------------------------------------------------------------------------------------


def intervals(dag: Any, count: int) -> list[tuple[str, str]]:
    """The first data intervals, as the scheduler computes them from the stored DAG."""
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    found: list[tuple[str, str]] = []
    last = None
    for _ in range(count):
        info = stored.next_dagrun_info(last_automated_run_info=last)
        last = info
        found.append((info.data_interval.start.isoformat(), info.data_interval.end.isoformat()))
    return found


@pytest.mark.parametrize(
    ("schedule", "start", "end"),
    [
        ("@daily", "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"),
        ("30 6 * * *", "2026-01-01T06:30:00+00:00", "2026-01-02T06:30:00+00:00"),
        ("@monthly", "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"),
        (timedelta(hours=8), "2026-01-01T00:00:00+00:00", "2026-01-01T08:00:00+00:00"),
    ],
    ids=str,
)
def test_every_run_has_the_interval_of_its_period(
    document: Path, schedule: Any, start: str, end: str
) -> None:
    from airflow_arazzo import ArazzoDag

    dag = ArazzoDag(document, inputs={"who": "me"}, schedule=schedule, start_date=START, catchup=True)
    (interval,) = intervals(dag, 1)
    assert interval == (start, end)


def test_relativedelta(document: Path) -> None:
    from dateutil.relativedelta import relativedelta

    from airflow_arazzo import ArazzoDag

    month = relativedelta(months=1)
    dag = ArazzoDag(document, inputs={"who": "me"}, schedule=month, start_date=START, catchup=True)
    assert intervals(dag, 1) == [("2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")]


@pytest.mark.parametrize("where", ["start_date", "default_args", "text"])
def test_daylight_saving(document: Path, where: str) -> None:
    """A day in Berlin has 23 hours when the clocks go forward; each begins at midnight there."""
    import pendulum

    from airflow_arazzo import ArazzoDag

    start = pendulum.datetime(2026, 3, 28, tz="Europe/Berlin")
    given: dict[str, Any] = {
        "start_date": {"start_date": start},
        "default_args": {"default_args": {"start_date": start}},
        "text": {"default_args": {"start_date": "2026-03-28T00:00:00+01:00"}},
    }[where]
    dag = ArazzoDag(document, inputs={"who": "me"}, schedule="@daily", catchup=True, **given)
    found = intervals(dag, 2)
    assert found[0] == ("2026-03-27T23:00:00+00:00", "2026-03-28T23:00:00+00:00")
    summer = "22" if where != "text" else "23"  # an offset by itself knows no daylight saving
    assert found[1] == ("2026-03-28T23:00:00+00:00", f"2026-03-29T{summer}:00:00+00:00")


def test_assets_and_timetables_are_left_alone(document: Path) -> None:
    from airflow.sdk import Asset, CronTriggerTimetable

    from airflow_arazzo import ArazzoDag

    own = CronTriggerTimetable("@daily", timezone="UTC")
    assert ArazzoDag(document, inputs={"who": "me"}, schedule=own).timetable is own
    by_asset = ArazzoDag(document, inputs={"who": "me"}, schedule=[Asset("usage")])
    assert type(by_asset.timetable).__name__ == "AssetTriggeredTimetable"


@pytest.mark.parametrize("schedule", ["@daily", "@once", timedelta(days=1)], ids=str)
def test_a_schedule_needs_values_for_required_inputs(document: Path, schedule: Any) -> None:
    from airflow_arazzo import ArazzoDag
    from airflow_arazzo.dag import MissingInputs

    with pytest.raises(MissingInputs, match="value: who"):
        ArazzoDag(document, schedule=schedule)
    ArazzoDag(document, schedule=schedule, inputs={"who": "{{ ds }}"})
    ArazzoDag(document, schedule=schedule, params={"who": "me"})


# --- several workflows -------------------------------------------------------------------------------


def test_all_workflows_of_a_document(tmp_path: Path) -> None:
    from airflow_arazzo import arazzo_dags

    document = write(
        tmp_path,
        A,
        dict(A, workflowId="bill it"),
        dict(A, workflowId="bill-it"),
        dict(A, workflowId="bill_it"),
        operations=["POST /a"],
    )
    dags = arazzo_dags(document, dag_id_prefix="p_", tags=["money"], workflows=None)
    assert {key: dag.dag_id for key, dag in dags.items()} == {
        "w": "p_w",
        "bill it": "p_bill_it",
        "bill-it": "p_bill-it",
        "bill_it": "p_bill_it_2",
    }
    assert all(dag.tags == {"arazzo", "money"} for dag in dags.values())
    some = arazzo_dags(document, workflows={"w": {"dag_id": "own", "inputs": {"who": "me"}}}, catchup=True)
    assert [(key, dag.dag_id, dag.catchup) for key, dag in some.items()] == [("w", "own", True)]


def test_arguments_for_all_may_name_what_only_some_workflows_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_arazzo import arazzo_dags
    from airflow_arazzo.tasks import UnknownName

    body = {"contentType": "application/json", "payload": {"x": 1}}
    other = dict(A, workflowId="other", steps=[{"stepId": "b", "operationId": "b", "requestBody": body}])
    document = write(tmp_path, A, other, operations=["POST /a", "POST /b"])
    said = {"api.a": {"header": "K"}, "api.b": {"body": "id"}}
    for wanted in ("", "other"):
        if wanted:
            monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", wanted)
        dags = arazzo_dags(document, idempotency=said, connections={"api": "mine"})
        found = {key: dag.plan.root.steps[0].call.idempotency for key, dag in dags.items()}
        assert found["other"].name == "id"
        assert wanted or found["w"].name == "K"
    monkeypatch.delenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID")
    with pytest.raises(UnknownName, match=r"'api\.c' is neither a source nor an operation"):
        arazzo_dags(document, idempotency={**said, "api.c": {"header": "K"}})


def test_only_the_wanted_dag_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the two workflows does not compile; a task of the other does not mind."""
    from airflow_arazzo import arazzo_dags
    from airflow_arazzo.loading import BrokenDocument

    other = dict(A, workflowId="other", steps=[{"stepId": "a", "operationId": "nothing"}])
    document = write(tmp_path, A, other, operations=["POST /a"])
    with pytest.raises(BrokenDocument):
        arazzo_dags(document)
    # The variable through which Airflow tells a parsing process which DAG it wants.
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "w")
    assert list(arazzo_dags(document)) == ["w"]
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "of another file")
    assert arazzo_dags(document) == {}


# --- identity ----------------------------------------------------------------------------------------


def test_shipped_dag_files(dag_file: Any) -> None:
    """Each file makes one paused DAG, whose Code tab shows that file; paths start from its folder."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=ROOT / "dags")
    assert bag.import_errors == {}
    assert {Path(dag.fileloc).parent for dag in bag.dags.values()} == {ROOT / "dags"}
    assert len({dag.fileloc for dag in bag.dags.values()}) == 8
    scheduled = {"monthly-invoice", "monthly-billing", "nightly-usage"}
    by_hand = {name: dag for name, dag in bag.dags.items() if name not in scheduled}
    documents = {dag.plan.root.file: Path(dag.fileloc).stem for dag in by_hand.values()}
    assert len(documents) == 5
    for document, stub in documents.items():
        assert document.replace("-", "_").startswith(stub)
    for dag in bag.dags.values():
        assert dag.is_paused_upon_creation
        assert dag.timetable.can_be_scheduled is (dag.dag_id not in by_hand)
        assert all(task.doc_md and task.plan_digest == dag.plan.digest for task in dag.tasks)


def test_file_of_a_dag_made_by_a_function_of_the_file(tmp_path: Path, dag_file: Any) -> None:
    write(DAGS / "relative", A, operations=["POST /a"])
    source = """\
        from airflow_arazzo import ArazzoDag

        class Mine(ArazzoDag):
            def __init__(self, name, **kwargs):
                super().__init__(f"relative/{name}", **kwargs)

        def make():
            return Mine("flow.arazzo.json")

        dag = make()
        """
    try:
        module = dag_file("functions", textwrap.dedent(source))
        assert module.dag.fileloc == str(DAGS / "functions.py")
    finally:
        shutil.rmtree(DAGS / "relative")


def test_stored_form(document: Path) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_arazzo import ArazzoDag

    dag = ArazzoDag(document, inputs={"who": "{{ ds }}"}, schedule="@daily", start_date=START)
    data = DagSerialization.to_dict(dag)
    json.dumps(data)
    again = DagSerialization.from_dict(data)
    assert again.dag_id == "w"
    assert list(again.params) == ["much"]
    task = again.get_task("a")
    assert list(task.template_fields[:3]) == ["identity", "inputs", "plan_digest"]
    assert task.document == f"flow.arazzo.json:{dag.plan.root.steps[0].line}"
    assert task.plan_digest == dag.plan.digest
    assert task.inputs == {"who": "{{ ds }}"}
    assert again.doc_md == dag.doc_md
    assert str(document.parent) not in json.dumps(
        {k: v for k, v in data["dag"].items() if k != "fileloc"}
    ).replace(str(Path(__file__).parent), "")


def version(document: Path, **kwargs: Any) -> str:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_arazzo import ArazzoDag

    return str(SerializedDagModel.hash(DagSerialization.to_dict(ArazzoDag(document, **kwargs))))


def test_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on every parse, with and without the cache, in any folder; another when the plan is."""
    document = write(tmp_path / "one", A, operations=["POST /a"])
    first = version(document)
    assert version(document) == first
    monkeypatch.setenv("ARAZZO_CACHE_DIR", str(tmp_path / "empty"))
    assert version(document) == first
    assert version(write(tmp_path / "two", A, operations=["POST /a"])) == first
    outputs = dict(A, steps=[{"stepId": "a", "operationId": "a", "outputs": {"n": "$response.body#/n"}}])
    assert version(write(tmp_path / "one", outputs, operations=["POST /a"])) != first


def test_part_of_a_dag(document: Path) -> None:
    """Airflow copies DAGs to look at parts of them."""
    from airflow_arazzo import ArazzoDag

    part = ArazzoDag(document).partial_subset("a")
    assert part.task_ids == ["a"]


# --- documentation -----------------------------------------------------------------------------------


def test_documentation(tmp_path: Path) -> None:
    from airflow_arazzo import ArazzoDag

    step = {
        "stepId": "a b",
        "operationId": "A",
        "description": "Creates | the thing.",
        "successCriteria": [{"condition": "$statusCode == 200"}],
        "outputs": {"n": "$response.body#/n"},
    }
    inputs = {"type": "object", "properties": {"who": {"type": "string", "description": "Who | it is."}}}
    document = write(
        tmp_path, workflow("w", step, inputs=inputs, description="Long story."), operations=["POST /a"]
    )
    dag = ArazzoDag(document)
    text = str(dag.doc_md)
    assert "Long story." in text
    assert "`POST /a` of `api`" in text
    assert "Who \\| it is." in text
    assert "#### Warnings" in text
    assert "flow.arazzo.json:" in text
    assert "From `flow.arazzo.json`, workflow `w` (flow 1)." in text
    task = dag.get_task("a_b")
    assert task.task_display_name == "a b: The operation /a"
    assert "Creates | the thing." in str(task.doc_md)
    assert "`POST /a` of `api`" in str(task.doc_md)
    assert "The operation /a" in str(task.doc_md)
    assert "`$statusCode == 200`" in str(task.doc_md)


def test_open_ended_inputs(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """A workflow that takes any input takes those of the run's configuration."""
    step = {
        "stepId": "a",
        "requestBody": {"contentType": "application/json", "payload": {"x": "$inputs.x"}},
    }
    inputs = {"type": "object", "additionalProperties": True}
    dag = workflow_dag(workflow("w", step, inputs=inputs), operations=["POST /a"])
    ran = run_dag(dag, {"x": 1}, connections={"api": api.connection()})
    assert ran.state == "success"
    assert api.bodies == ['{"x":1}']
