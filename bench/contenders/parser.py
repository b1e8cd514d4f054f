"""``python -m bench.contenders.parser MODULE…``: a process with Airflow imported that has DAG files parsed.

Like Airflow's DAG processor it forks for every file, so that each is parsed by a process which has parsed
nothing before. The modules named are imported before that. ``python -m bench.contenders.parser dag-processor
MODULE…`` loads the plugins of all installed packages first, as that command of Airflow does.
"""

from __future__ import annotations

import gc
import importlib
import logging
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from bench.contender import serve
from bench.contenders.forked import forked

DAG_PROCESSOR = "dag-processor"


def parse(file: str, dag_id: str = "", again: bool = False, serialize: bool = False) -> dict[str, float]:
    """Parse a DAG file in a process of its own.

    :param dag_id: parse as for a task of this DAG.
    :param again: parse once more in that process, and count that.
    :param serialize: make of the DAGs what goes into Airflow's database, too, as the DAG processor does.
    :return: milliseconds of the processor's time, since parsing waits for nothing; DAGs and tasks.
    """

    def work() -> dict[str, float]:
        if again:
            _parsed(file, dag_id, serialize)
        return _parsed(file, dag_id, serialize)

    found: dict[str, float] = forked(work)
    return found


def _parsed(file: str, dag_id: str, serialize: bool) -> dict[str, float]:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk.definitions._internal.dag_parsing_context import (
        _airflow_parsing_context_manager as parsing_for,
    )
    from airflow.serialization.serialized_objects import DagSerialization

    began = time.process_time()
    with parsing_for(dag_id=dag_id) if dag_id else nullcontext():
        bag = BundleDagBag(
            dag_folder=file, bundle_path=Path(file).parent, bundle_name="bench", load_op_links=False
        )
    if serialize:
        for dag in bag.dags.values():
            DagSerialization.to_dict(dag)
    seconds = time.process_time() - began
    if bag.import_errors or not bag.dags:
        raise RuntimeError(f"{file}: {bag.import_errors or 'no DAGs'}")
    tasks = sum(len(dag.tasks) for dag in bag.dags.values())
    return {"ms": seconds * 1000, "dags": len(bag.dags), "tasks": tasks}


def load_plugins() -> None:
    """What becomes of plugins when ``airflow dag-processor`` makes its job, before it forks anything."""
    from airflow.listeners.listener import get_listener_manager

    sys.argv = ["airflow", DAG_PROCESSOR]
    get_listener_manager()


if __name__ == "__main__":
    named = sys.argv[1:]
    airflow = "airflow.cli.commands.dag_processor_command"  # all that it has imported when it begins
    for module in (airflow, *(name for name in named if name != DAG_PROCESSOR)):
        importlib.import_module(module)
    if DAG_PROCESSOR in named:
        load_plugins()
    logging.disable(logging.WARNING)
    gc.freeze()  # as the DAG processor and the local executor do before they fork
    serve({"parse": parse})
