"""What the list of import errors shows when a DAG cannot be made."""

from __future__ import annotations

import os
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
from scripted import workflow, write

ROOT = Path(__file__).parents[2]
DAGS = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
REQUIRED = {
    "type": "object",
    "required": ["who"],
    "properties": {"who": {"type": "string"}, "much": {"type": "number"}},
}
A = workflow("w", {"stepId": "a"}, inputs=REQUIRED, summary="Does it.")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write(tmp_path, A, operations=["POST /a"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"inputs": {"wo": "me"}}, "inputs: there is no 'wo'; did you mean 'who'"),
        ({"connections": {"ap": "x"}}, "connections: there is no 'ap'; did you mean 'api'"),
    ],
    ids=["input", "connection"],
)
def test_unknown_names(document: Path, arguments: dict[str, Any], said: str) -> None:
    from airflow_arazzo import ArazzoDag, ArazzoTaskGroup
    from airflow_arazzo.tasks import UnknownName

    with pytest.raises(UnknownName) as error:
        ArazzoDag(document, **arguments)
    assert said in str(error.value)
    from airflow.sdk import DAG

    with DAG("host"), pytest.raises(UnknownName):
        ArazzoTaskGroup(document, **arguments)


def test_credentials_are_no_arguments(tmp_path: Path) -> None:
    from airflow_arazzo import ArazzoDag
    from airflow_arazzo.tasks import UnknownName

    step = {"stepId": "a", "parameters": [{"name": "X-API-KEY", "in": "header", "value": "$inputs.key"}]}
    inputs = {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}}
    document = write(tmp_path, workflow("w", step, inputs=inputs), operations=["POST /a"])
    with pytest.raises(UnknownName, match="'key' is a credential; it comes from the connection of 'api'"):
        ArazzoDag(document, inputs={"key": "sk-very-secret"})
    assert list(ArazzoDag(document, schedule="@daily").params) == []


def import_errors(source: str, *files: Path) -> dict[str, str]:
    """What the list of import errors shows for a DAG file, by file name."""
    from airflow.dag_processing.dagbag import DagBag

    folder = DAGS / "broken"
    folder.mkdir(exist_ok=True)
    try:
        (folder / "stub.py").write_text(textwrap.dedent(source))
        for file in files:
            shutil.copy(file, folder)
        bag = DagBag(dag_folder=folder / "stub.py")
        return {Path(name).name: text for name, text in bag.import_errors.items()}
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("call", ["ArazzoDag", "arazzo_dags"])
def test_a_broken_document_is_an_import_error_that_says_where(tmp_path: Path, call: str) -> None:
    broken = dict(A, steps=[{"stepId": "a", "operationId": "b"}, {"stepId": "c", "operationId": "d"}])
    write(tmp_path, broken, operations=["POST /a"])
    stub = f"""\
        # airflow dag
        from airflow_arazzo import {call}

        made = {call}("flow.arazzo.json")
        """
    text = import_errors(stub, tmp_path / "flow.arazzo.json", tmp_path / "api.json")["stub.py"]
    lines = text.strip().splitlines()
    places = [line for line in lines if line.startswith("flow.arazzo.json:")]
    assert len(places) == 2
    assert all(line.split(":")[1].isdigit() and line.split(":")[2].isdigit() for line in places)
    assert "BrokenDocument: flow.arazzo.json does not compile" in text
    assert "stub.py" in text
    assert f'made = {call}("flow.arazzo.json")' in text
    assert text.count("  File ") <= 2
    assert "loading.py" not in text
    assert "During handling" not in text


def test_other_import_errors_are_short_too(tmp_path: Path) -> None:
    write(tmp_path, A, operations=["POST /a"])
    for arguments, said in [
        ("schedule='@daily'", "MissingInputs"),
        ("inputs={'wo': 1}", "did you mean 'who'"),
    ]:
        head = "# airflow dag\nfrom airflow_arazzo import ArazzoDag\n"
        stub = f"{head}ArazzoDag('flow.arazzo.json', {arguments})\n"
        text = import_errors(stub, tmp_path / "flow.arazzo.json", tmp_path / "api.json")["stub.py"]
        assert said in text
        assert "stub.py" in text
        assert "tasks.py" not in text


def test_no_document(tmp_path: Path) -> None:
    from airflow_arazzo import ArazzoDag, arazzo_dags
    from airflow_arazzo.loading import BrokenDocument

    for make in (ArazzoDag, arazzo_dags):
        with pytest.raises(BrokenDocument, match="nowhere"):
            make(tmp_path / "nowhere.yaml")


def test_several_workflows_and_none_named(tmp_path: Path) -> None:
    from airflow_arazzo import ArazzoDag
    from airflow_arazzo.loading import BrokenDocument

    document = write(tmp_path, A, dict(A, workflowId="v"), operations=["POST /a"])
    with pytest.raises(BrokenDocument):
        ArazzoDag(document)
    with pytest.raises(BrokenDocument, match="did you mean 'v'"):
        ArazzoDag(document, "V")
