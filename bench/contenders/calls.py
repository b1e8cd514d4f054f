"""The calls that tasks of both kinds make, as one writes them with ``HttpOperator``.

Nothing of Airflow is loaded before the first of them is made: who measures needs the names alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bench.batch import EVENT
from bench.engine import KEY

if TYPE_CHECKING:
    from airflow.providers.http.operators.http import HttpOperator

KINDS = ("reads", "writes")

UNIQUE = {"api.write": {"body": "uniqueId"}}
"""By what the service tells a repeated write; ``HttpOperator`` gets its value from a template."""

TIMED = "timed"
"""The DAG of :mod:`bench.contenders.timed`."""

DOCUMENT, TIMES, TOLD = "BENCH_DOCUMENT", "BENCH_TIMES", "BENCH_TOLD"
"""Environment variables for it: the document, how many tasks of each kind, and the file to tell them to."""

_COMMON: dict[str, Any] = {
    "http_conn_id": "plain",
    "response_check": lambda response: response.status_code == 200,
    "response_filter": lambda response: {"name": response.json()["customerName"]},
}


def by_hand(kind: str, task_id: str, **options: Any) -> HttpOperator:
    """A read or a write, in the DAG or group around the call."""
    from airflow.providers.http.operators.http import HttpOperator

    key, common = {"X-API-KEY": KEY}, {**_COMMON, **options}
    if kind == "reads":
        return HttpOperator(task_id=task_id, method="GET", endpoint="customers/c", headers=key, **common)
    return HttpOperator(
        task_id=task_id,
        method="POST",
        endpoint="ingest",
        data=json.dumps({"customerId": "c", **EVENT, "uniqueId": "{{ run_id }}"}),
        headers={**key, "Content-Type": "application/json"},
        **common,
    )


def connections(url: str) -> dict[str, dict[str, str]]:
    """Airflow's connections that the tasks need: ``plain`` for ``HttpOperator``, ``api`` for ours."""
    return {
        "plain": {"conn_type": "http", "host": url},
        "api": {"conn_type": "arazzo", "host": url, "password": KEY},
    }
