"""What a task tells Airflow's metrics, and traces where they are on. Off, there is no observation at all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats

from airflow_arazzo.engine.machine import Done
from airflow_arazzo.engine.observe import Fate, UnderWay, quietly
from airflow_arazzo.engine.outcomes import OUTCOME_UNKNOWN
from airflow_arazzo.operators.traces import RequestSpan, tracer_in_use

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from airflow_arazzo.engine.connection import Connection
    from airflow_arazzo.engine.machine import Send, Wait
    from airflow_arazzo.engine.messages import Response
    from airflow_arazzo.engine.wire import Wire
    from airflow_arazzo.rows.states import Place

_BACKENDS = ("statsd_on", "statsd_datadog_enabled", "otel_on")
"""Options of ``[metrics]`` of which any switches metrics on."""


class Metrics:
    """Counters and timers, by Airflow's own way of sending them.

    Tags have few values: what comes from rows, inputs and responses is never among them.

    :param tags: of every metric: DAG and task.
    """

    def __init__(self, tags: dict[str, str]) -> None:
        self._tags = tags

    def count(self, name: str, count: int = 1, tags: Mapping[str, str] | None = None) -> None:
        """Add to a counter."""
        stats.incr(f"arazzo.{name}", count, tags=self._tagged(tags or {}))

    def took(self, name: str, seconds: float, tags: Mapping[str, str]) -> None:
        """Tell a duration."""
        stats.timing(f"arazzo.{name}", seconds * 1000, tags=self._tagged(tags))

    def _tagged(self, tags: Mapping[str, str]) -> dict[str, str]:
        # A document may call its sources what it likes; the wire form of StatsD does not take that.
        clean = stats.normalize_name_for_stats
        return {**self._tags, **{name: clean(value, log_warning=False) for name, value in tags.items()}}


@cache
def metrics_are_on() -> bool:
    """Whether Airflow sends metrics. Its settings are those of a process, and reading one takes a while."""
    return any(conf.getboolean("metrics", option, fallback=False) for option in _BACKENDS)


def metrics_in_use(context: Any) -> Metrics | None:
    """Metrics of a task; None when Airflow sends none."""
    if not metrics_are_on():
        return None
    ti = context["ti"]
    tags = getattr(ti, "stats_tags", None) or {"dag_id": ti.dag_id, "task_id": ti.task_id}
    return Metrics(dict(tags))


class Observation:
    """What one attempt at a task tells; an :class:`~airflow_arazzo.engine.observe.Observer`."""

    def __init__(self, metrics: Metrics | None, tracer: Tracer | None) -> None:
        self._metrics = metrics
        self._tracer = tracer

    def sending(self, under_way: UnderWay, wire: Wire, secrets: Iterable[str]) -> SentRequest:
        """A request is about to be sent."""
        span = RequestSpan(self._tracer, under_way, wire, secrets) if self._tracer is not None else None
        return SentRequest(self._metrics, span, under_way, wire.method)

    def retried(self, command: Send) -> None:
        """A ``retry`` action sends a request again."""
        if self._metrics is not None:
            self._metrics.count("retries", tags=_tags_of(command))

    def replayed(self, command: Send) -> None:
        """A request is not sent, since the ledger has its response."""
        if self._metrics is not None:
            self._metrics.count("replays", tags=_tags_of(command))

    def ended(self, done: Done | Wait) -> None:
        """The steps of a task, or of one of its rows, have ended, or wait for longer."""
        failure = done.failure if isinstance(done, Done) else None
        if failure is not None and failure.code == OUTCOME_UNKNOWN and self._metrics is not None:
            quietly(self._metrics.count, "unknown_outcomes")

    def rows(self, places: Iterable[Place], *, last_try: bool) -> None:
        """Where rows have come to; those that go on, or that another attempt begins with, are not counted.

        :param last_try: whether Airflow will not run the task again by itself.
        """
        if self._metrics is None:
            return
        counted = Counter(
            "done" if place.standing == "ended" else "failed"
            for place in places
            if place.standing == "ended" or (place.standing == "failed" and (last_try or not place.again))
        )
        for name, count in counted.items():
            quietly(self._metrics.count, f"rows.{name}", count)


class SentRequest:
    """One HTTP request; a :class:`~airflow_arazzo.engine.observe.Sent`."""

    def __init__(
        self, metrics: Metrics | None, span: RequestSpan | None, under_way: UnderWay, method: str
    ) -> None:
        self._metrics = metrics
        self._span = span
        self._tags = {"source": under_way.source, "method": method, "purpose": under_way.purpose}
        self._began = time.monotonic()
        self.traceparent = span.traceparent if span is not None else ""

    def answered(self, response: Response) -> None:
        """Count the request by the class of its status."""
        if self._span is not None:
            self._span.answered(response.status)
        self._count(f"{response.status // 100}xx")

    def failed(self, fate: Fate, kind: str, message: str) -> None:
        """Count the request by what is known of it."""
        if self._span is not None:
            self._span.failed(fate, kind, message)
        self._count(fate)

    def _count(self, status: str) -> None:
        if self._metrics is not None:
            tags = {**self._tags, "status": status}
            self._metrics.count("requests", tags=tags)
            self._metrics.took("request.duration", time.monotonic() - self._began, tags)


def _tags_of(command: Send) -> dict[str, str]:
    return {"source": command.request.source, "method": command.request.method}


def observation(context: Any, connections: Iterable[Connection]) -> Observation | None:
    """What to tell of a task; None when metrics and traces are off.

    :param connections: of the task's sources.
    """
    tracer = tracer_in_use(propagates=any(each.propagate_trace for each in connections))
    metrics = metrics_in_use(context)
    return Observation(metrics, tracer) if metrics is not None or tracer is not None else None


def count_set_aside(context: Any, count: int) -> None:
    """Tell how many rows are not accepted and left out."""
    metrics = metrics_in_use(context) if count else None
    if metrics is not None:
        quietly(metrics.count, "rows.set_aside", count)
