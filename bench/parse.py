"""``python -m bench.parse``: DAG files of this project beside one written by hand with ``HttpOperator``.

Three workflows, nine calls: ``bench/dags/compiled.py`` and ``bench/dags/by_hand.py``. Airflow parses them
in its own way, each time in a process that was forked for it, as its DAG processor does:

- *imported*: Airflow and the modules that both files need are there already;
- *again*: the same file was parsed in that process before;
- *as the DAG processor*: what it has imported before it forks is there, which is what a file imports from
  ``airflow.``, and what plugins of installed packages import; and the DAGs are serialised for the database;
- *as the DAG processor, not preloaded*: the same without plugins, so that our package is imported each time;
- *cold*: ours, without plans in the cache.

Figures are the processor's time of the process that parses, since parsing waits for nothing else.

And what a task pays for the other workflows of its document: it parses the file for its own DAG.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.airflow_home import BY_HAND, OURS, airflow_home
from bench.contender import Contender, ContenderFailed
from bench.contenders.parser import DAG_PROCESSOR
from bench.documents_made import folder_of
from bench.harness import REPOSITORY, Part, Table, Target, compared, in_turns, quick, ratio, show

DAGS = REPOSITORY / "bench" / "dags"
SIZES = (1, 50, 200)
"""Workflows in a document."""
AS_PROCESSOR = "as the DAG processor"


def measure(short: bool = False) -> Part:
    """All figures."""
    part = Part("parse")
    rounds = 5 if short else 15
    with airflow_home() as (home, environment):
        _beside_by_hand(part, home, environment, rounds)
        _in_a_task(part, home, environment, SIZES[:2] if short else SIZES, 3 if short else 9)
    return part


def parser(environment: dict[str, str], *modules: str) -> Contender:
    """A process that has DAG files parsed, with these modules imported.

    :param modules: ``dag-processor`` among them stands for the plugins that this command loads.
    """
    command = [sys.executable, "-m", "bench.contenders.parser", *modules]
    return Contender(command, REPOSITORY, environment)


def parsed(process: Contender, file: Path, **how: Any) -> float:
    """Milliseconds of the processor's time that it takes to parse a file."""
    return float(process.ask("parse", file=str(file), **how)["ms"])


def _beside_by_hand(part: Part, home: Path, environment: dict[str, str], rounds: int) -> None:
    files = {"airflow-arazzo": DAGS / "compiled.py", "by hand": DAGS / "by_hand.py"}
    with (
        parser(environment, BY_HAND, OURS) as ready,
        parser(environment, DAG_PROCESSOR, BY_HAND) as processor,
        parser(environment, BY_HAND) as without_plugins,
    ):
        ways: dict[str, tuple[Contender, dict[str, Any]]] = {
            "imported": (ready, {}),
            "again": (ready, {"again": True}),
            AS_PROCESSOR: (processor, {"serialize": True}),
            f"{AS_PROCESSOR}, not preloaded": (without_plugins, {"serialize": True}),
        }
        for way, (process, how) in ways.items():
            contenders: dict[str, Callable[[], float]] = {
                name: partial(parsed, process, file, **how) for name, file in files.items()
            }
            taken = in_turns(contenders, rounds)
            if way == "imported":
                taken |= in_turns({"airflow-arazzo, cold": _cold(process, home)}, max(3, rounds // 3))
            part.tables.append(compared(f"DAG file, {way}, processor's ms", taken, "by hand"))
            if process is not without_plugins:
                value = ratio(taken, "airflow-arazzo", "by hand")
                part.targets.append(Target(f"warm parse, {way} / by hand", value, 1.0))


def _cold(process: Contender, home: Path) -> Callable[[], float]:
    def cold() -> float:
        shutil.rmtree(home / "plans", ignore_errors=True)
        return parsed(process, DAGS / "compiled.py")

    return cold


def _in_a_task(
    part: Part, home: Path, environment: dict[str, str], sizes: Sequence[int], rounds: int
) -> None:
    files = {}
    for size in sizes:
        folder = folder_of(home / f"of-{size}", documents=1, workflows=size, operations=20)
        files[size] = (folder / "dags" / "document_0.py", f"workflow-0-{size - 1}")
    with parser(environment, OURS) as process:
        # It leaves all plans in the cache, as the DAG processor does.
        cold = {size: parsed(process, file) for size, (file, _) in files.items()}
        taken = in_turns(
            {
                _named(size): partial(parsed, process, file, dag_id=dag_id)
                for size, (file, dag_id) in files.items()
            },
            rounds,
        )
        whole = in_turns({size: partial(parsed, process, file) for size, (file, _) in files.items()}, 3)
    names = [_named(size) for size in sizes]
    part.tables.append(compared("DAG file, in a task, processor's ms", taken, names[0]))
    rows = [(_named(size), [statistics.median(whole[size]), cold[size]]) for size in sizes]
    part.tables.append(Table("the same file, all of its DAGs, processor's ms", ("warm", "cold, once"), rows))
    what = f"in a task: {sizes[-1]} workflows / {sizes[0]}"
    part.targets.append(Target(what, ratio(taken, names[-1], names[0]), 1.5))


def _named(size: int) -> str:
    return f"{size:,} in the document"


if __name__ == "__main__":
    try:
        sys.exit(show(measure(quick())))
    except ContenderFailed as failed:
        sys.exit(str(failed))
