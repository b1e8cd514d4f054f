"""Tasks that are ended from outside while rows are under way: by their time limit, and by a signal."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from scripted import Answer, Received, ScriptedApi
from test_batch import batch_dag, pay, rows

__all__ = ["batch_dag"]

QUICK = 5
"""Requests that are answered before something happens."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Airflow leaves its handlers of signals in the process."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGALRM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def outcomes(dag: Any) -> Counter[str]:
    from airflow_arazzo.operators.effects import open_book

    return Counter(str(entry.outcome) for entry in open_book().store.entries(run=dag.dag_id, limit=100))


def chunk_of(dag: Any) -> Any:
    task = dag.get_task("chunks.a")
    task.retries = 0
    return task


def test_a_time_limit_ends_a_batch(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Nobody waits for ever, and the ledger has for each row what is known of it."""
    over = threading.Event()

    def decide(request: Received) -> Answer:
        if len(api.requests) > QUICK:
            over.wait(20)
        return Answer(200, {"n": 1})

    api.decide = decide
    dag = batch_dag(pay(), for_each=rows(20), concurrency=4, dag_id="batch_with_a_time_limit")
    chunk_of(dag).execution_timeout = timedelta(seconds=3)
    began = time.monotonic()
    ran = run_dag(dag, connections={"api": api.connection()})
    took = time.monotonic() - began
    over.set()
    assert ran.states["chunks.a"] == "failed", ran.log
    assert "AirflowTaskTimeout" in ran.log
    assert took < 15
    assert outcomes(dag) == {"effect": QUICK, "intent": 4}
    assert len(api.requests) == QUICK + 4


def test_a_task_that_is_to_end_begins_no_further_row(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """As when somebody clears it while it runs: what is under way may end, and is written down."""

    def decide(request: Received) -> Answer:
        if len(api.requests) == QUICK:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
        return Answer(200, {"n": 1})

    api.decide = decide
    dag = batch_dag(pay(), for_each=rows(40), concurrency=4, dag_id="batch_ended_from_outside")
    chunk_of(dag)
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states["chunks.a"] == "failed", ran.log
    assert "row(s) were not begun" in ran.log
    sent = len(api.requests)
    assert QUICK <= sent <= QUICK + 4
    assert outcomes(dag) == {"effect": sent}
