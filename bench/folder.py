"""``python -m bench.folder``: 1,000 workflows in 200 documents that share an OpenAPI description.

What Airflow's DAG processor does with such a folder: every DAG file parsed in a process of its own, with and
without plans in the cache, and once more as a task does it, for one DAG of five. Figures are the processor's
time for all files together, divided by the workflows. The package is imported already (:mod:`bench.parse`).
Last, what ``airflow-arazzo check`` takes for the folder.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.airflow_home import OURS, airflow_home
from bench.contender import Contender, ContenderFailed
from bench.documents_made import folder_of
from bench.harness import REPOSITORY, Part, Table, Target, in_turns, quick, show
from bench.parse import parsed, parser

DOCUMENTS, WORKFLOWS, OPERATIONS = 200, 5, 60


def measure(short: bool = False) -> Part:
    """All figures."""
    part = Part("folder")
    documents = DOCUMENTS // 10 if short else DOCUMENTS
    with airflow_home() as (home, environment), parser(environment, OURS) as process:
        folder = folder_of(home / "folder", documents=documents, workflows=WORKFLOWS, operations=OPERATIONS)
        cold = _all(process, folder, documents)
        taken = in_turns(
            {
                "warm": lambda: _all(process, folder, documents),
                "in a task": lambda: _tasks(process, folder, documents),
            },
            rounds=3,
            warm=0,
        )
        checked = _check(folder, environment)
    workflows = documents * WORKFLOWS
    warm = statistics.median(taken["warm"])
    rows = [
        ("cold, once", [cold / workflows, cold / documents, cold / 1000]),
        ("warm", [warm / workflows, warm / documents, warm / 1000]),
        ("check, a whole command", [checked / workflows, checked / documents, checked / 1000]),
    ]
    title = f"{workflows:,} workflows in {documents} documents"
    part.tables.append(Table(title, ("ms a workflow", "ms a document", "s in all"), rows))
    task = statistics.median(taken["in a task"]) / documents
    part.tables.append(Table("in a task", ("ms a task",), [("one DAG of its document", [task])]))
    part.targets.append(Target(f"{title}, warm, ms a workflow", warm / workflows, 10.0))
    return part


def _all(process: Contender, folder: Path, documents: int) -> float:
    """Milliseconds of the processor's time for all files."""
    return sum(parsed(process, _file(folder, index)) for index in range(documents))


def _tasks(process: Contender, folder: Path, documents: int) -> float:
    """Milliseconds for the last DAG of each file alone."""
    last = WORKFLOWS - 1
    return sum(
        parsed(process, _file(folder, index), dag_id=f"workflow-{index}-{last}") for index in range(documents)
    )


def _file(folder: Path, index: int) -> Path:
    return folder / "dags" / f"document_{index}.py"


def _check(folder: Path, environment: dict[str, str]) -> float:
    """Milliseconds of the command."""
    command = [sys.executable, "-m", "airflow_arazzo.cli.main", "check", str(folder)]
    began = time.perf_counter()
    ran = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise ContenderFailed(f"airflow-arazzo check failed: {ran.stdout[-500:]} {ran.stderr[-500:]}")
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    try:
        sys.exit(show(measure(quick())))
    except ContenderFailed as failed:
        sys.exit(str(failed))
