"""``python -m bench.contenders.tasks FOLDER URL``: tasks of both kinds, run as Airflow's task runner does.

One process has them all. What stands for Airflow's supervisor answers at once, to both alike.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import sqlite3
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import airflow.sdk.execution_time.supervisor  # noqa: F401 - what forks tasks, so that every task has it
import structlog
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.context import set_current_context

import airflow_arazzo.preload  # noqa: F401 - as HttpOperator, whose module has loaded all that it needs
from airflow_arazzo.dag import ArazzoDag
from airflow_arazzo.ledger.sqlite import Connections
from bench.batch import plan_of
from bench.contender import serve
from bench.contenders.calls import KINDS, UNIQUE, by_hand, connections
from bench.contenders.forked import forked
from bench.contenders.supervisor import Supervisor, instance
from bench.contenders.workflow import DOCUMENT, inputs


class _Nothing(BaseOperator):
    """A task that does nothing: what Airflow sends for it is Airflow's own."""

    def execute(self, context: Any) -> dict[str, str]:
        return {"done": "yes"}


class Tasks:
    """The tasks, and what is asked about them."""

    def __init__(self, folder: Path, url: str) -> None:
        known = connections(url)
        self._supervisor = Supervisor({**known, "billingApi": known["api"]})
        task_runner.SUPERVISOR_COMMS = self._supervisor  # type: ignore[assignment]
        self._log = structlog.get_logger(logger_name="task")
        self._runs = (f"manual__{os.getpid()}-{number}" for number in itertools.count())
        self._tasks = {**_by_hand(), **_ours(folder), "nothing": _nothing()}
        self._chain = ArazzoDag(DOCUMENT)

    def execute(self, name: str, times: int) -> float:
        """Milliseconds of ``execute`` alone, each time as another run."""
        return statistics.median(self._executed(name) for _ in range(times))

    def processor(self, name: str, times: int) -> float:
        """Milliseconds of the processor's time in ``execute``: what other processes do is not in them."""
        return sum(self._executed(name, time.process_time) for _ in range(times)) / times

    def first(self, name: str) -> float:
        """Milliseconds of the processor's time in ``execute``, in a process forked for it as a task's is."""
        return float(forked(lambda: self._executed(name, time.process_time)))

    def task(self, name: str, times: int) -> float:
        """Milliseconds of the processor's time for all that the task runner does, to its report."""
        began = time.process_time()
        for _ in range(times):
            self._run(self._tasks[name])
        return (time.process_time() - began) / times * 1000

    def messages(self) -> dict[str, dict[str, int]]:
        """What tasks send to their supervisor, by task and kind of message."""
        found = {name: self._sent(self._tasks[name], {}) for name in self._tasks}
        conf, run_id = inputs(), next(self._runs)
        for task in self._chain.steps.values():
            found[f"step {task.task_id}"] = self._sent(task, conf, run_id)
        return found

    def upstream(self) -> dict[str, int]:
        """Of how many tasks a step of the workflow reads the outputs."""
        return {
            f"step {name}": len({task for read in step.component.needs.reads for task in read.tasks})
            for name, step in self._chain.steps.items()
        }

    def statements(self, name: str) -> dict[str, int]:
        """What goes to the ledger's database, by first word, in a second run of a task."""
        self._run(self._tasks[name])
        return self._stated(name)

    def first_statements(self, name: str) -> dict[str, int]:
        """The same for the first run of a process, in which nothing is open yet."""
        found: dict[str, int] = forked(lambda: self._stated(name))
        return found

    def _stated(self, name: str) -> dict[str, int]:
        found: Counter[str] = Counter()

        real = Connections.borrowed

        @contextmanager
        def traced(self: Connections) -> Iterator[sqlite3.Connection]:
            with real(self) as connection:
                connection.set_trace_callback(lambda text: found.update([text.split()[0].upper()]))
                yield connection

        Connections.borrowed = traced  # type: ignore[method-assign]
        try:
            self._run(self._tasks[name])
        finally:
            Connections.borrowed = real  # type: ignore[method-assign]
        return dict(found)

    def _executed(self, name: str, clock: Callable[[], float] = time.perf_counter) -> float:
        ti = instance(self._tasks[name], next(self._runs))
        context = ti.get_template_context()
        ti.task = context["task"] = ti.task.prepare_for_execution()
        ti.render_templates(context=context)
        with set_current_context(context):
            began = clock()
            ti.task.execute(context)
            return (clock() - began) * 1000

    def _sent(self, task: Any, conf: dict[str, Any], run_id: str = "") -> dict[str, int]:
        self._supervisor.sent.clear()
        self._run(task, conf, run_id)
        return dict(self._supervisor.sent)

    def _run(self, task: Any, conf: dict[str, Any] | None = None, run_id: str = "") -> None:
        ti = instance(task, run_id or next(self._runs), conf)
        context = ti.get_template_context()
        state, _, error = task_runner.run(ti, context, self._log)
        task_runner.finalize(ti, state, context, self._log, error)
        if state != "success":
            raise RuntimeError(f"task {task.task_id} ended as {state}: {error}")


def _ours(folder: Path) -> dict[str, Any]:
    plan_of("reads", folder)  # for the documents that it writes
    document = folder / "bench.arazzo.json"
    found: dict[str, Any] = {}
    for ledger in (True, False):
        for kind in KINDS:
            name = f"{kind}, ledger {'on' if ledger else 'off'}"
            dag = ArazzoDag(
                document,
                kind,
                dag_id=f"{kind}_{ledger}",
                inputs={"customerId": "c"},
                idempotency=UNIQUE if kind == "writes" else None,
                ledger=ledger,
            )
            found[name] = next(iter(dag.tasks))
    return found


def _by_hand() -> dict[str, Any]:
    with DAG("by_hand", schedule=None):
        return {f"{kind}, HttpOperator": by_hand(kind, kind) for kind in KINDS}


def _nothing() -> Any:
    with DAG("nothing", schedule=None):
        return _Nothing(task_id="nothing")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    tasks = Tasks(Path(sys.argv[1]), sys.argv[2])
    gc.freeze()
    serve(
        {
            "execute": tasks.execute,
            "processor": tasks.processor,
            "first": tasks.first,
            "task": tasks.task,
            "messages": tasks.messages,
            "upstream": tasks.upstream,
            "first_statements": tasks.first_statements,
            "statements": tasks.statements,
        }
    )
