"""Small documents, compiled where a test needs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import Plan

API = """
openapi: 3.1.0
info: {title: An API, version: "1"}
servers: [{url: https://api.example}]
paths:
  /items:
    get: {operationId: list, parameters: [{name: cursor, in: query, schema: {type: string}}]}
    post:
      operationId: create
      requestBody:
        content: {application/json: {schema: {type: object, required: [name]}}}
  /items/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: read}
    put:
      operationId: replace
      requestBody: {content: {application/json: {schema: {type: object}}}}
    delete: {operationId: remove}
  /jobs: {get: {operationId: poll}, post: {operationId: start}}
  /token: {get: {operationId: peek}, post: {operationId: login}}
  /private:
    get:
      operationId: private
      security: [{key: []}]
components:
  securitySchemes:
    key: {type: http, scheme: bearer}
"""

HEAD = """
arazzo: {version}
info: {{title: A document, version: "1"}}
sourceDescriptions:
- {{name: api, url: api.yaml, type: openapi}}
{sources}
workflows:
"""

Compile = Callable[..., Plan]


@pytest.fixture(scope="session")
def compile_in() -> Compile:
    """Compiles the workflows of a document given as YAML, in a folder; the first is the one to run.

    Other documents are given by source name, as YAML of their workflows.
    """

    def write(path: Path, workflows: str, sources: str, version: str) -> Path:
        path.write_text(HEAD.format(version=version, sources=sources) + dedent(workflows))
        return path

    def compile_text(folder: Path, workflows: str, *, version: str = "1.0.1", **others: str) -> Plan:
        (folder / "api.yaml").write_text(API)
        for name, text in others.items():
            write(folder / f"{name}.arazzo.yaml", text, "", version)
        sources = "".join(f"- {{name: {name}, url: {name}.arazzo.yaml, type: arazzo}}\n" for name in others)
        path = write(folder / "main.arazzo.yaml", workflows, sources, version)
        first = dedent(workflows).split("workflowId:", 1)[1].split("\n", 1)[0].strip()
        return compile_workflow(path, first)[0]

    return compile_text


@pytest.fixture
def compiled(tmp_path: Path, compile_in: Compile) -> Compile:
    """Compiles as ``compile_in`` does, in a folder of the test's own."""
    return partial(compile_in, tmp_path)
