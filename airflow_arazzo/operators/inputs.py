"""Inputs of a run, as params and arguments give them to a task."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.engine.inputs import cast_text
from airflow_arazzo.operators.exchange import from_xcom
from airflow_arazzo.plan.model import Workflow


def given_inputs(
    workflow: Workflow,
    context: Any,
    bound: Mapping[str, Any],
    declared: Collection[str],
    *,
    use_params: bool,
) -> dict[str, Any]:
    """Values by input name, texts of arguments cast to the types of the schema.

    :param bound: values that the DAG gives, rendered; they may be outputs of other tasks.
    :param declared: the params of the DAG; the run's also hold whatever else its configuration does.
    :param use_params: whether inputs that are not bound come from the run's params.
    :raises AirflowFailException: for a value that cannot be cast, and for a configuration of the run that
        would be lost: Airflow accepts any key in it.
    """
    properties = workflow.inputs.get("properties") or {}
    given: dict[str, Any] = {}
    if use_params:
        conf = _conf(context)
        _refuse_lost(workflow, context["params"], conf, bound, declared)
        given = {
            name: value
            for name, value in context["params"].items()
            if name in properties and not _left_empty(name, value, properties[name], conf)
        }
        if _takes_any_name(workflow):
            given |= {name: value for name, value in conf.items() if name not in declared}
    for name, value in bound.items():
        try:
            given[name] = _bound_value(value, properties.get(name))
        except ValueError as error:
            raise AirflowFailException(f"Nothing was sent. Input {name!r} {error}") from None
    return given


def _left_empty(name: str, value: Any, schema: Any, conf: Mapping[str, Any]) -> bool:
    """Whether a param is None because nobody gave it a value, and not because null was chosen.

    Airflow's trigger form sends every param, empty ones as null; so it counts whether null is a choice.
    """
    if value is not None or not isinstance(schema, dict):
        return False
    declared = schema.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared or ())
    refuses = bool(kinds) and "null" not in kinds
    return refuses or (name not in conf and "default" not in schema)


def _bound_value(value: Any, schema: Any) -> Any:
    return cast_text(value, schema) if isinstance(value, str) else from_xcom(value)


def _conf(context: Any) -> dict[str, Any]:
    run = context.get("dag_run")
    return dict((run.conf if run else None) or {})


def _takes_any_name(workflow: Workflow) -> bool:
    extra = workflow.inputs.get("additionalProperties", False)
    return extra is not False or "patternProperties" in workflow.inputs


def _refuse_lost(
    workflow: Workflow,
    params: Mapping[str, Any],
    conf: Mapping[str, Any],
    bound: Mapping[str, Any],
    declared: Collection[str],
) -> None:
    properties = workflow.inputs.get("properties") or {}
    for name, value in conf.items():
        if name in workflow.credentials:
            raise AirflowFailException(
                f"Nothing was sent. The run's configuration holds {name!r}, which is a credential: it comes "
                f"from the connection. It is now stored with the run: change that credential."
            )
        if name in declared:
            if params[name] != value:
                raise AirflowFailException(
                    f"Nothing was sent. The run's configuration gives {name!r}, and Airflow does not pass it "
                    f"on: see [core] dag_run_conf_overrides_params."
                )
        elif name in bound:
            raise AirflowFailException(
                f"Nothing was sent. Input {name!r} is given by the DAG; the run's configuration cannot "
                f"change it."
            )
        elif name not in properties and not _takes_any_name(workflow):
            hint = did_you_mean(name, [each for each in properties if each not in bound])
            raise AirflowFailException(
                f"Nothing was sent. There is no input {name!r}{f'; {hint}' if hint else ''}"
            )
