"""Tasks and the ledger: where it is, and what makes an effect of a run the same effect again."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import UTC
from functools import cache
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.keys import Identity, run_key
from airflow_arazzo.ledger.location import (
    CONN_ID,
    default_url,
    environment_url,
    password_in,
    stated_url,
    store_at,
    url_from_connection,
)
from airflow_arazzo.ledger.retention import keep_house
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.operators.period import PERIODIC, Period


class RunKey:
    """The key of a run in templates: text that is the same for schedule, retry, clear and backfill.

    For inputs that a service recognises repeated requests by, where the document hands them over itself.

    :param identity: gives the run's identity, once it is wanted.
    """

    def __init__(self, identity: Callable[[], Identity]) -> None:
        self._identity = identity

    def __str__(self) -> str:
        return run_key(self._identity())


HOUSE_KEEPERS = 0.02
"""The share of those who open the ledger that see to old responses: it is a question for each task."""


def open_book() -> Book:
    """The ledger: see :func:`ledger_url`.

    :raises LedgerUnavailable: when it cannot be used, also for a SQLite file under executors whose tasks
        may run on several machines.
    """
    store = _store(ledger_url(), executor())
    if random.random() < HOUSE_KEEPERS:  # noqa: S311 - no secret
        keep_house(store, os.environ)
    return Book(store)


def ledger_url(get_connection: Callable[[str], Any] = BaseHook.get_connection) -> str:
    """URL of the ledger's database, password included.

    ``ARAZZO_LEDGER`` comes first, as it does for commands outside of Airflow, and takes no question to the
    API server; then the connection ``arazzo_ledger``, then the SQLite file.

    :param get_connection: gives the connection of an id, or raises ``AirflowNotFoundException``.
    :raises LedgerUnavailable: when it cannot be used, also for a SQLite file under executors whose tasks
        may run on several machines.
    """
    stated = stated_url(os.environ)
    if stated:
        if password := password_in(stated):
            mask_secret(password)
        return stated
    try:
        found = get_connection(CONN_ID)
    except AirflowNotFoundException:
        return environment_url(os.environ) or default_url(os.environ, executor())
    url = url_from_connection(
        conn_type=found.conn_type or "",
        host=found.host,
        schema=found.schema,
        port=found.port,
        login=found.login,
        password=found.password,
        extra=found.extra_dejson,
    )
    if found.password:
        mask_secret(found.password)
    return url


@cache
def executor() -> str:
    """Airflow's executors, as its settings name them; they are those of a process."""
    return str(conf.get("core", "executor"))


@cache
def _store(url: str, executor: str) -> Store:
    """One store for each database and process."""
    return store_at(url, executor)


def identity_of(context: Any, namespace: str, stated: str = "", period: Period | None = None) -> Identity:
    """What a run is for.

    Scheduled and backfilled runs are for their data interval: whoever runs that period again means the same
    effects, also a run that states it. Any other run is for itself, also where Airflow infers an interval
    for it: two provisionings on one afternoon are two.

    :param namespace: what tells this use of a workflow from others; by default DAG id and group path.
    :param stated: what the DAG's author gives as ``identity``.
    :param period: the period that the run states.
    """
    index = getattr(context["ti"], "map_index", -1)
    # Mapped tasks are told apart by their place in the list. A list that has changed meanwhile shows as
    # another request for the same effect, and stops the task, unless ``identity`` names the row.
    row = f"map {index}" if isinstance(index, int) and index >= 0 and not stated else ""
    if stated:
        return Identity(namespace, f"stated {stated}")
    run = context["dag_run"]
    kind = str(getattr(run.run_type, "value", run.run_type))
    start, end = run.data_interval_start, run.data_interval_end
    if kind not in PERIODIC and period is not None:
        return Identity(namespace, f"{_utc(period.start)}/{_utc(period.end)}", row)
    if kind in PERIODIC and start is not None and end is not None:
        return Identity(namespace, f"{_utc(start)}/{_utc(end)}", row)
    return Identity(namespace, f"run {run.run_id}", row)


def _utc(moment: Any) -> str:
    """A moment as text that is the same whatever time zone it came with."""
    return str(moment.astimezone(UTC).isoformat())
