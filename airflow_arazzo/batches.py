"""From a plan to the tasks of a batch: rows, a mapped group of steps for each chunk of them, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
from airflow.sdk import Asset, TriggerRule, task_group

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.docs import step_doc
from airflow_arazzo.engine.batch import CONCURRENCY
from airflow_arazzo.operators.chunk import ArazzoChunkOperator
from airflow_arazzo.operators.graph import Component, components
from airflow_arazzo.operators.period import uses_period
from airflow_arazzo.operators.report import ArazzoReportOperator
from airflow_arazzo.operators.rows import BATCH_SIZE, ArazzoRowsOperator, BadRows
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.rows.source import BadSource, RowSource, plain_source
from airflow_arazzo.tasks import UnknownName

__all__ = ["RowOptions", "build_batch", "row_options"]


@attrs.frozen
class RowOptions:
    """How a workflow runs over rows.

    :param for_each: the rows.
    :param row_key: the input, or column, that tells one row from another; several names make one key.
    :param batch_size: rows of one mapped task.
    :param on_bad_rows: what becomes of rows that the workflow does not accept: ``fail`` or ``set_aside``.
    :param max_failed_rows: rows that may fail before the run does; None for any number.
    :param concurrency: requests under way at once in each task.
    :param rate: requests per second and source in each task.
    :param rows_folder: where a run keeps its rows, a URL that every worker reaches. (templated)
    :param accept_changes: whether rows that are read again may have changed after steps have begun.
    """

    for_each: RowSource
    row_key: tuple[str, ...]
    batch_size: int = BATCH_SIZE
    on_bad_rows: BadRows = "fail"
    max_failed_rows: int | None = 0
    concurrency: int = CONCURRENCY
    rate: float | None = None
    rows_folder: str = ""
    accept_changes: bool = False

    def templates(self) -> tuple[Any, ...]:
        """What is rendered for each run."""
        return plain_source(self.for_each), self.rows_folder


def row_options(plan: Plan, inputs: Mapping[str, Any], given: dict[str, Any]) -> RowOptions | None:
    """Take the options of a batch out of arguments; None where there is no ``for_each``.

    :raises UnknownName: for options that cannot be.
    """
    named = {name: given.pop(name) for name in _OPTIONS if name in given}
    if named.get("for_each") is None:
        alone = sorted(name for name in named if name != "for_each")
        if alone:
            raise UnknownName(f"{', '.join(alone)}: only for a workflow over rows; give for_each")
        return None
    key = named.pop("row_key", None) or ()
    keys = (key,) if isinstance(key, str) else tuple(key)
    if not keys:
        raise UnknownName("row_key: it must name the input, or column, that tells one row from another")
    for name in keys:
        if name in plan.root.credentials:
            raise UnknownName(f"row_key: {name!r} is a credential")
        if name in inputs and len(keys) == 1:
            raise UnknownName(f"row_key: {name!r} is the same for all rows")
    try:
        plain_source(named["for_each"])
    except BadSource as error:
        raise UnknownName(str(error)) from None
    options = RowOptions(row_key=keys, **named)
    _check_numbers(options)
    return options


_OPTIONS = tuple(field.name for field in attrs.fields(RowOptions))


def _check_numbers(options: RowOptions) -> None:
    for name in ("batch_size", "concurrency"):
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UnknownName(f"{name}: expected a whole number above zero, not {value!r}")
    if options.rate is not None and not options.rate > 0:
        raise UnknownName(f"rate: expected requests per second above zero, not {options.rate!r}")
    if options.on_bad_rows not in ("fail", "set_aside"):
        hint = did_you_mean(str(options.on_bad_rows), ["fail", "set_aside"])
        raise UnknownName(f"on_bad_rows: expected 'fail' or 'set_aside'; {hint}")


def build_batch(
    plan: Plan,
    options: RowOptions,
    *,
    inputs: Mapping[str, Any],
    connections: Mapping[str, str],
    absent_text: Literal["fail", "empty"],
    ledger: bool,
    identity: str,
    namespace: str = "",
    outlets: Sequence[Asset] = (),
    own_dag: bool = False,
) -> ArazzoReportOperator:
    """Make the tasks of a batch in the DAG or task group that is being built.

    :param own_dag: whether the DAG is the workflow's own.
    :param outlets: assets that the batch updates when not too many rows have failed.
    :return: the last one.
    """
    parts = components(plan, expand=False)
    by_period = uses_period(inputs, identity, options.templates())
    rows = ArazzoRowsOperator(
        task_id="rows",
        plan=plan,
        for_each=options.for_each,
        row_key=options.row_key,
        inputs=inputs,
        connections=connections,
        batch_size=options.batch_size,
        on_bad_rows=options.on_bad_rows,
        accept_changes=options.accept_changes,
        rows_folder=options.rows_folder,
        absent_text=absent_text,
        own_dag=own_dag,
        doc_md="Reads the rows of the run, checks each, and freezes them.",
        **_FIXED,
    )

    @task_group(group_id="chunks")
    def chunks(chunk: Any) -> None:
        before: ArazzoChunkOperator | None = None
        for part in parts:
            task = ArazzoChunkOperator(
                task_id=part.name,
                plan=plan,
                component=part,
                before=before.component.name if before else "",
                chunk=chunk,
                rows_task=rows.task_id,
                connections=connections,
                concurrency=options.concurrency,
                rate=options.rate,
                absent_text=absent_text,
                ledger=ledger,
                identity=identity,
                namespace=namespace,
                by_period=by_period,
                doc_md=_doc(plan, part),
                **_FIXED,
            )
            if before is not None:
                before >> task
            before = task

    each = chunks.expand(chunk=rows.output)
    report = ArazzoReportOperator(
        task_id="report",
        plan=plan,
        components=[part.name for part in parts],
        rows_task=rows.task_id,
        connections=connections,
        max_failed_rows=options.max_failed_rows,
        doc_md="Says what became of every row, and decides the state of the run.",
        **{**_FIXED, "trigger_rule": TriggerRule.ALL_DONE},
    )
    [rows, each] >> report
    report.outlets = [*report.outlets, *outlets]
    return report


_FIXED: dict[str, Any] = {
    "trigger_rule": TriggerRule.ALL_SUCCESS,
    "do_xcom_push": True,
    "multiple_outputs": False,
}
"""Arguments that are not for ``default_args`` to choose: the way of the rows hangs on them."""


def _doc(plan: Plan, part: Component) -> str:
    by_id = {step.id: step for step in plan.root.steps}
    return "\n\n---\n\n".join(step_doc(by_id[name]) for name in part.steps)
