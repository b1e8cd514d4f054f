"""The billing period: what scheduled and backfilled runs have, what others state, and what templates see."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from scripted import ScriptedApi, workflow, write

INPUTS = {
    "type": "object",
    "required": ["start"],
    "properties": {"start": {"type": "integer"}, "end": {"type": "integer"}, "name": {"type": "string"}},
}
SEND = {
    "requestBody": {
        "contentType": "application/json",
        "payload": {"start": "$inputs.start", "end": "$inputs.end", "name": "$inputs.name"},
    }
}
BILL = workflow("bill", {"stepId": "a", **SEND}, {"stepId": "b"}, inputs=INPUTS)
BOUND = {"start": "{{ period.start_ms }}", "end": "{{ period.end_ms }}", "name": "{{ period.id }}"}
BERLIN = pendulum.timezone("Europe/Berlin")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write(tmp_path, BILL, operations=["POST /a", "POST /b"])


@pytest.fixture
def make(document: Path) -> Callable[..., Any]:
    from airflow_arazzo import ArazzoDag

    return lambda **kwargs: ArazzoDag(document, **{"inputs": BOUND, **kwargs})


# --- real data intervals -----------------------------------------------------------------------------


def stored(dag: Any) -> Any:
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))


def period(dag: Any, interval: Any, kind: str = "scheduled", **params: Any) -> Any:
    """The period of a run as its task sees it: moments come from the API server in UTC."""
    from airflow_arazzo.operators.period import period_of

    run = SimpleNamespace(
        run_type=kind,
        data_interval_start=interval and interval.start.astimezone(UTC),
        data_interval_end=interval and interval.end.astimezone(UTC),
    )
    return period_of({"dag_run": run, "params": params}, dag)


def scheduled(dag: Any, count: int) -> list[Any]:
    """Periods of the first runs that the scheduler would create."""
    known = stored(dag)
    found, last = [], None
    for _ in range(count):
        last = known.next_dagrun_info(last_automated_run_info=last)
        found.append(period(dag, last.data_interval))
    return found


def backfilled(dag: Any, start: datetime, end: datetime) -> list[Any]:
    """Periods of the runs that a backfill creates."""
    infos = stored(dag).iter_dagrun_infos_between(pendulum.instance(start), pendulum.instance(end))
    return [period(dag, info.data_interval, "backfill") for info in infos]


SCHEDULES: dict[str, tuple[Any, Any, int]] = {
    "hourly over the change to summer time": ("@hourly", pendulum.datetime(2026, 3, 28, 20, tz=BERLIN), 12),
    "hourly over the change to winter time": ("@hourly", pendulum.datetime(2026, 10, 24, 20, tz=BERLIN), 12),
    "daily over the change to summer time": ("@daily", pendulum.datetime(2026, 3, 27, tz=BERLIN), 5),
    "daily over the change to winter time": ("@daily", pendulum.datetime(2026, 10, 23, tz=BERLIN), 5),
    "at half past two, which one day lacks": ("30 2 * * *", pendulum.datetime(2026, 3, 27, tz=BERLIN), 5),
    "at half past two, which one day has twice": (
        "30 2 * * *",
        pendulum.datetime(2026, 10, 23, tz=BERLIN),
        5,
    ),
    "monthly": ("@monthly", pendulum.datetime(2026, 1, 1, tz=BERLIN), 14),
    "weekly": ("@weekly", pendulum.datetime(2026, 3, 1, tz=BERLIN), 8),
    "yearly": ("@yearly", pendulum.datetime(2020, 1, 1, tz=BERLIN), 6),
    "quarterly": ("0 0 1 */3 *", pendulum.datetime(2026, 1, 1, tz=BERLIN), 8),
    "every quarter of an hour": ("*/15 * * * *", pendulum.datetime(2026, 10, 25, tz=BERLIN), 20),
    "every eight hours": (timedelta(hours=8), pendulum.datetime(2026, 3, 27, tz=BERLIN), 12),
    "every 24 hours": (timedelta(days=1), pendulum.datetime(2026, 10, 23, tz=BERLIN), 5),
    "daily in UTC": ("@daily", datetime(2026, 2, 26, tzinfo=UTC), 5),
    "daily in Kathmandu": ("@daily", pendulum.datetime(2026, 2, 26, tz="Asia/Kathmandu"), 5),
}


@pytest.mark.parametrize(("schedule", "start", "count"), SCHEDULES.values(), ids=list(SCHEDULES))
def test_periods_have_no_gap_and_no_overlap(make: Any, schedule: Any, start: Any, count: int) -> None:
    dag = make(schedule=schedule, start_date=start, catchup=True)
    found = scheduled(dag, count)
    for one, next_one in pairwise(found):
        assert one.start_ms < one.end_ms
        assert one.end.isoformat() == next_one.start.isoformat()
        assert one.end_ms == next_one.start_ms
        assert one.end_date == next_one.start_date
    assert len({each.id for each in found}) == count
    again = backfilled(dag, found[0].start, found[-1].start)
    assert [(each.id, each) for each in again] == [(each.id, each) for each in found]


def test_days_around_a_change_of_clocks(make: Any) -> None:
    dag = make(schedule="@daily", start_date=pendulum.datetime(2026, 3, 28, tz=BERLIN), catchup=True)
    first, second, third = scheduled(dag, 3)
    assert [each.id for each in (first, second, third)] == [
        "2026-03-28/2026-03-29",
        "2026-03-29/2026-03-30",
        "2026-03-30/2026-03-31",
    ]
    hours = [(each.end_ms - each.start_ms) / 3_600_000 for each in (first, second, third)]
    assert hours == [24, 23, 24]
    assert first.start_ms == 1774652400000  # 2026-03-27T23:00:00Z
    assert str(second.start) == "2026-03-29 00:00:00+01:00"
    assert str(second.end) == "2026-03-30 00:00:00+02:00"
    autumn = make(schedule="@daily", start_date=pendulum.datetime(2026, 10, 25, tz=BERLIN), catchup=True)
    (long,) = scheduled(autumn, 1)
    assert (long.end_ms - long.start_ms) / 3_600_000 == 25


def test_hours_that_are_there_twice(make: Any) -> None:
    dag = make(schedule="@hourly", start_date=pendulum.datetime(2026, 10, 25, 1, tz=BERLIN), catchup=True)
    assert [each.id for each in scheduled(dag, 4)] == [
        "2026-10-25T01:00:00+02:00/2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+02:00/2026-10-25T02:00:00+01:00",
        "2026-10-25T02:00:00+01:00/2026-10-25T03:00:00+01:00",
        "2026-10-25T03:00:00+01:00/2026-10-25T04:00:00+01:00",
    ]


def test_periods_that_differ_only_in_what_clocks_do() -> None:
    from airflow_arazzo.operators.period import Period

    end = datetime(2026, 10, 25, 2, tzinfo=UTC)
    two_hours = Period.between(end - timedelta(hours=2), end, BERLIN)
    one_hour = Period.between(end - timedelta(hours=1), end, BERLIN)
    assert two_hours.start.naive() == one_hour.start.naive()
    assert two_hours != one_hour
    assert two_hours == Period.between(end - timedelta(hours=2), end, UTC)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", pendulum.timezone("Asia/Tokyo")], ids=["name", "zone"])
def test_days_are_those_of_the_timetable(make: Any, zone: Any) -> None:
    from airflow.sdk import CronDataIntervalTimetable

    schedule = CronDataIntervalTimetable("@daily", timezone=zone)
    dag = make(schedule=schedule, start_date=datetime(2026, 3, 1, tzinfo=UTC), catchup=True)
    assert scheduled(dag, 1)[0].id == "2026-03-02/2026-03-03"


def test_a_month(make: Any) -> None:
    dag = make(schedule="@monthly", start_date=pendulum.datetime(2026, 3, 1, tz=BERLIN), catchup=True)
    (march,) = scheduled(dag, 1)
    assert (march.id, str(march)) == ("2026-03-01/2026-04-01", "2026-03-01/2026-04-01")
    assert (str(march.start_date), str(march.end_date)) == ("2026-03-01", "2026-04-01")
    assert march.start.isoformat() == "2026-03-01T00:00:00+01:00"
    assert march.end.isoformat() == "2026-04-01T00:00:00+02:00"


# --- periods that runs state ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["manual", "asset_triggered", "operator_triggered"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-01", "2026-04-01"),
        ("2026-03-01T00:00", "2026-04-01 00:00:00"),
        ("2026-03-01T00:00:00+01:00", "2026-03-31T22:00:00Z"),
    ],
)
def test_a_stated_period_is_that_of_the_scheduled_run(make: Any, kind: str, start: str, end: str) -> None:
    from airflow_arazzo.operators.effects import identity_of

    dag = make(schedule="@monthly", start_date=pendulum.datetime(2026, 3, 1, tz=BERLIN), catchup=True)
    interval = stored(dag).next_dagrun_info(last_automated_run_info=None).data_interval
    # Airflow infers an interval of its own for a manual run; it is not used.
    inferred = SimpleNamespace(start=datetime(2025, 1, 1, tzinfo=UTC), end=datetime(2025, 2, 1, tzinfo=UTC))
    stated = period(dag, inferred, kind, period_start=start, period_end=end)
    assert stated == period(dag, interval)
    assert stated.id == "2026-03-01/2026-04-01"

    def identity(run_type: str, interval: Any, period: Any = None) -> Any:
        run = SimpleNamespace(
            run_type=run_type,
            run_id="r",
            data_interval_start=interval.start,
            data_interval_end=interval.end,
        )
        return identity_of({"ti": SimpleNamespace(map_index=-1), "dag_run": run}, "bill", "", period)

    assert (
        identity(kind, inferred, stated) == identity("scheduled", interval) == identity("backfill", interval)
    )
    assert identity(kind, inferred) != identity("scheduled", interval)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, 'only scheduled and backfilled runs have one of their own. Run it with {"period_start"'),
        ({"period_start": "2026-03-01"}, "and not 'period_end'"),
        ({"period_start": "", "period_end": "2026-03-01"}, "and not 'period_start'"),
        ({"period_start": "2026-04-01", "period_end": "2026-03-01"}, "ends when or before it starts"),
        ({"period_start": "2026-03-01", "period_end": "2026-03-01"}, "ends when or before it starts"),
        ({"period_start": "March", "period_end": "2026-03-01"}, "'period_start' is 'March', expected a day"),
        ({"period_start": 1772319600000, "period_end": 1}, "'period_start' is 1772319600000, expected a day"),
        ({"period_start": "2026-03-29T02:30", "period_end": "2026-04-01"}, "does not exist in Europe/Berlin"),
        ({"period_start": "2026-10-25T02:30", "period_end": "2026-11-01"}, "is twice in Europe/Berlin"),
    ],
)
def test_periods_that_are_none(make: Any, params: dict[str, Any], message: str) -> None:
    from airflow_arazzo.operators.period import NoPeriod

    dag = make(schedule="@monthly", start_date=pendulum.datetime(2026, 3, 1, tz=BERLIN))
    with pytest.raises(NoPeriod) as raised:
        period(dag, None, "manual", **params)
    assert message in str(raised.value)


def test_a_scheduled_run_that_states_another_period(make: Any) -> None:
    from airflow_arazzo.operators.period import NoPeriod

    dag = make(schedule="@daily", start_date=datetime(2026, 3, 1, tzinfo=UTC), catchup=True)
    interval = stored(dag).next_dagrun_info(last_automated_run_info=None).data_interval
    same = {"period_start": "2026-03-01", "period_end": "2026-03-02"}
    assert period(dag, interval, **same).id == "2026-03-01/2026-03-02"
    with pytest.raises(NoPeriod, match="The run is for 2026-03-01/2026-03-02, and its params state"):
        period(dag, interval, "backfill", period_start="2026-03-02", period_end="2026-03-03")


def test_a_schedule_without_intervals(make: Any) -> None:
    from airflow.sdk import CronTriggerTimetable

    from airflow_arazzo.operators.period import NoPeriod

    dag = make(
        schedule=CronTriggerTimetable("@daily", timezone="UTC"), start_date=datetime(2026, 3, 1, tzinfo=UTC)
    )
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    with pytest.raises(NoPeriod, match="their data interval is empty"):
        period(dag, SimpleNamespace(start=moment, end=moment))


# --- the trigger form ------------------------------------------------------------------------------------


def test_the_form_asks_only_when_a_template_uses_the_period(make: Any) -> None:
    assert list(make(inputs={"start": 1}).params) == ["end", "name"]
    assert list(make(inputs={"start": "{{ periods }}", "name": "the period"}).params) == ["end"]
    assert list(make().params) == ["period_start", "period_end"]
    asked = ["period_start", "period_end", "end", "name"]
    assert list(make(inputs={"start": "{{ (period.start_ms) }}"}).params) == asked
    assert list(make(inputs={"start": 1}, identity="{{ period.id }}").params) == asked
    assert list(make(inputs={"start": "{% if period %}1{% endif %}"}).params) == asked


def test_the_form_requires_it_of_dags_without_a_schedule(make: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    manual, monthly = make(), make(schedule="@monthly", start_date=datetime(2026, 1, 1, tzinfo=UTC))
    monthly.validate()
    assert monthly.params.validate() == {"period_start": None, "period_end": None}
    with pytest.raises(ParamValidationError):
        manual.params.validate()
    for text in ("2026-03-01", "2026-03-01T06:00", "2026-03-01T06:00:00+01:00", "2026-03-01T06:00:00.5Z"):
        manual.params["period_start"] = manual.params["period_end"] = text
        manual.params.validate()
    with pytest.raises(ParamValidationError):
        monthly.params["period_start"] = "01.03.2026"


def test_an_input_of_the_same_name(tmp_path: Path) -> None:
    from airflow_arazzo import ArazzoDag
    from airflow_arazzo.dag import MissingInputs

    inputs = {"type": "object", "properties": {"period_start": {"type": "string"}, "x": {"type": "string"}}}
    document = write(tmp_path, workflow("w", {"stepId": "a"}, inputs=inputs), operations=["POST /a"])
    with pytest.raises(MissingInputs, match="has an input 'period_start', and that is also how"):
        ArazzoDag(document, inputs={"x": "{{ period.id }}"})
    ArazzoDag(document, inputs={"x": "{{ period.id }}", "period_start": "{{ period.start_date }}"})
    assert list(ArazzoDag(document).params) == ["period_start", "x"]


# --- runs ------------------------------------------------------------------------------------------------


def run(run_dag: Any, dag: Any, api: ScriptedApi, conf: Any = None, **kwargs: Any) -> Any:
    return run_dag(dag, conf, connections={"api": api.connection()}, **kwargs)


@pytest.fixture
def bill(workflow_dag: Any) -> Callable[..., Any]:
    return lambda **kwargs: workflow_dag(
        BILL, operations=["POST /a", "POST /b"], **{"inputs": BOUND, **kwargs}
    )


def test_a_manual_run_sends_the_period_that_it_states(bill: Any, run_dag: Any, api: ScriptedApi) -> None:
    conf = {"period_start": "2026-03-01", "period_end": "2026-04-01"}
    ran = run(run_dag, bill(), api, conf)
    assert ran.state == "success"
    sent = {"start": 1772323200000, "end": 1775001600000, "name": "2026-03-01/2026-04-01"}
    assert [json.loads(body or "null") for body in api.bodies] == [sent, None]


def test_a_manual_run_without_a_period_sends_nothing(bill: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Airflow infers an interval from the logical date; no retries are spent on it."""
    dag = bill(schedule="@daily", default_args={"retries": 3})
    ran = run(run_dag, dag, api, logical_date=pendulum.datetime(2026, 3, 1, tz="UTC"))
    assert ran.state == "failed"
    assert ran.states == {"a": "failed", "b": "upstream_failed"}
    assert "Nothing was sent. The DAG uses the period that a run is for" in ran.log
    assert api.requests == []


def test_a_scheduled_run_sends_its_data_interval(
    document: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunType

    made = DagRun.__init__

    def as_scheduled(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **{**kwargs, "run_type": DagRunType.SCHEDULED})

    monkeypatch.setattr(DagRun, "__init__", as_scheduled)
    source = (
        "import pendulum\n"
        "from airflow_arazzo import ArazzoDag\n"
        "start = pendulum.datetime(2026, 3, 1, tz='Europe/Berlin')\n"
        f"dag = ArazzoDag({str(document)!r}, inputs={BOUND!r}, schedule='@daily', start_date=start)\n"
    )
    dag = dag_file("daily", source).dag
    # dag.test() gives a run the day before its logical date.
    ran = run(run_dag, dag, api, logical_date=pendulum.datetime(2026, 3, 30, tz=BERLIN))
    assert ran.state == "success", ran.log
    day = json.loads(api.bodies[0])
    assert day["name"] == "2026-03-29/2026-03-30"
    assert day["end"] - day["start"] == 23 * 3_600_000


GROUP = """\
from airflow.sdk import DAG, Param
from airflow_arazzo import ArazzoTaskGroup
params = {{name: Param(None, type=["null", "string"]) for name in ("period_start", "period_end")}}
with DAG("host", params=params) as dag:
    ArazzoTaskGroup({document!r}, inputs={inputs!r})
"""


@pytest.mark.parametrize("inputs", [BOUND, {"start": 1}], ids=["uses it", "does not"])
def test_a_task_group(
    document: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, inputs: dict[str, Any]
) -> None:
    dag = dag_file("host", GROUP.format(document=str(document), inputs=inputs)).dag
    uses = inputs is BOUND
    assert run(run_dag, dag, api).state == ("failed" if uses else "success")
    before = len(api.requests)
    assert before == (0 if uses else 2)
    ran = run(run_dag, dag, api, {"period_start": "2026-03-01", "period_end": "2026-03-02"})
    assert ran.state == "success"
    assert json.loads(api.bodies[before]).get("name") == ("2026-03-01/2026-03-02" if uses else None)


def test_a_mapped_task_group(document: Path, dag_file: Any, run_dag: Any, api: ScriptedApi) -> None:
    source = (
        "from airflow.sdk import DAG, Param, task_group\n"
        "from airflow_arazzo import ArazzoTaskGroup\n"
        'with DAG("host", params={"period_start": "2026-03-01", "period_end": "2026-03-02"}) as dag:\n'
        "    @task_group\n"
        "    def each(x):\n"
        f"        ArazzoTaskGroup({str(document)!r}, inputs={{**{BOUND!r}, 'end': x}})\n"
        "    each.expand(x=[1, 2])\n"
    )
    ran = run(run_dag, dag_file("host", source).dag, api)
    assert ran.state == "success"
    sent = [json.loads(body) for body in api.bodies if body]
    assert sorted((each["name"], each["end"]) for each in sent) == [
        ("2026-03-01/2026-03-02", 1),
        ("2026-03-01/2026-03-02", 2),
    ]
