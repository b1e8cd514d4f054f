"""``python -m bench.scheduled``: one request for each row, by Airflow's own operator under a real scheduler.

``HttpOperator`` is mapped over the rows, one task for each, in an Airflow such as the demonstration has
(SQLite, LocalExecutor, eight tasks at once). The same rows go through a batch in the same Airflow. Rows per
second are those of whole runs, from their start to their end as the scheduler has them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import datetime
from typing import Any
from urllib.parse import quote

from bench.batch import create_customer
from bench.engine import KEY, sandbox
from bench.in_airflow import airflow_at_work

_DAGS = """
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG

from airflow_arazzo import ArazzoDag

ROWS = {rows}

with DAG("mapped", schedule=None, max_active_tasks=8) as mapped:
    HttpOperator.partial(
        task_id="read", http_conn_id="plain", method="GET", headers=dict([("X-API-KEY", {key!r})])
    ).expand(endpoint=["customers/c"] * ROWS)

ArazzoDag(
    "{{folder}}/bench.arazzo.json",
    "reads",
    dag_id="batch",
    for_each=[dict(customerId="c", number=number) for number in range(ROWS)],
    row_key="number",
)
"""


def measure(rows: int) -> dict[str, float]:
    """Rows per second of both."""
    found: dict[str, float] = {}
    with sandbox() as url:
        asyncio.run(create_customer(url))
        file, most = _DAGS.format(rows=rows, key=KEY), {"AIRFLOW__CORE__MAX_MAP_LENGTH": "10000"}
        with airflow_at_work(url, file, {"mapped", "batch"}, most) as (airflow, _):
            for dag_id in ("batch", "mapped"):
                run_id = airflow.trigger(dag_id, {})
                states = airflow.wait_for_runs({dag_id: run_id}, seconds=3600)
                if states[dag_id] != "success":
                    raise RuntimeError(f"{dag_id} ended as {states[dag_id]}")
                path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"
                found[dag_id] = rows / _seconds(airflow.api("GET", path))
    return {name: round(rate, 2) for name, rate in found.items()}


def _seconds(run: dict[str, Any]) -> float:
    began, ended = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
    return (ended - began).total_seconds()


def main(argv: list[str] | None = None) -> int:
    """Measure and print a line of JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scheduled", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rows", type=int, default=500)
    rows = parser.parse_args(argv).rows
    found = measure(rows)
    print(f"HttpOperator, mapped over {rows} rows: {found['mapped']:.1f} rows per second")
    print(f"batch of {rows} rows, whole run: {found['batch']:.1f} rows per second")
    print(json.dumps({"rows": rows, "rows_per_second": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
