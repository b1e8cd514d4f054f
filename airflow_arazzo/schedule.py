"""Schedules: what users write, with real data intervals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, DeltaDataIntervalTimetable

_NOT_CRON = frozenset({"@once", "@continuous"})


def with_data_intervals(schedule: Any, timezone: Any = "UTC") -> Any:
    """The schedule with a data interval for every run.

    Airflow 3 makes a timetable without intervals of a cron text or a ``timedelta``: start and end of each
    run's period are then the same moment. Workflows that bill for a period need the period.

    :param timezone: where a cron text counts its hours: a name, or a timezone object.
    :return: a timetable for cron texts, presets such as ``@daily`` and ``timedelta``; anything else as is.
    """
    if isinstance(schedule, str) and schedule not in _NOT_CRON:
        return CronDataIntervalTimetable(schedule, timezone=timezone)
    if isinstance(schedule, timedelta):
        return DeltaDataIntervalTimetable(schedule)
    return schedule
