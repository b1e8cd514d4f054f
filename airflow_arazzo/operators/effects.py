"""Tasks and the ledger: where it is, and what makes an effect of a run the same effect again."""

from __future__ import annotations

import os
from datetime import UTC
from functools import cache
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.location import CONN_ID, default_url, url_from_connection
from airflow_arazzo.ledger.store import Store

_PERIODIC = frozenset({"scheduled", "backfill"})


def open_book() -> Book:
    """The ledger: the database of connection ``arazzo_ledger``, else a SQLite file of its own.

    :raises NoLedger: when there is no such connection and the executor's machines could not share a file.
    """
    try:
        found = BaseHook.get_connection(CONN_ID)
    except AirflowNotFoundException:
        return Book(_store(default_url(os.environ, conf.get("core", "executor"))))
    url = url_from_connection(
        found.conn_type or "",
        found.host or "",
        found.port,
        found.schema or "",
        found.login or "",
        found.password or "",
    )
    return Book(_store(url))


@cache
def _store(url: str) -> Store:
    """One store for each database and process."""
    return Store(url)


def identity_of(context: Any, namespace: str, stated: str = "") -> Identity:
    """What a run is for.

    Scheduled and backfilled runs are for their data interval: whoever runs that period again means the same
    effects. Any other run is for itself, also where Airflow infers an interval for it: two provisionings
    on one afternoon are two.

    :param namespace: DAG id and group path.
    :param stated: a period or anything else that the DAG's author gives as ``identity``.
    """
    if stated:
        return Identity(namespace, f"stated {stated}")
    run = context["dag_run"]
    kind = str(getattr(run.run_type, "value", run.run_type))
    start, end = run.data_interval_start, run.data_interval_end
    if kind in _PERIODIC and start is not None and end is not None:
        return Identity(namespace, f"{_utc(start)}/{_utc(end)}")
    return Identity(namespace, f"run {run.run_id}")


def _utc(moment: Any) -> str:
    """A moment as text that is the same whatever time zone it came with."""
    return str(moment.astimezone(UTC).isoformat())
