"""Arazzo documents for measurements, as many as wanted, with one OpenAPI description that they share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

STEPS = 3
"""Steps of each workflow."""

_DAG_FILE = 'from airflow_arazzo import arazzo_dags\n\narazzo_dags("{document}")\n'


def folder_of(folder: Path, *, documents: int, workflows: int, operations: int = 300) -> Path:
    """A folder with documents of so many workflows each, their source, and a DAG file for each in ``dags``.

    Documents are ``document_N.arazzo.yaml``; workflows ``workflow-N-M``.

    :param operations: of the OpenAPI description, half of them GET and half POST.
    """
    dags = folder / "dags"
    dags.mkdir(parents=True)
    (folder / "api.yaml").write_text(_yaml(_api(operations)))
    for index in range(documents):
        name = f"document_{index}.arazzo.yaml"
        (folder / name).write_text(_yaml(_document(index, workflows, operations)))
        (dags / f"document_{index}.py").write_text(_DAG_FILE.format(document=f"../{name}"))
    return folder


def _yaml(value: Any) -> str:
    return yaml.dump(json.loads(json.dumps(value)), Dumper=yaml.CSafeDumper, sort_keys=False)


def _api(operations: int) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for index in range((operations + 1) // 2):
        read = {
            "operationId": f"get{index}",
            "summary": f"One of the things of kind {index}.",
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                {"name": "expand", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
            ],
            "responses": _answers(index),
        }
        write = {
            "operationId": f"create{index}",
            "summary": f"Makes a thing of kind {index}.",
            "requestBody": {"required": True, "content": {"application/json": {"schema": _thing(index)}}},
            "responses": _answers(index),
        }
        paths[f"/things{index}/{{id}}"] = {"get": read}
        paths[f"/things{index}"] = {"post": write}
    properties = {f"field{number}": {"type": "string", "description": "A field."} for number in range(20)}
    thing = {"type": "object", "properties": {"id": {"type": "string"}, **properties}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Things", "version": "1.0.0"},
        "servers": [{"url": "https://things.example.com"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}},
            "schemas": {f"Thing{index}": thing for index in range((operations + 1) // 2)},
        },
    }


def _thing(index: int) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/Thing{index}"}


def _answers(index: int) -> dict[str, Any]:
    content = {"application/json": {"schema": _thing(index)}}
    return {"200": {"description": "The thing.", "content": content}}


def _document(index: int, workflows: int, operations: int) -> dict[str, Any]:
    return {
        "arazzo": "1.0.1",
        "info": {"title": f"Document {index}", "version": "1.0.0"},
        "sourceDescriptions": [{"name": "things", "url": "api.yaml", "type": "openapi"}],
        "workflows": [_workflow(index, number, operations // 2) for number in range(workflows)],
    }


def _workflow(document: int, number: int, kinds: int) -> dict[str, Any]:
    """Make a thing, read it, make another from it."""
    first, second = (document + number) % kinds, (document + number + 1) % kinds
    return {
        "workflowId": f"workflow-{document}-{number}",
        "summary": "Makes a thing, reads it, and makes another from it.",
        "inputs": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "note": {"type": "string"}},
        },
        "steps": [
            {
                "stepId": "create",
                "operationId": f"create{first}",
                "requestBody": _body({"field0": "$inputs.name", "field1": "$inputs.note"}),
                "successCriteria": [{"condition": "$statusCode == 200"}],
                "outputs": {"id": "$response.body#/id"},
            },
            {
                "stepId": "read",
                "operationId": f"get{first}",
                "parameters": [{"name": "id", "in": "path", "value": "$steps.create.outputs.id"}],
                "successCriteria": [{"condition": "$statusCode == 200"}],
                "outputs": {"name": "$response.body#/field0"},
            },
            {
                "stepId": "copy",
                "operationId": f"create{second}",
                "requestBody": _body({"field0": "$steps.read.outputs.name"}),
                "successCriteria": [{"condition": "$statusCode == 200"}],
                "outputs": {"id": "$response.body#/id"},
            },
        ],
        "outputs": {"id": "$steps.copy.outputs.id"},
    }


def _body(payload: dict[str, Any]) -> dict[str, Any]:
    return {"contentType": "application/json", "payload": payload}
