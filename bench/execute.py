"""``python -m bench.execute``: a task of this project beside one of ``HttpOperator`` with the same call.

A read (GET) and a write (POST with an idempotency key), to a server that does nothing but answer.

- *in Airflow*: the time that passes in ``execute`` of tasks that a real scheduler runs, one at a time and the
  kinds in turns, each in a process of its own, with Airflow's API server to ask for connections.

Where that time goes is seen without an API server. Tasks of both kinds are then in one process, with the
context of Airflow's task runner; what stands for its supervisor answers at once, to both alike:

- *again*: ``execute`` in a process that has run the task before: the time that passes, and the processor's,
  in which is nothing that other processes do meanwhile, nor the waiting for the server and the disk;
- *first*: the processor's time of ``execute`` in a process forked for it, as every task's is;
- *whole task*: the processor's time of all that Airflow's task runner does, from rendering to its report.

Then what is counted. *API calls* are messages to the supervisor that it passes on to Airflow's API server.
Airflow's own are left out: the rendered fields before a task, its result, and that it has succeeded. So are
secrets to be masked, which the supervisor keeps. *Statements* are those to the ledger's database, without the
transactions around them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial

from bench.airflow_home import airflow_home
from bench.batch import raw_server
from bench.contender import Contender, ContenderFailed
from bench.contenders.calls import DOCUMENT, KINDS, TIMED, TIMES, TOLD
from bench.harness import REPOSITORY, Part, Table, Target, compared, in_turns, quick, ratio, show
from bench.in_airflow import airflow_at_work

OWN = {"SetRenderedFields": 1, "SetXCom": 1, "SucceedTask": 1}
"""What Airflow sends for every task that has templates and a result."""

LOCAL = ("MaskSecret",)
"""What a supervisor keeps to itself."""

AROUND = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA")
"""What is no statement of the ledger's own."""


DAG_FILE = """
from airflow.sdk import DAG

from bench.contenders.timed import tasks

timed: DAG = tasks()
"""

_SHOWN = {
    "execute": "execute, again",
    "processor": "execute, again, processor's",
    "first": "execute, first, processor's",
    "task": "whole task, processor's",
}


def measure(short: bool = False) -> Part:
    """All figures."""
    part = Part("execute")
    rounds, times = (5, 10) if short else (15, 25)
    _in_airflow(part, 5 if short else 20)
    with airflow_home() as (home, environment), raw_server() as url:
        (home / "documents").mkdir()
        command = [sys.executable, "-m", "bench.contenders.tasks", str(home / "documents"), url]
        with Contender(command, REPOSITORY, environment) as fresh:
            # Nothing is open in the process that these are forked from.
            _times(part, fresh, "first", rounds, {})
            opened = {kind: fresh.ask("first_statements", name=f"{kind}, ledger on") for kind in KINDS}
        with Contender(command, REPOSITORY, environment) as process:
            _times(part, process, "execute", rounds, {"times": times})
            _times(part, process, "processor", rounds, {"times": times})
            _times(part, process, "task", max(3, rounds // 2), {"times": times})
            _calls(part, process)
            _statements(part, process, opened)
    return part


def _in_airflow(part: Part, times: int) -> None:
    settings = {DOCUMENT: "{folder}/bench.arazzo.json", TOLD: "{folder}/told"}
    settings[TIMES] = str(times)
    with (
        raw_server() as url,
        airflow_at_work(url, DAG_FILE, {TIMED}, settings) as (airflow, folder),
    ):
        run_id = airflow.trigger(TIMED, {})
        [state] = airflow.wait_for_runs({TIMED: run_id}, seconds=1800).values()
        if state != "success":
            raise RuntimeError(f"the timed tasks ended as {state}")
        told = [json.loads(line) for line in (folder / "told").read_text().splitlines()]
    for kind in KINDS:
        names = [f"{kind}, {way}" for way in ("HttpOperator", "ledger off", "ledger on")]
        taken = {name: [took for who, took in told if who == name] for name in names}
        part.tables.append(compared("execute, in Airflow, ms", taken, names[0]))
        part.targets += [
            Target(f"execute, in Airflow: {name} / HttpOperator", ratio(taken, name, names[0]), 1.0)
            for name in names[1:]
        ]


def _times(part: Part, process: Contender, do: str, rounds: int, how: Mapping[str, int]) -> None:
    shown = _SHOWN[do]
    for kind in KINDS:
        names = [f"{kind}, {way}" for way in ("HttpOperator", "ledger off", "ledger on")]
        taken = in_turns({name: partial(process.ask, do, name=name, **how) for name in names}, rounds)
        part.tables.append(compared(f"{shown}, ms", taken, names[0]))


def api_calls(sent: Mapping[str, int]) -> dict[str, int]:
    """What a task asks of the API server beyond what Airflow asks for every task."""
    calls = {name: count - OWN.get(name, 0) for name, count in sent.items() if name not in LOCAL}
    return {name: count for name, count in calls.items() if count > 0}


def statements(found: Mapping[str, int]) -> int:
    """How many statements are the ledger's own."""
    return sum(count for word, count in found.items() if word not in AROUND)


def _calls(part: Part, process: Contender) -> None:
    upstream = process.ask("upstream")
    counted = {name: api_calls(sent) for name, sent in process.ask("messages").items()}
    counted.pop("nothing")
    kinds = sorted({kind for calls in counted.values() for kind in calls})
    rows = [
        (name, [*(calls.get(kind) for kind in kinds), sum(calls.values())]) for name, calls in counted.items()
    ]
    part.tables.append(Table("API calls of a task", (*kinds, "all"), rows))
    for name, calls in counted.items():
        if "HttpOperator" not in name:
            limit = 3 + upstream.get(name, 0)
            part.targets.append(Target(f"API calls, {name}", sum(calls.values()), limit))


def _statements(part: Part, process: Contender, opened: Mapping[str, Mapping[str, int]]) -> None:
    found = {f"{kind}, again": process.ask("statements", name=f"{kind}, ledger on") for kind in KINDS}
    found |= {f"{kind}, first in a process": opened[kind] for kind in KINDS}
    words = sorted({word for each in found.values() for word in each})
    rows = [(name, [*(each.get(word) for word in words), statements(each)]) for name, each in found.items()]
    part.tables.append(Table("statements of the ledger for a task", (*words, "its own"), rows))
    part.targets.append(Target("ledger statements for an effect", statements(found["writes, again"]), 2))


if __name__ == "__main__":
    try:
        sys.exit(show(measure(quick())))
    except ContenderFailed as failed:
        sys.exit(str(failed))
