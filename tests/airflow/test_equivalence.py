"""Every kind of control flow means the same to the engine alone and as a DAG through Airflow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import scripted
from both_ways import Answer, Script, by_airflow, by_engine
from flows import FLOWS, OPERATIONS, Flow

from airflow_arazzo.plan.compiler import compile_workflow

START = 1_750_000_000.0  # 2025-06-15 15:06:40 UTC


def answering(answers: Mapping[str, Sequence[Any]]) -> Script:
    """Answers by path, in turn, the last one again and again; 200 without a body where there are none."""
    waiting = {path: [_answer(each) for each in listed] for path, listed in answers.items()}

    def script(path: str) -> Answer:
        left = waiting.get(path) or [Answer()]
        return left.pop(0) if len(left) > 1 else left[0]

    return script


def _answer(given: scripted.Answer | int | Mapping[str, Any]) -> Answer:
    """A status, a JSON body for status 200, or both; status 0 closes the connection."""
    if isinstance(given, int):
        return Answer(given)
    if not isinstance(given, scripted.Answer):
        given = scripted.Answer(200, dict(given))
    headers = tuple(given.headers.items())
    if given.body is None:
        return Answer(given.status or None, b"", headers)
    kind = ("Content-Type", "application/json")
    return Answer(given.status, json.dumps(given.body).encode(), (kind, *headers))


def write(folder: Path, flow: Flow) -> Path:
    """Write a flow's documents; returns the path of the first."""
    sources = [{"name": "api", "url": "api.json", "type": "openapi"}]
    for name, workflows in flow.others.items():
        other = scripted.write(folder / name, *workflows, operations=OPERATIONS)
        sources.append({"name": name, "url": f"{name}/{other.name}", "type": "arazzo"})
    workflows = (
        [with_qualified_operations(each) for each in flow.workflows] if flow.others else flow.workflows
    )
    fields = {"sourceDescriptions": sources, **flow.document}
    return scripted.write(folder, *workflows, operations=OPERATIONS, **fields)


def with_qualified_operations(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """With several sources an operation is to be named with its source."""
    steps = [
        {**step, "operationId": f"$sourceDescriptions.api.{step['operationId']}"}
        if "operationId" in step
        else step
        for step in workflow["steps"]
    ]
    return {**workflow, "steps": steps}


@pytest.mark.parametrize("name", FLOWS)
def test_the_same_both_ways(name: str, tmp_path: Path, dag_file: Any, database: None) -> None:
    flow = FLOWS[name]
    path = write(tmp_path, flow)
    plan, _ = compile_workflow(path, "w")
    alone = by_engine(plan, flow.inputs, answering(flow.answers), START)
    arguments = {"dag_id": tmp_path.name, "default_args": {"retries": 0}}
    dag = dag_file(
        "flow",
        f"from airflow_arazzo import ArazzoDag\ndag = ArazzoDag({str(path)!r}, 'w', **{arguments!r})\n",
    ).dag
    airflow = by_airflow(dag, flow.inputs, answering(flow.answers), START)
    assert not alone.difference(airflow)

    # And what it means is what the document says.
    assert [each.target for each in alone.asked] == flow.calls.split()
    assert alone.waits == list(flow.waits or [0] * len(alone.waits))
    assert {i: alone.asked[i].body.decode() for i in flow.bodies} == flow.bodies
    assert (alone.status == "failed") == flow.failed
    assert alone.report["outputs"] == flow.outputs
    assert airflow.tasks == dict(each.split() for each in flow.tasks.split(", "))
    assert (f"ended by action {flow.ended_by!r}" in alone.error) == bool(flow.ended_by)
