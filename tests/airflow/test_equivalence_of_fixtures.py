"""Every run with control flow in other tests of the engine means the same as a DAG.

The runs are those of the conformance tests and of the machine's own, written down while these tests run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from both_ways import Answer, by_airflow, by_engine, in_turn

from airflow_arazzo.expression.jsonvalue import decode_json
from airflow_arazzo.plan.codec import decode_plan
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.shape import shape_of

ROOT = Path(__file__).parents[2]
TESTS = ("tests/conformance", "tests/unit/engine/test_machine.py")
DEFAULT = Answer(200, b"{}", (("Content-Type", "application/json"),))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The runs, each once."""
    folder = tmp_path_factory.mktemp("recorded")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.airflow.recorder",
        "-p",
        "no:cacheprovider",
        *TESTS,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "ARAZZO_RECORD_TO": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def has_flow(plan: Plan) -> bool:
    """Whether more can happen in a plan than one request."""
    steps = [step for workflow in plan.workflows.values() for step in workflow.steps]
    return len(steps) > 1 or any(step.on_success or step.on_failure for step in steps)


MADE_BY_THE_LEDGER = {
    "test_a_called_workflow_is_not_retried_after_it_charged",
    "test_an_effect_counts_for_every_workflow_around_it",
    "test_with_a_ledger_and_a_key_an_unknown_outcome_is_retried",
}
"""Tests of what must not be retried, unless a ledger keeps it from being billed twice. DAGs have one."""


def test_the_same_both_ways(recorded: list[dict[str, Any]], dag_file: Any, database: None) -> None:
    differences: list[str] = []
    states: Counter[str] = Counter()
    for number, scenario in enumerate(recorded):
        if not has_flow(decode_plan(scenario["plan"])):
            continue
        test = scenario["test"].rpartition("::")[2].partition("[")[0]
        came, difference = compare(scenario, f"recorded-{number}", dag_file)
        if difference and test in MADE_BY_THE_LEDGER:
            states["otherwise with a ledger"] += 1
            came, difference = compare(scenario, f"unrecorded-{number}", dag_file, ledger=False)
        states[came] += 1
        if difference:
            differences.append(f"{scenario['test']}: {difference}")
    assert not differences, "\n".join(differences)
    assert states["succeeded"] > 150, states
    assert states["failed"] > 50, states
    assert states["otherwise with a ledger"] < 10, states


def compare(scenario: dict[str, Any], dag_id: str, dag_file: Any, **options: Any) -> tuple[str, str]:
    """Run a scenario both ways: how it ended, and the first difference."""
    plan, inputs = decode_plan(scenario["plan"]), decode_json(scenario["inputs"])
    answers = [
        Answer(
            each["status"],
            each.get("body", "").encode("latin-1"),
            tuple((name, value) for name, value in each.get("headers", ())),
        )
        for each in scenario["outcomes"]
    ]
    alone = by_engine(plan, inputs, in_turn(answers, DEFAULT), scenario["start"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_arazzo.dag.load", lambda *_, **__: (plan, shape_of(plan)))
        arguments = {"dag_id": dag_id, "default_args": {"retries": 0}, **options}
        source = f"from airflow_arazzo import ArazzoDag\ndag = ArazzoDag('/recorded', **{arguments!r})\n"
        dag = dag_file("recorded", source).dag
        airflow = by_airflow(dag, inputs, in_turn(answers, DEFAULT), scenario["start"])
    return alone.status, alone.difference(airflow)
