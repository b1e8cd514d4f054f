"""``python -m bench.commands``: one workflow by a whole command, beside Redocly's ``respect``.

The three calls of ``provision-customer-billing`` to the sandbox, each time for another customer. From the
start of the process to its end, which is what someone waits for; and the command's help, which is the
start of the interpreter and the program, without a document. The time of a step is the one that each reports
itself: from a request to its response. What lies between the steps is in neither.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO

from bench.contender import ContenderFailed
from bench.contenders.workflow import DOCUMENT, KEY, WORKFLOW, inputs
from bench.engine import sandbox
from bench.harness import REPOSITORY, Part, Target, compared, in_turns, quick, ratio, show
from bench.peers import REDOCLY, CannotInstall, redocly

OURS, THEIRS = "airflow-arazzo run", f"redocly respect {REDOCLY}"
_QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}


def measure(short: bool = False) -> Part:
    """All figures."""
    part = Part("commands")
    rounds = 3 if short else 9
    ours = [sys.executable, "-m", "airflow_arazzo.cli.main"]
    with sandbox() as url:
        steps: dict[str, list[float]] = {}
        workflow: dict[str, Callable[[], float]] = {OURS: partial(_ours, ours, url, steps)}
        nothing: dict[str, Callable[[], float]] = {OURS: partial(_timed, [*ours, "run", "--help"])}
        try:
            theirs = ["node", str(redocly())]
        except CannotInstall as error:
            part.notes.append(f"{THEIRS}: skipped, {error}")
        else:
            workflow[THEIRS] = partial(_theirs, theirs, url, steps)
            nothing[THEIRS] = partial(_timed, [*theirs, "respect", "--help"])
        taken = in_turns(workflow, rounds)
        started = in_turns(nothing, max(3, rounds // 3))
    beside = THEIRS if THEIRS in workflow else OURS
    part.tables.append(compared("whole command, three steps, s", taken, beside))
    part.tables.append(compared("its help, s", started, beside))
    part.tables.append(compared("a step, as reported, ms", steps, beside))
    if THEIRS in workflow:
        part.targets.append(Target("whole command / redocly respect", ratio(taken, OURS, THEIRS), 1.0))
    return part


def _ours(command: list[str], url: str, steps: dict[str, list[float]]) -> float:
    connection = json.dumps({"conn_type": "arazzo", "host": url, "password": KEY})
    given = ["--inputs", json.dumps(inputs()), "--connection", f"billingApi={connection}"]
    with tempfile.TemporaryFile("w+") as output:
        seconds = _timed(
            [*command, "run", str(DOCUMENT), WORKFLOW, "--format", "json", *given], output=output
        )
        output.seek(0)
        told = [step["elapsed"] * 1000 for step in json.load(output)["steps"]]
    steps.setdefault(OURS, []).append(statistics.mean(told))
    return seconds


def _theirs(command: list[str], url: str, steps: dict[str, list[float]]) -> float:
    given = ["--input", json.dumps({"apiKey": KEY, **inputs()}), "--server", f"billingApi={url}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        wanted = ["--workflow", WORKFLOW, "--json-output", str(report)]
        seconds = _timed([*command, "respect", str(DOCUMENT), *wanted, *given], _QUIET)
        files = json.loads(report.read_text())["files"]
    ran = next(iter(files.values()))["executedWorkflows"][0]["executedSteps"]
    steps.setdefault(THEIRS, []).append(statistics.mean(step["response"]["time"] for step in ran))
    return seconds


def _timed(
    command: list[str], environment: Mapping[str, str] | None = None, output: IO[str] | int = subprocess.PIPE
) -> float:
    """Seconds of a command that has to succeed."""
    began = time.perf_counter()
    ran = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    seconds = time.perf_counter() - began
    if ran.returncode:
        said = ((ran.stdout or "") + ran.stderr)[-600:]
        raise ContenderFailed(f"{Path(command[0]).name} ended with {ran.returncode}: {said}")
    return seconds


if __name__ == "__main__":
    try:
        sys.exit(show(measure(quick())))
    except ContenderFailed as failed:
        sys.exit(str(failed))
