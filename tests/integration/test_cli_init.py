"""``airflow-arazzo init``: what it writes, what it prints, and what it leaves alone."""

from __future__ import annotations

import ast
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_arazzo.cli.init import PRESETS
from airflow_arazzo.cli.main import main

SPECS = Path(__file__).resolve().parents[2] / "specs"
PROVISION = SPECS / "arazzo" / "amberflo-provision-customer-billing-workflow.yml"
LAUNCH = SPECS / "arazzo" / "amberflo-launch-usage-based-product-workflow.yml"
Captured = pytest.CaptureFixture[str]

API = """
openapi: 3.1.0
info: {title: Things}
servers: [{url: 'https://things.example'}]
paths:
  /things:
    get: {operationId: listThings}
    post:
      operationId: createThing
      requestBody: {content: {application/json: {schema: {type: object}}}}
  /keyed:
    post: {operationId: keyed, parameters: [{name: Idempotency-Key, in: header}]}
"""
DOCUMENT = """
arazzo: 1.0.1
info: {title: T, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: reads
  steps: [{stepId: s, operationId: listThings}, {stepId: k, operationId: keyed}]
- workflowId: writes
  inputs:
    type: object
    required: [what, when, tier]
    properties: {what: {type: [string, integer]}, tier: {type: string, default: a}, note: {type: string}}
  steps: [{stepId: s, operationId: createThing, requestBody: {payload: {a: $inputs.what}}}]
"""


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "api.yaml").write_text(API)
    path = folder / "doc.arazzo.yaml"
    path.write_text(DOCUMENT)
    monkeypatch.chdir(tmp_path)
    return path


def init(capsys: Captured, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["init", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: Captured, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["init", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.strip()


def test_a_document_of_which_nothing_is_to_be_said(document: Path, tmp_path: Path, capsys: Captured) -> None:
    document.write_text(DOCUMENT.partition("- workflowId: writes")[0])
    said = init(capsys, str(document), "--output", "dags.py")
    assert (tmp_path / "dags.py").read_text() == (
        '"""The DAG of ``documents/doc.arazzo.yaml``."""\n\n'
        "from airflow_arazzo import arazzo_dags\n\n"
        'arazzo_dags("documents/doc.arazzo.yaml")\n'
    )
    assert said == (
        "wrote dags.py\n\n"
        "# It needs these connections; put the keys into the environment first:\n"
        "airflow connections add api --conn-type arazzo --conn-host https://things.example\n"
    )


def test_a_scheduled_workflow(document: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "dags").mkdir()
    said = init(
        capsys,
        str(document),
        "--workflow",
        "writes",
        "--output",
        "dags",
        "--schedule",
        "0 6 * * 1",
        "--strict",
    )
    today = datetime.now(UTC).date()
    assert (tmp_path / "dags" / "writes.py").read_text() == (
        '"""Workflow writes of ``../documents/doc.arazzo.yaml``."""\n\n'
        "from airflow_arazzo import ArazzoDag\n"
        "from pendulum import datetime\n\n"
        "ArazzoDag(\n"
        '    "../documents/doc.arazzo.yaml",\n'
        '    "writes",\n'
        '    schedule="0 6 * * 1",\n'
        "    # Periods are counted in this time zone, and none before this day is billed.\n"
        f'    start_date=datetime({today.year}, {today.month}, {today.day}, tz="UTC"),\n'
        "    # Values of each run: templates, cast to the types of the document. They know the period\n"
        "    # that a run is for: {{ period.start_ms }}, {{ period.end_ms }}, {{ period.id }}.\n"
        "    inputs={\n"
        '        "what": "{{ var.value.what }}",  # string or integer\n'
        '        "when": "{{ var.value.when }}",  # any type\n'
        '        # "tier": "{{ var.value.tier }}",  # string, optional\n'
        '        # "note": "{{ var.value.note }}",  # string, optional\n'
        "    },\n"
        "    strict=True,\n"
        "    # Sent once only, since nothing says that the service recognises a repeated request:\n"
        "    #   POST /things\n"
        '    # If it does, say by which header, or by which field of the JSON body: {"body": …}.\n'
        "    # idempotency={\n"
        '    #     "api.createThing": {"header": "<name of the header>"},\n'
        "    # },\n"
        ")\n"
    )
    assert said.startswith("wrote dags/writes.py\n\n# Its templates read Airflow variables:\n")
    assert re.findall(r"^airflow variables set (\w+) VALUE$", said, re.MULTILINE) == ["what", "when"]


def test_where_the_file_goes(document: Path, tmp_path: Path, capsys: Captured) -> None:
    assert init(capsys, str(document)).startswith("wrote doc.py\n")
    assert init(capsys, str(PROVISION)).startswith("wrote amberflo_provision_customer_billing.py\n")
    out = init(capsys, str(document), "--output", "-")
    assert out == (tmp_path / "doc.py").read_text()
    assert 'arazzo_dags(\n    "documents/doc.arazzo.yaml",\n' in out
    assert refused(capsys, str(document), "--output", "none/x.py") == (
        "airflow-arazzo: none/x.py cannot be written: No such file or directory"
    )


def test_a_file_that_exists_is_left_alone(document: Path, tmp_path: Path, capsys: Captured) -> None:
    mine = tmp_path / "doc.py"
    mine.write_text("# mine\n")
    said = refused(capsys, str(document))
    assert said == "airflow-arazzo: doc.py exists; --force overwrites it, --output names another file"
    assert mine.read_text() == "# mine\n"
    dangling = tmp_path / "link.py"
    dangling.symlink_to(tmp_path / "elsewhere.py")
    assert "exists" in refused(capsys, str(document), "--output", "link.py")
    assert not (tmp_path / "elsewhere.py").exists()
    init(capsys, str(document), "--force")
    assert mine.read_text().startswith('"""The DAGs of ``documents/doc.arazzo.yaml``."""')


def test_nothing_is_written_for_what_does_not_compile(
    document: Path, tmp_path: Path, capsys: Captured
) -> None:
    document.write_text(DOCUMENT.replace("operationId: listThings", "operationId: listThing"))
    assert "did you mean 'listThings'" in refused(capsys, str(document))
    assert "there is no workflow 'rite'" in refused(capsys, str(document), "--workflow", "rite")
    assert not (tmp_path / "doc.py").exists()


@pytest.mark.parametrize(
    "schedule", ["daily", "@dayly", "@continuous", "* * *", "61 * * * *", "0 6 * * * *", "x"]
)
def test_schedules_that_are_none(document: Path, tmp_path: Path, schedule: str, capsys: Captured) -> None:
    said = refused(capsys, str(document), "--workflow", "reads", "--schedule", schedule)
    assert said.startswith(
        "airflow-arazzo: --schedule: expected a cron expression such as '0 6 * * *', or one of"
    )
    assert not list(tmp_path.glob("*.py"))


def test_a_schedule_is_for_one_workflow(document: Path, capsys: Captured) -> None:
    said = refused(capsys, str(document), "--schedule", "@daily")
    assert said == "airflow-arazzo: --schedule is for one workflow; choose it with --workflow: reads, writes"
    assert "@daily" in PRESETS


def test_how_sources_are_found_goes_into_the_file(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "apis").mkdir()
    (tmp_path / "apis" / "a.yaml").write_text(API)
    (tmp_path / "overlay.yaml").write_text(
        "overlay: 1.0.0\ninfo: {title: o, version: '1'}\nextends: docs/doc.yaml\n"
        "actions: [{target: $.info, update: {title: New}}]\n"
    )
    (tmp_path / "docs" / "doc.yaml").write_text(DOCUMENT)
    text = init(
        capsys, "docs/doc.yaml", "--workflow", "reads", "--output", "-", "--source", "api=apis/a.yaml",
        "--source-path", "apis", "--overlay", "overlay.yaml",
    )  # fmt: skip
    (call,) = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert arguments == {
        "sources": {"api": "../apis/a.yaml"},
        "source_path": ["../apis"],
        "overlays": ["overlay.yaml"],
    }
    assert str(tmp_path) not in text


def test_warnings_are_shown(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SPECS / "openapi", tmp_path / "openapi")
    (tmp_path / "arazzo").mkdir()
    text = re.sub(r"\$sourceDescriptions\.\w+\.", "", LAUNCH.read_text())
    (tmp_path / "arazzo" / "launch.yml").write_text(text)
    assert main(["init", "arazzo/launch.yml"]) == 0
    said = capsys.readouterr()
    assert said.err.count("[operation-unqualified]") == 4
    assert said.out.count("airflow connections add ") == 2
