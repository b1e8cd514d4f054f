"""What the demonstration prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from demo.api import Client

_MARKS = {"success": "✓", "failed": "✗", "skipped": "-", "upstream_failed": "!"}


def print_setup(made: Mapping[str, Any]) -> None:
    """What was put into the sandbox beforehand."""
    print("\nset-up (not in the ledger):")
    for service, kinds in made.items():
        if isinstance(kinds, dict):
            for kind, things in kinds.items():
                for thing in things:
                    print(f"  {service} {kind}: {_short(thing)}")


def print_runs(airflow: Client, runs: Mapping[str, str], states: Mapping[str, str]) -> None:
    """State, steps and outputs of every run; of a failed task the end of its log."""
    for dag_id, run_id in runs.items():
        print(f"\n{_MARKS.get(states[dag_id], '?')} {dag_id}: {states[dag_id]}")
        outputs: Any = None
        for task in airflow.tasks(dag_id, run_id):
            took = f"{task['duration']:.1f} s" if task["duration"] else ""
            print(f"    {_MARKS.get(task['state'], '?')} {task['task_id']:<24} {task['state']:<16} {took}")
            outputs = airflow.xcom(dag_id, run_id, task["task_id"], "workflow_outputs") or outputs
            if task["state"] == "failed":
                log = airflow.log(dag_id, run_id, task["task_id"]).strip().splitlines()
                print("".join(f"        {line}\n" for line in log[-4:]), end="")
        for name, value in (outputs or {}).items():
            print(f"    {name} = {json.dumps(value, ensure_ascii=False)}")


def print_effects(ledger: list[dict[str, Any]]) -> None:
    """What the services were made to do, as the sandbox's ledger has it."""
    print(f"\nthe sandbox's ledger, {len(ledger)} effects:")
    for effect in ledger:
        request = effect["request"]
        print(f"  {effect['seq']:>3}  {effect['kind']:<28} {request['method']} {request['target']}")


def _short(thing: Mapping[str, Any]) -> str:
    shown = ("id", "customerId", "meterApiName", "customer", "amount", "currency", "description", "name")
    return ", ".join(f"{name} {thing[name]}" for name in shown if thing.get(name) is not None)
