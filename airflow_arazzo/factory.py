"""All workflows of a document as DAGs, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import get_parsing_context

from airflow_arazzo.dag import ArazzoDag, MissingInputs
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.loading import BrokenDocument, PathLike, absolute, beside, broken, options_of
from airflow_arazzo.operators.graph import task_names
from airflow_arazzo.plan.compiler import workflow_ids
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
    :param kwargs: arguments of :class:`~airflow_arazzo.dag.ArazzoDag` for all of them.
    :return: DAGs by workflow id. They register themselves; nothing needs to be done with them.
    :raises BrokenDocument: when the document cannot be read, or a workflow does not compile.
    """
    path, caller = absolute(document)
    wanted = get_parsing_context().dag_id
    own = workflows or {}
    chosen = list(_ids(path, caller, kwargs) if workflows is None else workflows)
    ids = dict(zip(chosen, task_names(chosen), strict=True))
    dags: dict[str, ArazzoDag] = {}
    try:
        for workflow_id in chosen:
            arguments = {"dag_id": dag_id_prefix + ids[workflow_id], **kwargs, **own.get(workflow_id, {})}
            if wanted is None or arguments["dag_id"] == wanted:
                dags[workflow_id] = ArazzoDag(path, workflow_id, **arguments)
    except (BrokenDocument, MissingInputs, UnknownName) as error:
        raise error.with_traceback(None) from None
    return dags


def _ids(path: Path, caller: str, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Ids of the workflows of a document, with the overlays that all of them get."""
    sources, source_path = kwargs.get("sources"), kwargs.get("source_path", ())
    overlays = beside(caller, kwargs.get("overlays", ()))
    try:
        return workflow_ids(path, options_of(path, sources, source_path, False, overlays))
    except DocumentError as error:
        raise broken(path, error) from None
