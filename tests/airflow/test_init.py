"""DAG files that ``airflow-arazzo init`` writes, as Airflow reads them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli.main import main

ROOT = Path(__file__).parents[2]
SEEDS = sorted((ROOT / "specs" / "arazzo").glob("*.yml"))
DAGS = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])

HOSTILE = 'x"""\n\x00\u202e{{ 1 }} \\'
API = {
    "openapi": "3.1.0",
    "info": {"title": "Things"},
    "servers": [{"url": "https://things.example"}],
    "paths": {
        '/things"""x': {
            "post": {"operationId": 'create"x', "requestBody": {"content": {"application/json": {}}}}
        }
    },
}
DOCUMENT = {
    "arazzo": "1.0.1",
    "info": {"title": "T", "version": "1"},
    "sourceDescriptions": [{"name": "my api'", "url": "api.yaml", "type": "openapi"}],
    "workflows": [
        {
            "workflowId": f"w {HOSTILE}",
            "summary": HOSTILE,
            "inputs": {
                "type": "object",
                "required": [f"1 {HOSTILE}", "b-c"],
                "properties": {
                    f"1 {HOSTILE}": {"type": "string"},
                    "b-c": {"type": "array"},
                    "\u00e9\n": {"type": ["string", "null"]},
                },
            },
            "steps": [
                {"stepId": "s", "operationId": 'create"x', "requestBody": {"payload": {"a": "$inputs.b-c"}}}
            ],
        },
        {"workflowId": "other", "steps": [{"stepId": "s", "operationId": 'create"x'}]},
    ],
}


@pytest.fixture
def folder() -> Iterator[Path]:
    path = DAGS / "stubs"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def dags_of(file: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=file)
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.stem)
def test_the_shipped_documents(seed: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(seed), "--output", str(folder)]) == 0
    assert main(["init", str(seed), "--output", str(folder / "scheduled.py"), "--schedule", "@monthly"]) == 0
    (file,) = (each for each in folder.iterdir() if each.name != "scheduled.py")
    ((name, dag),) = dags_of(file).items()
    ((same, scheduled),) = dags_of(folder / "scheduled.py").items()
    assert name == same == dag.plan.root.id
    assert list(dag.task_dict) == [step.id for step in dag.plan.root.steps]
    assert scheduled.timetable.expression == "0 0 1 * *"
    required = set(dag.plan.root.inputs.get("required") or ())
    assert not required & set(scheduled.params), "the file gives them"
    assert dag.plan == scheduled.plan, "nothing is declared that the document does not declare"
    capsys.readouterr()


def test_names_that_python_shells_and_templates_would_trip_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = folder / 'a"b\\c'
    documents.mkdir()
    (documents / "api.yaml").write_text(json.dumps(API))
    document = documents / '""".yaml'
    document.write_text(json.dumps(DOCUMENT))
    assert main(["init", str(document), "--output", str(folder / "all.py")]) == 0
    assert len(dags_of(folder / "all.py")) == 2
    workflow = next(
        dag.plan.root.id for dag in dags_of(folder / "all.py").values() if "x" in dag.plan.root.id
    )
    for more in ([], ["--schedule", "0 6 * * *"]):
        file = folder / f"one{len(more)}.py"
        assert main(["init", str(document), "--workflow", workflow, "--output", str(file), *more]) == 0
        (dag,) = dags_of(file).values()
        assert dag.plan.root.id == workflow
        (task,) = dag.tasks
        assert task.connections == {"my api'": "my_api_"}
    assert set(task.inputs) == set(dag.plan.root.inputs["required"])
    assert all(text.startswith("{{ var.value.") for text in task.inputs.values())
    capsys.readouterr()


def test_the_hint_on_idempotency_is_refused_until_it_is_filled_in(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    file = folder / "hint.py"
    assert main(["init", str(SEEDS[0]), "--output", str(file)]) == 0
    lines = file.read_text().splitlines()
    start = lines.index("    # idempotency={")
    end = lines.index("    # },", start)
    lines[start : end + 1] = [line.replace("# ", "", 1) for line in lines[start : end + 1]]
    file.write_text("\n".join(lines) + "\n")
    (error,) = DagBag(dag_folder=file).import_errors.values()
    assert "'<name of the header>' is no header that can take a key" in error
    file.write_text(file.read_text().replace("<name of the header>", "Idempotency-Key"))
    (dag,) = dags_of(file).values()
    assert {step.call.idempotency.name for step in dag.plan.root.steps} == {"Idempotency-Key"}
    capsys.readouterr()
