"""The last task of a batch: what became of every row, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator

from airflow_arazzo.plan.model import Plan


class ArazzoReportOperator(BaseOperator):
    """Says what became of every row.

    It returns ``{"rows": 1000, "succeeded": 990, "failed": 10, "set_aside": 0, "failures": […],
    "set_aside_rows": […], "outputs": […]}``. Each failure names its row by key and line, with step, code,
    message and whether it may be tried again. ``outputs`` are the rows' workflow outputs with their keys;
    where all of that is large it goes into a file of JSON Lines instead, whose path is ``file``.

    It fails when more rows have failed than ``max_failed_rows``; None is any number of them. Rows set aside
    do not count.

    :param plan: the compiled workflow.
    :param components: names of the components in the order of their tasks.
    :param rows_task: id of the task that froze the rows.
    :param connections: connection ids by source name, whose secrets are masked in outputs.
    """

    template_fields: Sequence[str] = ("plan_digest",)
    ui_color = "#d7e8ff"

    def __init__(
        self,
        *,
        plan: Plan,
        components: Sequence[str],
        rows_task: str,
        connections: Mapping[str, str] | None = None,
        max_failed_rows: int | None = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.components = tuple(components)
        self.rows_task = rows_task
        self.connections = dict(connections or {})
        self.max_failed_rows = max_failed_rows
        self.plan_digest = plan.digest

    def execute(self, context: Any) -> dict[str, Any]:
        """Report.

        :return: as described above.
        :raises AirflowFailException: when too many rows have failed; the report is there all the same.
        """
        from airflow_arazzo.operators.report_run import ReportRun

        return ReportRun(self, context).execute()
