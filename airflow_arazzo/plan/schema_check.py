"""Whether a workflow's inputs are JSON Schema 2020-12, so that no run stumbles over them.

Written out here, because loading a validator takes longer than compiling most documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.references import BrokenReference, resolve
from airflow_arazzo.description.sources import Library

_TYPES = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) and value else [value]
    return all(isinstance(name, str) and name in _TYPES for name in names)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except re.error:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict | bool)


def _is_schemas(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


def _is_schema_map(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_schema, value.values()))


Rule = tuple[Callable[[Any], bool], str]


def _rules(names: str, accepts: Callable[[Any], bool], expected: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), (accepts, expected))


_ONE = "items additionalProperties contains propertyNames not if then else"
_MANY = "allOf anyOf oneOf prefixItems"
_NAMED = "properties patternProperties dependentSchemas $defs"
_LIMITS = "minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains"
_RULES: dict[str, Rule] = {
    **_rules("type", _is_type, "a JSON type, or a list of them"),
    **_rules("required", _is_names, "an array of names"),
    **_rules("enum", lambda value: isinstance(value, list), "an array"),
    **_rules("minimum maximum exclusiveMinimum exclusiveMaximum", _is_number, "a number"),
    **_rules("multipleOf", lambda value: _is_number(value) and value > 0, "a number greater than 0"),
    **_rules(_LIMITS, _is_count, "an integer of 0 or more"),
    **_rules("uniqueItems", lambda value: isinstance(value, bool), "a boolean"),
    **_rules("pattern", _is_pattern, "a regular expression"),
    **_rules("format", _is_text, "a text"),
    **_rules(_ONE, _is_schema, "a schema"),
    **_rules(_MANY, _is_schemas, "an array of schemas"),
    **_rules(_NAMED, _is_schema_map, "an object of schemas"),
}


def check_schema(schema: dict[str, Any], at: Location, library: Library, report: Report) -> None:
    """Report every keyword of a schema (its references followed) that no validator could use.

    :param at: where the schema stands in its document, references not followed.
    """
    for name, value in schema.items():
        if name not in _RULES:
            continue
        accepts, expected = _RULES[name]
        place = _member(at, name, library)
        if not accepts(value):
            report.error("invalid-schema", f"{name!r} of a schema must be {expected}", place)
        elif name in _NAMED.split():
            for key, inner in value.items():
                if name == "patternProperties" and not _is_pattern(key):
                    report.error("invalid-schema", f"{key!r} is no regular expression", place)
                _check_inner(inner, _member(place, key, library), library, report)
        elif name in _MANY.split():
            for index, inner in enumerate(value):
                _check_inner(inner, _member(place, index, library), library, report)
        elif name in _ONE.split():
            _check_inner(value, place, library, report)


def _check_inner(schema: Any, at: Location, library: Library, report: Report) -> None:
    if isinstance(schema, dict):
        check_schema(schema, at, library, report)


def _member(at: Location, token: str | int, library: Library) -> Location:
    """A member or item of a schema, wherever its references lead; the schema itself where it has none."""
    for outer in (at, _resolved(at, library)):
        try:
            return outer / token
        except (KeyError, IndexError, TypeError):
            continue
    return at


def _resolved(at: Location, library: Library) -> Location:
    try:
        return resolve(at, library)
    except BrokenReference:
        return at
