"""Inputs of a workflow as DAG params: what the trigger form asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from airflow.sdk import Param

from airflow_arazzo.engine.inputs import allows_null
from airflow_arazzo.plan.model import Workflow


def workflow_params(workflow: Workflow, bound: Iterable[str] = ()) -> dict[str, Param]:
    """Params for the inputs of a workflow, in the order of its schema.

    An optional input may be left empty: its type then allows null, and null means absent.

    :param bound: inputs whose values the DAG gives, so that nobody is asked for them.
    """
    properties: Mapping[str, Any] = workflow.inputs.get("properties") or {}
    required = frozenset(workflow.inputs.get("required") or ())
    given = frozenset(bound)
    return {
        name: input_param(name, schema if isinstance(schema, dict) else {}, required=name in required)
        for name, schema in properties.items()
        if name not in given
    }


def input_param(name: str, schema: Mapping[str, Any], *, required: bool) -> Param:
    """A param for one input."""
    form = {key: plain_json(value) for key, value in schema.items() if key not in ("default", "description")}
    form.setdefault("title", name)
    description = str(schema["description"]).strip() if "description" in schema else None
    if "default" in schema:
        return Param(plain_json(schema["default"]), description=description, **form)
    if required:
        return Param(description=description, **form)
    return Param(None, description=description, **_with_null(form))


def _with_null(form: dict[str, Any]) -> dict[str, Any]:
    """The schema, null allowed."""
    if allows_null(form) or not {"type", "enum", "const", "anyOf", "oneOf", "allOf", "not"} & form.keys():
        return form
    if "type" not in form and "enum" not in form:
        keep = {
            key: value for key, value in form.items() if key in ("title", "format", "examples", "section")
        }
        rest = {key: value for key, value in form.items() if key not in keep}
        return {**keep, "anyOf": [rest, {"type": "null"}]}
    widened = dict(form)
    declared = form.get("type")
    if declared is not None:
        widened["type"] = [*([declared] if isinstance(declared, str) else declared), "null"]
    if "enum" in form:
        widened["enum"] = [*form["enum"], None]
    return widened


def plain_json(value: Any) -> Any:
    """A value with floats in place of decimals: Airflow stores params as ordinary JSON."""
    if isinstance(value, Decimal):
        return (
            int(value)
            if value == value.to_integral_value() and value.as_tuple().exponent == 0
            else float(value)
        )
    if isinstance(value, dict):
        return {key: plain_json(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    return value
