"""Inputs of a workflow as DAG params: what the trigger form asks for."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from airflow.sdk import Param
from msgspec import UNSET

from airflow_arazzo.form import FormInput
from airflow_arazzo.operators.period import END, START

OPTIONAL = "Optional inputs"
"""Title of the part of the trigger form that is folded: what may be left empty."""


def workflow_params(inputs: Iterable[FormInput], bound: Container[str] = ()) -> dict[str, Param]:
    """Params for the inputs of a workflow, in their order.

    An optional input may be left empty: its type then allows null, and null means absent. Where there are
    required ones, too, the optional ones stand in a part of the form that is folded at first.

    :param bound: inputs whose values the DAG gives, so that nobody is asked for them.
    """
    asked = [each for each in inputs if each.name not in bound]
    folded = OPTIONAL if any(each.required for each in asked) else ""
    return {each.name: input_param(each, section="" if each.required else folded) for each in asked}


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


def input_param(asked: FormInput, *, section: str = "") -> Param:
    """A param for one input.

    :param section: title of the part of the form that it stands in, unless its schema names one; the form's
        own first part when empty.
    """
    schema = (
        {**asked.schema, "section": section} if section and "section" not in asked.schema else asked.schema
    )
    if asked.default is UNSET:
        return Param(description=asked.description, **schema)
    return Param(asked.default, description=asked.description, **schema)
