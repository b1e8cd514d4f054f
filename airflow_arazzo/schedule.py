"""Schedules: what users write, with real data intervals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, DeltaDataIntervalTimetable, timezone
from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]
from pendulum.tz.timezone import FixedTimezone, Timezone

_NOT_CRON = frozenset({"@once", "@continuous"})


def with_data_intervals(schedule: Any, start_date: Any = None) -> Any:
    """The schedule with a data interval for every run.

    Airflow 3 makes a timetable without intervals of a cron text or a ``timedelta``: start and end of each
    run's period are then the same moment. Workflows that bill for a period need the period.

    :param start_date: of the DAG, a ``datetime`` or text of one. A cron text counts its hours in the time
        zone of it, as in any DAG, else in ``[core] default_timezone``.
    :return: a timetable for cron texts, presets such as ``@daily``, ``timedelta`` and ``relativedelta``;
        anything else as is.
    """
    if isinstance(schedule, str) and schedule not in _NOT_CRON:
        return CronDataIntervalTimetable(schedule, timezone=_zone(start_date))
    if isinstance(schedule, timedelta | relativedelta):
        return DeltaDataIntervalTimetable(schedule)
    return schedule


def _zone(start_date: Any) -> Timezone | FixedTimezone:
    # What a DAG itself does with its start date; it decides before a timetable can be asked for.
    moment = timezone.parse(start_date) if isinstance(start_date, str) else start_date
    return DAG("zone", schedule=None, start_date=moment).timezone
