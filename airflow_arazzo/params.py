"""Inputs of a workflow as DAG params: what the trigger form asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from airflow.sdk import Param

from airflow_arazzo.form import for_the_form
from airflow_arazzo.operators.period import END, START
from airflow_arazzo.plan.model import Workflow

OPTIONAL = "Optional inputs"
"""Title of the part of the trigger form that is folded: what may be left empty."""


def workflow_params(workflow: Workflow, bound: Iterable[str] = ()) -> dict[str, Param]:
    """Params for the inputs of a workflow, in the order of its schema.

    An optional input may be left empty: its type then allows null, and null means absent. Where there are
    required ones, too, the optional ones stand in a part of the form that is folded at first.

    :param bound: inputs whose values the DAG gives, so that nobody is asked for them.
    """
    properties: Mapping[str, Any] = workflow.inputs.get("properties") or {}
    given = frozenset(bound)
    asked = {name: schema for name, schema in properties.items() if name not in given}
    required = frozenset(workflow.inputs.get("required") or ()) & asked.keys()
    return {
        name: input_param(
            name,
            schema if isinstance(schema, dict) else {},
            required=name in required,
            section=OPTIONAL if required and name not in required else "",
        )
        for name, schema in asked.items()
    }


def period_params(*, required: bool) -> dict[str, Param]:
    """Params by which a run without a period of its own states one.

    They are texts and not date pickers, which send moments in the time zone of the person who picks.

    :param required: whether every run has to, as there is no schedule.
    """
    return {
        START: _period_param("Period from", "First day", required),
        END: _period_param("Period to", "First day after the end", required),
    }


def _period_param(title: str, what: str, required: bool) -> Param:
    description = f"{what} of the period that this run is for, {_WRITTEN}"
    form: dict[str, Any] = {"title": title, "pattern": _MOMENT, "examples": ["2026-03-01"]}
    if required:
        return Param(description=description, type="string", **form)
    return Param(None, description=description, type=["string", "null"], section="Period", **form)


_MOMENT = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$"
_WRITTEN = (
    "such as 2026-03-01, in the time zone of the schedule; or a moment, such as 2026-03-01T06:00:00+01:00. "
    "Scheduled runs have their own period."
)


def input_param(name: str, schema: Mapping[str, Any], *, required: bool, section: str = "") -> Param:
    """A param for one input.

    :param section: title of the part of the form that it stands in, unless its schema names one; the form's
        own first part when empty.
    """
    form = plain_json({key: value for key, value in _without_fractions(schema).items() if key not in _TAKEN})
    for_the_form(form, schema.get("default"))
    form.setdefault("title", name)
    if section:
        form.setdefault("section", section)
    description = str(schema.get("description", "")).strip() or None
    if description and "<" not in description:
        # The form shows Markdown, which is what descriptions are, only where there is no other description.
        # It leaves out HTML: a text with something like <id> in it stays as it is.
        form["description_md"], description = description, None
    if "default" in schema:
        return Param(plain_json(schema["default"]), description=description, **form)
    if required:
        return Param(description=description, **form)
    return Param(None, description=description, **_with_null(form))


def _with_null(form: dict[str, Any]) -> dict[str, Any]:
    """The schema, null allowed. The trigger form goes by the outermost type and enum, so those stay."""
    if not (_DECIDING | {"type", "enum"}) & form.keys():
        return form
    widened = dict(form)
    declared = form.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared or ())
    if kinds:
        widened["type"] = [*kinds, *(["null"] if "null" not in kinds else [])]
    if "enum" in form:
        widened["enum"] = [*form["enum"], *([None] if None not in form["enum"] else [])]
    deciding = {name: widened.pop(name) for name in _DECIDING & form.keys()}
    if deciding:
        widened["anyOf"] = [deciding, {"type": "null"}]
    return widened


_TAKEN = frozenset({"default", "description", "source", "schema"})
"""Names that are arguments of :class:`airflow.sdk.Param` itself."""

_DECIDING = frozenset({"const", "anyOf", "oneOf", "allOf", "not", "if", "then", "else"})
"""Keywords that can refuse null whatever the type says."""


def _without_fractions(schema: Any) -> Any:
    """The schema without ``multipleOf`` 0.01 and its kin: with floats, 10.10 is no multiple of that.

    The engine checks it before anything is sent, with decimals.
    """
    if isinstance(schema, dict):
        return {
            key: _without_fractions(member)
            for key, member in schema.items()
            if not (key == "multipleOf" and isinstance(member, Decimal | float) and member % 1)
        }
    if isinstance(schema, list | tuple):
        return [_without_fractions(item) for item in schema]
    return schema


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
