"""Inputs of a workflow: their JSON Schema with references resolved, and which names it declares."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.fields import lexeme
from airflow_arazzo.description.references import BrokenReference, resolve
from airflow_arazzo.description.sources import Library
from airflow_arazzo.plan.schema_check import check_schema
from airflow_arazzo.plan.templates import plain

MAX_DEPTH = 16
"""How deep ``allOf`` is looked into for the places of inputs."""

MAX_SIZE = 50_000
"""How many values a schema may have once its references are followed."""


@dataclass(frozen=True)
class InputSchema:
    """A workflow's inputs.

    :param schema: JSON Schema 2020-12 without references; empty when the workflow declares no inputs.
    :param is_open: whether inputs that are not declared are accepted too.
    :param places: where each declared input stands.
    """

    schema: dict[str, Any] = field(default_factory=dict)
    is_open: bool = False
    places: dict[str, Location] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Declared inputs."""
        return frozenset(_object(self.schema.get("properties")))

    @property
    def required(self) -> frozenset[str]:
        """Inputs that must be there."""
        return frozenset(_names(self.schema.get("required")))

    @property
    def secrets(self) -> frozenset[str]:
        """Inputs that the schema marks as secret: ``format: password`` or ``writeOnly``."""
        return frozenset(
            name
            for name, schema in _object(self.schema.get("properties")).items()
            if isinstance(schema, dict)
            and (schema.get("format") == "password" or schema.get("writeOnly") is True)
        )


def read_inputs(at: Location | None, library: Library, report: Report) -> InputSchema:
    """Read the ``inputs`` of a workflow; findings go into ``report``."""
    if at is None:
        return InputSchema()
    try:
        schema = _Inliner(library, report).schema(at)
        places = _property_places(at, library, 0)
    except BrokenReference as broken:
        report.error("broken-reference", broken.message, broken.at)
        return InputSchema(is_open=True)
    if not isinstance(schema, dict):
        return InputSchema(is_open=True)
    check_schema(schema, at, library, report)
    merged = _merge_all_of(schema)
    is_open = merged.get("additionalProperties", False) is not False or "patternProperties" in merged
    return InputSchema(merged, is_open, places)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class _Inliner:
    """Puts the targets of references in their place.

    A schema that contains itself has no end, so where it does, anything is accepted (with a warning).
    """

    def __init__(self, library: Library, report: Report) -> None:
        self.library = library
        self.report = report
        self.open: list[Location] = []
        self.size = 0

    def schema(self, at: Location) -> Any:
        """A schema with every ``$ref`` replaced by its target; members beside a ``$ref`` are kept.

        :raises BrokenReference: when a reference leads nowhere, or the schema grows out of bounds.
        """
        self.size += 1
        if self.size > MAX_SIZE:
            raise BrokenReference(at, "with its references followed, the schema is too large")
        value = at.value
        if isinstance(value, list):
            return [self.schema(item) for item in at.items()]
        if not isinstance(value, dict):
            return plain(value)
        result = {name: self.schema(member) for name, member in at.members() if name != "$ref"}
        if value.get("type") == "string":
            result |= {name: _as_text(value[name]) for name in ("default", "const", "enum") if name in value}
        self.heal_required(result, at)
        if not isinstance(value.get("$ref"), str):
            return result
        target = self.referenced(at)
        return {**target, **result} if isinstance(target, dict) else target

    def heal_required(self, schema: dict[str, Any], at: Location) -> None:
        """Read ``required: true`` in a property as earlier drafts of JSON Schema did: of the object."""
        for name, inner in _object(schema.get("properties")).items():
            if not isinstance(inner, dict) or not isinstance(inner.get("required"), bool):
                continue
            place = at / "properties" / name
            message = f"'required' of the property {name!r} is a boolean, which is no JSON Schema"
            hint = "list the names of required properties in 'required' of the object"
            self.report.warning("required-property", message, place.get("required") or place, hint)
            if inner.pop("required") and isinstance(schema.setdefault("required", []), list):
                schema["required"] = [*dict.fromkeys([*schema["required"], name])]

    def referenced(self, at: Location) -> Any:
        """The schema that the reference at a location leads to."""
        target = resolve(at, self.library)
        if target in self.open:
            message = "the schema contains itself; from here on anything is accepted"
            self.report.warning("recursive-schema", message, at / "$ref")
            return {}
        self.open.append(target)
        try:
            return self.schema(target)
        finally:
            self.open.pop()


def _as_text(value: Any) -> Any:
    """A literal for a place that holds text: ``007`` and ``1.10`` as they are written."""
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return lexeme(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else plain(value)


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
    for part in _list(schema.get("allOf")):
        if isinstance(part, dict):
            part = _merge_all_of(part)
            properties.update(_object(part.get("properties")))
            required.update(_names(part.get("required")))
    properties.update(_object(schema.get("properties")))
    required.update(_names(schema.get("required")))
    merged = dict(schema)
    if properties:
        merged["properties"] = properties
    if required:
        merged["required"] = list(required)
    return merged


def _names(required: Any) -> dict[str, None]:
    return dict.fromkeys(name for name in _list(required) if isinstance(name, str))
