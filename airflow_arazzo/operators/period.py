"""The period that a run bills: for templates, and for the identity of what the run does.

Airflow gives no values of one's own to templates, except macros of the whole DAG, which cannot know the run.
So the operators put ``period`` into the context when they render their templates. That works in an
``ArazzoDag``, in an ``ArazzoTaskGroup`` inside anybody's DAG, and in mapped tasks alike.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any, NoReturn

import pendulum
from airflow.sdk.exceptions import AirflowFailException
from jinja2 import Environment, TemplateError, meta

NAME = "period"
"""What templates call the period."""

START, END = "period_start", "period_end"
"""Params by which a run without a period of its own states one."""

PERIODIC = frozenset({"scheduled", "backfill"})
"""Types of runs whose data interval is their period; that of others was only inferred."""

_EXAMPLE = f'{{"{START}": "2026-03-01", "{END}": "2026-04-01"}}'


RUN_KEY = "run_key"
"""What templates call the key of the run."""


class NoPeriod(ValueError):
    """A run has no period, or states one that cannot be read. The message says what to do."""


@dataclass(frozen=True, eq=False)
class Period:
    """A period, from its first moment to the first moment after it.

    As text it is its :attr:`id`.

    :param start: in the time zone of the schedule, of the type that ``data_interval_start`` has.
    :param end: likewise; the next period starts then.
    """

    start: pendulum.DateTime
    end: pendulum.DateTime

    @classmethod
    def between(cls, start: datetime, end: datetime, zone: tzinfo) -> Period:
        """The period between two aware moments."""
        return cls(_in_zone(start, zone), _in_zone(end, zone))

    def __eq__(self, other: object) -> bool:
        # Two moments of one zone are compared by their clock times, which come twice in autumn.
        return isinstance(other, Period) and self._moments == other._moments

    def __hash__(self) -> int:
        return hash(self._moments)

    @property
    def _moments(self) -> tuple[int, int]:
        return self.start_ms, self.end_ms

    @property
    def start_ms(self) -> int:
        """The start in milliseconds since 1970-01-01 00:00 UTC."""
        return _milliseconds(self.start)

    @property
    def end_ms(self) -> int:
        """The end in milliseconds since 1970-01-01 00:00 UTC."""
        return _milliseconds(self.end)

    @property
    def start_date(self) -> date:
        """The day on which it starts, in the time zone of the schedule."""
        return self.start.date()

    @property
    def end_date(self) -> date:
        """The day on which it ends: of a month the first of the next one."""
        return self.end.date()

    @property
    def id(self) -> str:
        """Text that is the same whichever run bills the period, such as ``2026-03-01/2026-04-01``.

        Of days where both ends are midnight, otherwise of moments with their offsets.
        """
        moments = (self.start, self.end)
        if all((m.hour, m.minute, m.second, m.microsecond) == (0, 0, 0, 0) for m in moments):
            return "/".join(m.date().isoformat() for m in moments)
        return "/".join(m.isoformat() for m in moments)

    def __str__(self) -> str:
        return self.id


class Missing:
    """What templates get in place of a period: whoever asks it for anything fails with the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._fail()

    def __str__(self) -> str:
        self._fail()

    def _fail(self) -> NoReturn:
        raise AirflowFailException(f"Nothing was sent. {self._reason}")


def with_period(context: Any, dag: Any) -> Any:
    """The context of a run with its period as ``period``."""
    if isinstance(context.get(NAME), Period | Missing):
        return context
    try:
        found: Period | Missing = period_of(context, dag)
    except NoPeriod as error:
        found = Missing(str(error))
    return {**context, NAME: found}


def period_of(context: Any, dag: Any) -> Period:
    """The period of a run: its data interval if it is scheduled or backfilled, else what it states.

    :raises NoPeriod: when there is none.
    """
    zone = zone_of(dag)
    stated = stated_period(context, dag)
    run = context["dag_run"]
    if str(getattr(run.run_type, "value", run.run_type)) not in PERIODIC:
        if stated is None:
            raise NoPeriod(
                "The DAG uses the period that a run is for, and only scheduled and backfilled runs have one "
                f"of their own. Run it with {_EXAMPLE}; the end is the first moment after the period."
            )
        return stated
    start, end = run.data_interval_start, run.data_interval_end
    if start is None or end is None or start >= end:
        raise NoPeriod(
            "The DAG uses the period that a run is for, and its schedule gives runs none: their data "
            "interval is empty. Give the DAG a CronDataIntervalTimetable or a DeltaDataIntervalTimetable."
        )
    period = Period.between(start, end, zone)
    if stated is not None and stated != period:
        raise NoPeriod(f"The run is for {period}, and its params state {stated}. Leave them out.")
    return period


def stated_period(context: Any, dag: Any) -> Period | None:
    """The period that a run states with its params; None when it states none.

    :raises NoPeriod: when it states half of one, or what it states cannot be read.
    """
    params = context["params"]
    given = {name: params[name] for name in (START, END) if name in params and params[name] not in (None, "")}
    if not given:
        return None
    for name in (START, END):
        if name not in given:
            raise NoPeriod(f"The run states one end of its period, and not {name!r}. Run it with {_EXAMPLE}.")
    zone = zone_of(dag)
    period = Period.between(_moment(START, given[START], zone), _moment(END, given[END], zone), zone)
    if period.start_ms >= period.end_ms:
        raise NoPeriod(f"The run states a period that ends when or before it starts: {period}.")
    return period


def zone_of(dag: Any) -> tzinfo:
    """The time zone in which a DAG's schedule counts days."""
    zone = getattr(dag.timetable, "timezone", None)
    if isinstance(zone, str):
        return pendulum.timezone(zone)
    found: tzinfo = zone if isinstance(zone, tzinfo) else dag.timezone
    return found


def _moment(name: str, value: Any, zone: tzinfo) -> datetime:
    """A moment that a param states; without an offset it is in the time zone of the schedule."""
    try:
        stated = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise NoPeriod(
            f"{name!r} is {value!r}, expected a day such as 2026-03-01 or a moment such as "
            "2026-03-01T00:00:00+01:00."
        ) from None
    if stated.tzinfo is not None:
        return stated
    moment = stated.replace(tzinfo=zone)
    there = moment.astimezone(UTC).astimezone(zone)
    if there.replace(tzinfo=None) != stated:
        raise NoPeriod(f"{name!r} is {value}, which does not exist in {zone}: clocks go forward then.")
    if moment.utcoffset() != moment.replace(fold=1).utcoffset():
        raise NoPeriod(f"{name!r} is {value}, which is twice in {zone}: add its offset, such as +01:00.")
    return there


def uses_period(*values: Any) -> bool:
    """Whether a Jinja template among values uses the period."""
    return uses(NAME, *values)


def uses(name: str, *values: Any) -> bool:
    """Whether a Jinja template among values uses a variable."""
    return any(_mentions(name, text) for value in values for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _texts(item)


def _mentions(name: str, text: str) -> bool:
    if name not in text or "{" not in text:
        return False
    try:
        return name in meta.find_undeclared_variables(_JINJA.parse(text))
    except TemplateError:
        # An extension of the DAG's environment, or a mistake that rendering will show.
        return True


_JINJA = Environment()  # noqa: S701 - nothing is rendered


def _in_zone(moment: datetime, zone: tzinfo) -> pendulum.DateTime:
    return pendulum.instance(moment.astimezone(UTC)).astimezone(zone)


def _milliseconds(moment: datetime) -> int:
    return calendar.timegm(moment.utctimetuple()) * 1000 + moment.microsecond // 1000
