"""From a plan to the tasks of a batch: rows, a mapped group of steps for each chunk of them, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow.sdk import Asset, TriggerRule, task_group

from airflow_arazzo.docs import step_doc
from airflow_arazzo.operators.chunk import ArazzoChunkOperator
from airflow_arazzo.operators.graph import Component, components
from airflow_arazzo.operators.period import uses_period
from airflow_arazzo.operators.report import ArazzoReportOperator
from airflow_arazzo.operators.rows import ArazzoRowsOperator
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.row_options import RowOptions


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
