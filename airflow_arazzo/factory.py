"""All workflows of a document as DAGs, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import get_parsing_context

from airflow_arazzo.dag import ArazzoDag, MissingInputs
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.ledger.declare import operation_names
from airflow_arazzo.loading import BrokenDocument, PathLike, absolute, beside, broken, load, options_of
from airflow_arazzo.operators.graph import task_names
from airflow_arazzo.plan.cache import load_ids
from airflow_arazzo.tasks import UnknownName


def arazzo_dags(
    document: PathLike,
    *,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
    dag_id_prefix: str = "",
    **kwargs: Any,
) -> dict[str, ArazzoDag]:
    """Make a DAG of every workflow of a document.

    While Airflow runs a task it parses the DAG file for that task's DAG alone; only that one is made then.

    :param document: the Arazzo document; a relative path starts from the folder of the calling file.
    :param workflows: arguments for single workflows, by workflow id, on top of those for all. When given,
        only these workflows become DAGs.
    :param dag_id_prefix: put before the DAG ids, which are the workflows' ids.
    :param kwargs: arguments of :class:`~airflow_arazzo.dag.ArazzoDag` for all of them. ``connections`` and
        ``idempotency`` may name what only some of the workflows use.
    :return: DAGs by workflow id. They register themselves; nothing needs to be done with them.
    :raises BrokenDocument: when the document cannot be read, or a workflow does not compile.
    """
    path, caller = absolute(document)
    wanted = get_parsing_context().dag_id
    own = workflows or {}
    chosen = list(_ids(path, caller, kwargs) if workflows is None else workflows)
    ids = dict(zip(chosen, task_names(chosen), strict=True))
    calls: dict[str, dict[str, Any]] = {}
    for workflow_id in chosen:
        arguments = {"dag_id": dag_id_prefix + ids[workflow_id], **kwargs}
        if wanted in (None, own.get(workflow_id, {}).get("dag_id", arguments["dag_id"])):
            calls[workflow_id] = arguments
    dags: dict[str, ArazzoDag] = {}
    try:
        if len(chosen) > 1 and any(kwargs.get(name) for name in _SHARED):
            _divide(path, caller, calls, own, complete=wanted is None)
        for workflow_id, arguments in calls.items():
            dags[workflow_id] = ArazzoDag(path, workflow_id, **{**arguments, **own.get(workflow_id, {})})
    except (BrokenDocument, MissingInputs, UnknownName) as error:
        raise error.with_traceback(None) from None
    return dags


_SHARED = ("connections", "idempotency")
"""Arguments that name sources and operations, which not every workflow of a document uses."""


def _divide(
    path: Path,
    caller: str,
    calls: Mapping[str, dict[str, Any]],
    own: Mapping[str, Mapping[str, Any]],
    *,
    complete: bool,
) -> None:
    """Leave to each workflow what is for it; what is for none of them stays, so that it is an error.

    :param calls: arguments by workflow id, changed in place.
    :param own: arguments for single workflows.
    :param complete: whether these are all the workflows that the arguments are for.
    """
    names = {}
    for workflow_id, common in calls.items():
        arguments = {**common, **own.get(workflow_id, {})}
        plan, _ = load(
            path,
            workflow_id,
            sources=arguments.get("sources"),
            source_path=arguments.get("source_path", ()),
            strict=arguments.get("strict", False),
            overlays=beside(caller, arguments.get("overlays", ())),
            parallel=arguments.get("parallel", False),
        )
        names[workflow_id] = {*plan.sources, *operation_names(plan)}
    everywhere = set().union(*names.values())
    for workflow_id, arguments in calls.items():
        for argument in _SHARED:
            given = arguments.get(argument) or {}
            arguments[argument] = {
                name: value
                for name, value in given.items()
                if name in names[workflow_id] or (complete and name not in everywhere)
            }


def _ids(path: Path, caller: str, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Ids of the workflows of a document, with the overlays that all of them get."""
    sources, source_path = kwargs.get("sources"), kwargs.get("source_path", ())
    overlays = beside(caller, kwargs.get("overlays", ()))
    try:
        return load_ids(path, options_of(path, sources, source_path, False, overlays))
    except DocumentError as error:
        raise broken(path, error) from None
