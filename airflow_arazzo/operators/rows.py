"""The task that freezes the rows of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow.sdk import BaseOperator

from airflow_arazzo.operators.period import uses_period, with_period
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.rows.source import BATCH_SIZE, BadRows, plain_source


class ArazzoRowsOperator(BaseOperator):
    """Reads the rows of a run, checks each, and freezes them.

    It returns the numbers of the chunks, over which the tasks behind it expand. A retry keeps what is
    frozen, and so do clears of later tasks. When this task is cleared it reads the rows again: added rows
    come behind the others. Where steps have begun, a row that has other values now, or is gone, is an error
    and what is frozen stays, unless ``accept_changes`` says otherwise: what was sent for such a row cannot
    be taken back.

    :param plan: the compiled workflow.
    :param for_each: where the rows come from. (templated)
    :param row_key: names of the inputs, or of further columns, that make a row's business key.
    :param inputs: values of inputs that are the same for all rows, or Jinja templates of them. (templated)
    :param connections: connection ids by source name; a source's own name where it is not mentioned.
    :param batch_size: rows of one mapped task; more where there would be more tasks than Airflow maps.
    :param on_bad_rows: whether rows that the workflow does not accept fail the task, or are set aside.
    :param accept_changes: whether rows may change after steps have begun.
    :param rows_folder: where runs keep their rows; the configuration's ``[arazzo] rows_folder`` by default.
    :param absent_text: what an absent value inside text does: ``fail`` or ``empty``.
    :param own_dag: whether the DAG is the workflow's own, so that a run's configuration can mean its inputs.
    """

    template_fields: Sequence[str] = ("for_each", "inputs", "rows_folder", "plan_digest")
    template_fields_renderers = {"for_each": "json", "inputs": "json"}  # noqa: RUF012 - as BaseOperator's
    ui_color = "#d7e8ff"

    def __init__(
        self,
        *,
        plan: Plan,
        for_each: Any,
        row_key: Sequence[str],
        inputs: Mapping[str, Any] | None = None,
        connections: Mapping[str, str] | None = None,
        batch_size: int = BATCH_SIZE,
        on_bad_rows: BadRows = "fail",
        accept_changes: bool = False,
        rows_folder: str = "",
        absent_text: Literal["fail", "empty"] = "fail",
        own_dag: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.for_each = plain_source(for_each)
        self.row_key = tuple(row_key)
        self.inputs = dict(inputs or {})
        self.connections = dict(connections or {})
        self.batch_size = batch_size
        self.on_bad_rows = on_bad_rows
        self.accept_changes = accept_changes
        self.rows_folder = rows_folder
        self.absent_text = absent_text
        self.own_dag = own_dag
        self.plan_digest = plan.digest
        self.uses_period = uses_period(self.for_each, self.inputs, rows_folder)

    def render_template(self, content: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a template; ``period`` is there where templates use it.

        :raises AirflowFailException: when the template uses the period and the run has none.
        """
        if self.uses_period:
            context = with_period(context, self.dag)
        return super().render_template(content, context, *args, **kwargs)

    def execute(self, context: Any) -> list[int]:
        """Freeze the rows.

        :return: the numbers of the chunks.
        :raises AirflowFailException: for rows that cannot be read or are not accepted, with their lines and
            reasons.
        """
        from airflow_arazzo.operators.rows_run import RowsRun

        return RowsRun(self, context).execute()
