"""For a DAG file: tasks of both kinds with the same calls, each of which tells how long its ``execute`` took.

What is to be run stands in the environment, see :mod:`bench.contenders.calls`. A task tells a line of JSON.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG

from airflow_arazzo import ArazzoTaskGroup
from airflow_arazzo.operators.step import ArazzoStepOperator
from bench.contenders.calls import DOCUMENT, KINDS, TIMED, TIMES, TOLD, UNIQUE, by_hand


def tasks() -> DAG:
    """The DAG: one task at a time, the kinds in turns."""
    for operator in (HttpOperator, ArazzoStepOperator):
        setattr(operator, "execute", _telling(operator.execute))  # noqa: B010 - mypy calls it a method
    with DAG(TIMED, schedule=None, max_active_tasks=1) as dag:
        times = int(os.environ[TIMES])
        for number in range(times):
            turn = {"priority_weight": times - number, "weight_rule": "absolute"}
            for kind in KINDS:
                by_hand(kind, f"{kind}-by-hand-{number}", **turn)
                for ledger in ("on", "off"):
                    ArazzoTaskGroup(
                        os.environ[DOCUMENT],
                        kind,
                        group_id=f"{kind}-{ledger}-{number}",
                        inputs={"customerId": "c"},
                        idempotency=UNIQUE if kind == "writes" else None,
                        ledger=ledger == "on",
                        default_args=turn,
                    )
    return dag


def _telling(execute: Any) -> Any:
    def timed(self: Any, context: Any) -> Any:
        began = time.perf_counter()
        result = execute(self, context)
        took = (time.perf_counter() - began) * 1000
        kind = self.task_id.partition("-")[0]
        way = "HttpOperator"
        if isinstance(self, ArazzoStepOperator):
            way = f"ledger {'on' if self.ledger else 'off'}"
        with Path(os.environ[TOLD]).open("a") as told:
            told.write(json.dumps([f"{kind}, {way}", took]) + "\n")
        return result

    return timed
