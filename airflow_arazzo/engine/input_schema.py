"""Inputs measured against a workflow's JSON Schema (2020-12)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from airflow_arazzo.description.diagnostics import Diagnostic
from airflow_arazzo.engine.inputs import finding
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.expression.pointer import format_pointer
from airflow_arazzo.plan.model import Workflow

_DECIMAL = re.compile(r"Decimal\('([^']*)'\)")
_LONGEST = 200


def schema_findings(workflow: Workflow, values: dict[str, Any]) -> list[Diagnostic]:
    """Everything in which values do not fit a workflow's schema."""
    try:
        errors = sorted(
            _validator(workflow.inputs).iter_errors(values), key=lambda error: [str(p) for p in error.path]
        )
    except Exception as error:  # a schema that is wrong in itself must not look like a fault of the inputs
        return [finding("input-schema", f"the inputs' schema cannot be applied: {error}")]
    properties = workflow.inputs.get("properties") or {}
    # A schema that repeats itself, as parts of allOf do, says the same of the same value several times.
    return list(dict.fromkeys(_explained(error, properties) for error in errors))


def _validator(schema: dict[str, Any]) -> Validator:
    """The validator of a schema; making one costs as much as several steps of a workflow.

    A validator keeps its schema alive, so that no other can come to have the same id.
    """
    known = _validators.get(id(schema))
    if known is None:
        if len(_validators) >= _VALIDATORS:
            _validators.clear()
        known = _validators[id(schema)] = _Exact(schema, format_checker=_FORMATS)
    return known


def _is_integer(checker: Any, instance: Any) -> bool:
    if isinstance(instance, Decimal):
        return instance.is_finite() and instance == instance.to_integral_value()
    return isinstance(instance, int) and not isinstance(instance, bool)


_Exact = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
)
_FORMATS = FormatChecker()
_VALIDATORS = 64
_validators: dict[int, Validator] = {}


def _explained(error: ValidationError, properties: Mapping[str, Any]) -> Diagnostic:
    if error.validator == "required" and not error.path:
        name = next(n for n in _demanded(error) if error.message.startswith(repr(n)))
        return finding("missing-input", f"input {name!r} is required", _about(properties.get(name)))
    name = str(error.path[0]) if error.path else ""
    deeper = format_pointer(str(part) for part in list(error.path)[1:])
    where = f"input {name!r}{' at ' + deeper if deeper else ''}" if name else "the inputs"
    hint = "leave it out" if error.instance is None and len(error.path) == 1 else ""
    return finding("wrong-input", f"{where}: {_message(error)}", hint)


def _demanded(error: ValidationError) -> list[str]:
    """The names that a failed ``required`` demands."""
    return [str(name) for name in error.validator_value] if isinstance(error.validator_value, list) else []


def _message(error: ValidationError) -> str:
    """What is wrong with a value, as JSON would write it, and not at any length."""
    if error.validator == "type":
        declared = error.validator_value
        kinds = [str(kind) for kind in declared] if isinstance(declared, list) else [str(declared)]
        value = encode_json(error.instance).decode()
        return f"{_shortened(value)} is not of type {' or '.join(kinds)}"
    return _shortened(_DECIMAL.sub(r"\1", error.message))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _about(schema: Any) -> str:
    if not isinstance(schema, dict):
        return ""
    kind = schema.get("type")
    said = str(schema.get("description") or schema.get("title") or "").strip().split("\n")[0]
    return ", ".join(part for part in (str(kind) if kind else "", said) if part)
