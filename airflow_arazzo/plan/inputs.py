"""Inputs of a workflow: their JSON Schema with references resolved, and which names it declares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.references import BrokenReference, resolve
from airflow_arazzo.description.sources import Library
from airflow_arazzo.plan.templates import plain

MAX_DEPTH = 32


@dataclass(frozen=True)
class InputSchema:
    """A workflow's inputs.

    :param schema: JSON Schema 2020-12 without references; empty when the workflow declares no inputs.
    :param names: declared input names, or None when the schema allows any name.
    :param places: where each declared input stands.
    """

    schema: dict[str, Any] = field(default_factory=dict)
    names: frozenset[str] | None = frozenset()
    places: dict[str, Location] = field(default_factory=dict)

    @property
    def secrets(self) -> frozenset[str]:
        """Inputs that the schema marks as secret: ``format: password`` or ``writeOnly``."""
        return frozenset(
            name
            for name, schema in self.schema.get("properties", {}).items()
            if isinstance(schema, dict)
            and (schema.get("format") == "password" or schema.get("writeOnly") is True)
        )


def read_inputs(at: Location | None, library: Library, report: Report) -> InputSchema:
    """Read the ``inputs`` of a workflow; findings go into ``report``."""
    if at is None:
        return InputSchema()
    try:
        schema = _inlined(at, library, 0)
        places = _property_places(at, library, 0)
    except BrokenReference as broken:
        report.error("broken-reference", broken.message, broken.at)
        return InputSchema(names=None)
    if not isinstance(schema, dict):
        return InputSchema(names=None)
    merged = _merge_all_of(schema)
    open_ended = merged.get("additionalProperties", False) is not False or "patternProperties" in merged
    names = None if open_ended else frozenset(merged.get("properties", {}))
    return InputSchema(merged, names, places)


def _inlined(at: Location, library: Library, depth: int) -> Any:
    """A schema with every ``$ref`` replaced by its target; members beside a ``$ref`` are kept."""
    if depth > MAX_DEPTH:
        raise BrokenReference(at, "the schema is nested too deeply, or refers to itself")
    value = at.value
    if isinstance(value, list):
        return [_inlined(item, library, depth + 1) for item in at.items()]
    if not isinstance(value, dict):
        return plain(value)
    own = {name: member for name, member in at.members() if name != "$ref"}
    result = {name: _inlined(member, library, depth + 1) for name, member in own.items()}
    if isinstance(value.get("$ref"), str):
        target = _inlined(resolve(at, library), library, depth + 1)
        return {**target, **result} if isinstance(target, dict) else target
    return result


def _property_places(at: Location, library: Library, depth: int) -> dict[str, Location]:
    at = resolve(at, library)
    properties = at.get("properties")
    places = dict(properties.members()) if properties else {}
    combined = at.get("allOf")
    for item in combined.items() if combined and depth < MAX_DEPTH else ():
        places = {**_property_places(item, library, depth + 1), **places}
    return places


def _merge_all_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with properties and required of its ``allOf`` beside its own, so that a form can show them.

    ``allOf`` itself stays, so that nothing is lost for validation.
    """
    properties: dict[str, Any] = {}
    required: dict[str, None] = {}
    for part in schema.get("allOf", []):
        if isinstance(part, dict):
            part = _merge_all_of(part)
            properties.update(part.get("properties", {}))
            required.update(dict.fromkeys(part.get("required", [])))
    own = schema.get("properties", {})
    properties.update(own if isinstance(own, dict) else {})
    required.update(
        dict.fromkeys(schema.get("required", []) if isinstance(schema.get("required"), list) else [])
    )
    merged = dict(schema)
    if properties:
        merged["properties"] = properties
    if required:
        merged["required"] = list(required)
    return merged
