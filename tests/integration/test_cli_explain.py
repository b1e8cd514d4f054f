"""``airflow-arazzo explain``, as people who have not written the document use it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli.drawing import draw
from airflow_arazzo.cli.main import main
from airflow_arazzo.plan.compiler import compile_document
from airflow_arazzo.plan.explanation import explain
from tests.unit.operators.workflows import plan_of, step

SPECS = Path(__file__).resolve().parents[2] / "specs" / "arazzo"
SEEDS = sorted(SPECS.glob("*.yml"))
Captured = pytest.CaptureFixture[str]

API = """
openapi: 3.1.0
info: {title: Things}
servers: [{url: 'https://{region}.things.example/v1/', variables: {region: {default: eu}}}]
security: [{key: []}, {user: [], key: []}, {}]
paths:
  /things:
    get: {operationId: listThings, security: []}
    post:
      operationId: createThing
      parameters: [{name: Idempotency-Key, in: header}]
      requestBody: {content: {application/json: {schema: {type: object}}}}
  /things/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    put: {operationId: putThing}
  /bills: {post: {operationId: bill}}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}, user: {type: http, scheme: basic}}
"""
DOCUMENT = """
arazzo: 1.0.1
info: {title: T, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: main
  summary: A poll, and what follows
  inputs:
    type: object
    required: [n]
    properties:
      n: {type: integer, description: How many}
      m: {type: [string, 'null'], default: x}
      o: {type: number}
      pin: {type: string, format: password}
      key: {type: string}
  steps:
  - stepId: poll
    operationId: listThings
    onSuccess:
    - {name: on, type: goto, stepId: make, criteria: [{condition: $response.body#/state == 'on'}]}
    - {name: off, type: goto, stepId: put, criteria: [{condition: $response.body#/state == 'off'}]}
    - {name: again, type: goto, stepId: poll}
    onFailure:
    - {name: r, type: retry, retryAfter: 2.5, retryLimit: 4, criteria: [{condition: $statusCode == 503}]}
    - {name: stop, type: end}
  - stepId: make
    operationId: createThing
    parameters: [{name: X-Key, in: header, value: $inputs.key}]
    requestBody: {payload: {count: $inputs.n, pin: $inputs.pin, lines: [{text: 'a {$inputs.m}'}]}}
    outputs: {id: $response.body#/id}
    onFailure:
    - {name: first, type: retry, stepId: poll}
    - {name: elsewhere, type: goto, workflowId: other}
  - stepId: call
    workflowId: called
    onSuccess: [{name: enough, type: end, criteria: [{condition: $statusCode == 200}]}]
    onFailure: [{name: back, type: goto, stepId: poll}]
  - {stepId: put, operationId: putThing, parameters: [{name: id, in: path, value: $steps.make.outputs.id}]}
  outputs: {id: $steps.make.outputs.id}
- workflowId: other
  steps: [{stepId: o, operationId: bill}]
- workflowId: called
  dependsOn: [other]
  steps: [{stepId: c, operationId: listThings}]
"""
DRAWING = """\
╭────▶● poll  GET /things
│   ╭─┼─ to make if $response.body#/state == 'on'
│ ╭─┼─┼─ to put if $response.body#/state == 'off'
├─┼─┼─┼─ to poll
│ │ │ ├─ on failure ↻ retry ≤ 4, after 2.5 s if $statusCode == 503
│ │ │ ╰─ on failure ✗ failed
│ │ │
│ │ ╰▶● make  POST /things
│ │   ├─ on failure ↻ retry ≤ 1, poll first
│ │   ├─ on failure to workflow other
│ │   │
│ │   ● call  workflow called
│ │   ├─ ■ end if $statusCode == 200
╰─┼───┼─ on failure to poll
  │   │
  ╰──▶● put   PUT /things/{id}
      │
      ■ end
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    (tmp_path / "api.yaml").write_text(API)
    path = tmp_path / "doc.yaml"
    path.write_text(DOCUMENT)
    return path


def explained(capsys: Captured, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["explain", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def sections(text: str) -> dict[str, list[list[str]]]:
    """Cells of the tables below each heading, of the first workflow."""
    found: dict[str, list[list[str]]] = {}
    for block in text.split("\n\n"):
        title, *lines = block.strip("\n").split("\n")
        if len(lines) > 1 and set(lines[1]) == {"-", " "} and title not in found:
            starts = [match.start() for match in re.finditer("-+", lines[1])]
            ends = [*starts[1:], None]
            found[title] = [
                [line[a:b].strip() for a, b in zip(starts, ends, strict=True)]
                for line in [lines[0], *lines[2:]]
            ]
    return found


def test_the_drawing(document: Path, capsys: Captured) -> None:
    text = explained(capsys, str(document), "--workflow", "main")
    assert text.startswith(f"main: A poll, and what follows\n\n{DRAWING}\nSteps\n")


def test_the_tables(document: Path, capsys: Captured) -> None:
    tables = sections(explained(capsys, str(document), "--workflow", "main"))
    key = "api: key or user + key or none"
    assert tables["Steps"] == [
        ["step", "calls", "after", "may go to", "retries", "credentials", "sent again"],
        ["poll", "GET /things", "poll, call", "make, put, poll,", "≤ 4, after 2.5 s", "", "yes, reads only"],
        ["", "", "", "failed", "", "", ""],
        [
            *["make", "POST /things", "poll", "workflow other", "≤ 1, poll first"],
            *["api: key or key + user", "by header Idempotency-Key, for 23 h"],
        ],
        ["call", "workflow called", "make", "end, poll", "", "", ""],
        ["put", "PUT /things/{id}", "poll, call", "", "", key, "yes"],
    ]
    assert tables["Inputs"] == [
        ["input", "type", "value", ""],
        ["n", "integer", "required", "How many"],
        ["m", "string | null", 'default "x"', ""],
        ["o", "number", "optional", ""],
        ["key", "", "from connection api, key", ""],
        ["pin", "", "from connection api, extra secrets.pin", ""],
    ]
    assert tables["What steps take"] == [
        ["step", "for", "value"],
        ["make", "body.count", "$inputs.n"],
        ["", "body.pin", "$inputs.pin (secret)"],
        ["", "body.lines[0].text", "$inputs.m"],
        ["put", "path id", "$steps.make.outputs.id"],
    ]
    assert tables["Outputs"] == [["output", "value"], ["id", "$steps.make.outputs.id"]]
    assert tables["Connections"] == [
        ["connection", "host", "credentials"],
        ["api", "https://eu.things.example/v1", "key: key in header X-Key; user: login and password"],
    ]


def test_every_workflow_is_explained_with_those_that_it_reaches(document: Path, capsys: Captured) -> None:
    text = explained(capsys, str(document))
    assert re.findall(r"^(main|other|called)\b", text, re.MULTILINE) == [
        *["main", "other", "called"],
        *["other"],
        *["called", "other"],
    ]
    assert "called\nruns after workflow other\n" in text
    assert text.count("\nOnce only: ") == 3, "each of them comes to the step that bills"
    assert text.count("no, once only") == 3
    reported = json.loads(explained(capsys, str(document), "--format", "json"))
    assert [[w["workflow"] for w in each["workflows"]] for each in reported] == [
        ["main", "other", "called"],
        ["other"],
        ["called", "other"],
    ]


def test_as_json(document: Path, capsys: Captured) -> None:
    ((main_workflow, *_),) = (
        each["workflows"]
        for each in json.loads(explained(capsys, str(document), "--workflow", "main", "--format", "json"))
    )
    make: dict[str, Any] = main_workflow["steps"][1]
    assert make["ways"] == [
        {"on": "success", "type": "next", "step": "call"},
        {"on": "failure", "type": "retry", "step": "poll", "name": "first", "limit": 1},
        {"on": "failure", "type": "goto", "workflow": "other", "name": "elsewhere"},
    ]
    assert make["idempotency"] == {"place": "header", "name": "Idempotency-Key"}
    assert make["takes"][1] == {
        "into": "body.pin",
        "expression": "$inputs.pin",
        "input": "pin",
        "secret": True,
    }
    assert document.read_text().splitlines()[make["line"] - 1] == "  - stepId: make"
    assert main_workflow["outputs"] == {"id": ["$steps.make.outputs.id"]}


def test_mermaid_is_of_one_workflow(document: Path, capsys: Captured) -> None:
    assert explained(capsys, str(document), "--workflow", "called", "--format", "mermaid").startswith(
        'flowchart TD\n  w0start(["called"])\n'
    )
    assert main(["explain", str(document), "--format", "mermaid"]) == 2
    assert capsys.readouterr().err == (
        "airflow-arazzo: --format mermaid draws one workflow; "
        "choose it with --workflow: main, other, called\n"
    )


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.stem)
def test_every_step_of_the_shipped_documents_is_drawn_and_listed_once(seed: Path, capsys: Captured) -> None:
    text = explained(capsys, str(seed))
    (plan,) = compile_document(seed).plans.values()
    steps = [step.id for step in plan.root.steps]
    assert re.findall(r"● (\S+) ", text) == steps
    listed = [row[0] for row in sections(text)["Steps"][1:] if row[0]]
    assert listed == steps
    for line in text.splitlines():
        assert line == line.rstrip()


def test_steps_that_nothing_leads_to(document: Path) -> None:
    steps = [step("a", always="c"), step("b"), step("c", always="end"), step("d", failure=["c"])]
    (workflow,) = explain(plan_of(*steps)).workflows
    assert draw(workflow) == [
        "  ● a  POST /a",
        "╭─┴─ to c",
        "│",
        "│ ○ b  POST /b  (nothing leads to this step)",
        "│ │",
        "├▶● c  POST /c",
        "│ ╰─ ■ end",
        "│",
        "│ ○ d  POST /d  (nothing leads to this step)",
        "╰─┼─ on failure to c if $statusCode == 401",
        "  │",
        "  ■ end",
    ]


def test_jumps_that_share_rows_are_drawn_beside_each_other() -> None:
    steps = [
        step("a", success=["d"]),
        step("b", success=["e"]),
        step("c", success=["a"]),
        step("d"),
        step("e"),
    ]
    (workflow,) = explain(plan_of(*steps)).workflows
    assert draw(workflow) == [
        "  ╭──▶● a  POST /a",
        "╭─┼───┼─ to d if $statusCode == 201",
        "│ │   │",
        "│ │   ● b  POST /b",
        "│ │ ╭─┼─ to e if $statusCode == 201",
        "│ │ │ │",
        "│ │ │ ● c  POST /c",
        "│ ╰─┼─┼─ to a if $statusCode == 201",
        "│   │ │",
        "╰───┼▶● d  POST /d",
        "    │ │",
        "    ╰▶● e  POST /e",
        "      │",
        "      ■ end",
    ]


def test_the_drawing_in_the_readme(document: Path, capsys: Captured) -> None:
    api = API.replace("/things/{id}:", "/reports/{id}:").replace(
        "put: {operationId: putThing}", "get: {operationId: get}"
    )
    (document.parent / "api.yaml").write_text(api.replace("/bills", "/invoices"))
    document.write_text(
        """
arazzo: 1.0.1
info: {title: T, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: w
  steps:
  - stepId: poll
    operationId: get
    parameters: [{name: id, in: path, value: x}]
    onSuccess:
    - {name: on, type: goto, stepId: bill, criteria: [{condition: $response.body#/state == 'done'}]}
    - {name: again, type: goto, stepId: poll}
    onFailure:
    - {name: r, type: retry, retryAfter: 2.5, retryLimit: 4, criteria: [{condition: $statusCode == 503}]}
    - {name: stop, type: end}
  - {stepId: bill, operationId: bill}
"""
    )
    drawing = explained(capsys, str(document)).split("\n\n")[1]
    assert f"```text\n{drawing}\n```" in (SPECS.parents[1] / "README.md").read_text()


def test_what_a_document_says_cannot_command_the_terminal(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "api.yaml").write_text(API)
    path = tmp_path / "doc.yaml"
    bad = '"x\\u001b[31m\\u202e\\n\\u009b"'
    text = DOCUMENT.replace("stepId: poll", f"stepId: {bad}").replace("A poll, and what follows", "X")
    path.write_text(text.replace("summary: X", f"summary: {bad}").replace("How many", bad))
    for form in ("text", "mermaid"):
        said = explained(capsys, str(path), "--workflow", "main", "--format", form)
        assert not [c for c in said if not c.isprintable() and c != "\n"]


def test_only_ascii_where_the_terminal_has_no_more(document: Path, capsys: Captured) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "airflow_arazzo.cli.main", "explain", str(document), "--workflow", "main"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    lines = found.stdout.decode("ascii").splitlines()
    assert lines[2] == "+---->* poll  GET /things"
    assert "\\u" not in found.stdout.decode("ascii")


def test_a_document_that_does_not_compile(document: Path, capsys: Captured) -> None:
    document.write_text(DOCUMENT.replace("operationId: putThing", "operationId: putThng"))
    assert main(["explain", str(document)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.match(
        rf"{re.escape(str(document))}:\d+:\d+: error: .*putThng.*did you mean 'putThing'", said.err
    )
