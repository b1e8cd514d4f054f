"""What tests of plans share: a project of a few files, compiled."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from airflow_arazzo.plan.compiler import Compilation, compile_document
from airflow_arazzo.plan.model import OperationCall, Parameter, Plan, Step
from airflow_arazzo.plan.options import Options

API = """
openapi: 3.1.0
info: {title: Things}
servers: [{url: https://things.example/v1}]
paths:
  /things:
    get:
      operationId: listThings
      parameters:
      - {name: limit, in: query, schema: {type: integer}}
      - {name: code, in: query, schema: {type: string}}
      - {name: both, in: query}
      - {name: both, in: header}
      - {name: X-Trace, in: header, schema: {type: string}}
      responses: {'200': {description: ok, content: {application/json: {}, text/csv: {}}}}
    post:
      operationId: createThing
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [name]
              properties:
                name: {type: string}
                amount: {type: number}
                count: {type: integer}
                code: {type: string}
                codes: {type: array, items: {type: string}}
                nested: {type: object, properties: {code: {type: string}}}
                loose: {type: [string, integer]}
  /things/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: getThing, summary: Gets one}
    put: {operationId: putThing}
  /only: {get: {operationId: only}}
"""


class Project:
    """Files in a folder, and what comes of compiling them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("api.yaml", API)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def document(
        self,
        workflows: str,
        name: str = "main.yaml",
        version: str = "1.0.1",
        sources: str = "",
        rest: str = "",
    ) -> Path:
        """Write a document whose source is ``api``, unless others are given."""
        sources = sources or "- {name: api, url: api.yaml, type: openapi}"
        head = f"arazzo: {version}\ninfo: {{title: T, version: '1'}}\nsourceDescriptions:\n{sources}\n"
        return self.write(name, head + "workflows:\n" + textwrap.dedent(workflows).strip("\n") + "\n" + rest)

    def compile(self, workflows: str, **options: str) -> Compilation:
        return compile_document(self.document(workflows, **options), Options())

    def plan(self, workflows: str, **options: str) -> Plan:
        """The plan of the first workflow, which must compile."""
        result = self.compile(workflows, **options)
        assert not result.failed, "\n".join(map(str, result.diagnostics))
        return next(iter(result.plans.values()))

    def step(self, step: str, inputs: str = "", **options: str) -> Step:
        """The plan's only step; given as lines of YAML without ``stepId``."""
        return self.plan(one_step(step, inputs), **options).root.steps[0]

    def call(self, step: str, inputs: str = "", **options: str) -> OperationCall:
        called = self.step(step, inputs, **options).call
        assert isinstance(called, OperationCall)
        return called


def one_step(step: str, inputs: str = "") -> str:
    """A workflow with one step."""
    declared = f"  inputs: {{type: object, properties: {{{inputs}}}}}\n" if inputs else ""
    lines = textwrap.indent(textwrap.dedent(step).strip("\n"), "    ")
    return f"- workflowId: w\n{declared}  steps:\n  - stepId: s\n{lines}\n"


def codes(result: Compilation, *, notes: bool = False) -> list[str]:
    """Codes of the findings that are no notes, in order."""
    return [d.code for d in result.diagnostics if notes or d.severity != "note"]


def parameters(call: OperationCall) -> dict[str, Parameter]:
    """Parameters by ``place:name``."""
    return {f"{p.place}:{p.name}": p for p in call.parameters}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
