"""The operator that runs a step, or a loop of steps, for the rows of a chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from airflow.sdk import BaseOperator

from airflow_arazzo.engine.limits import CONCURRENCY
from airflow_arazzo.operators.graph import Component
from airflow_arazzo.operators.period import with_period
from airflow_arazzo.operators.retry import with_retries
from airflow_arazzo.plan.model import Plan

CHUNK_ROWS = "chunk_rows"
"""What the template of a mapped task's label calls its rows: the task fills it in."""


class ArazzoChunkOperator(BaseOperator):
    """Runs one step of an Arazzo workflow, or one loop of steps, for the rows of a chunk that stand there.

    Rows that stand elsewhere are passed through. What becomes of a row is written beside the manifest, where
    the next task of the chunk finds it; a row that has failed does not fail the task. The task is run again
    by Airflow while rows failed in a way that may pass by itself, and then runs those only; after a clear,
    all that have failed.

    :param plan: the compiled workflow.
    :param component: the steps to run.
    :param before: name of the component whose task comes before this one; empty for the first.
    :param chunk: number of the chunk. (templated)
    :param rows_task: id of the task that froze the rows.
    :param connections: connection ids by source name; a source's own name where it is not mentioned.
    :param concurrency: requests under way at once.
    :param rate: requests per second to each source; a connection's own ``rate`` wins.
    :param absent_text: what an absent value inside text does: ``fail`` or ``empty``.
    :param ledger: whether requests that change something go through the ledger.
    :param identity: what the run is for, where that is neither its data interval nor itself. (templated)
    :param namespace: what tells this use of the workflow from others in the ledger; by default DAG id and
        group path.
    :param by_period: whether the rows, or what they do, depend on the period that the run is for.
    """

    template_fields: Sequence[str] = ("chunk", "identity", "plan_digest")
    ui_color = "#d7e8ff"
    stop: Callable[[], None] = staticmethod(lambda: None)
    """What keeps further rows from being begun, while some are under way."""

    def __init__(
        self,
        *,
        plan: Plan,
        component: Component,
        before: str,
        chunk: Any,
        rows_task: str,
        connections: Mapping[str, str] | None = None,
        concurrency: int = CONCURRENCY,
        rate: float | None = None,
        absent_text: Literal["fail", "empty"] = "fail",
        ledger: bool = True,
        identity: str = "",
        namespace: str = "",
        by_period: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("map_index_template", f"{{{{ {CHUNK_ROWS} | default('') }}}}")
        super().__init__(**(with_retries(kwargs) if ledger else kwargs))
        self.plan = plan
        self.component = component
        self.before = before
        self.chunk = chunk
        self.rows_task = rows_task
        self.connections = dict(connections or {})
        self.concurrency = concurrency
        self.rate = rate
        self.absent_text = absent_text
        self.ledger = ledger
        self.identity = identity
        self.namespace = namespace
        self.plan_digest = plan.digest
        self.uses_period = by_period
        if not ledger and not component.needs.only_safe:
            self.retries = 0

    def render_template(self, content: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a template; ``period`` is there where templates use it.

        :raises AirflowFailException: when the template uses the period and the run has none.
        """
        if self.uses_period:
            context = with_period(context, self.dag)
        return super().render_template(content, context, *args, **kwargs)

    def execute(self, context: Any) -> dict[str, int]:
        """Run the rows.

        :return: how many rows of the chunk have ended, failed, or go on.
        :raises AirflowFailException: when nothing can be sent at all.
        :raises AirflowException: when rows failed that may be tried again.
        :raises AirflowRescheduleException: when all rows under way wait for longer.
        """
        from airflow_arazzo.operators.chunk_run import ChunkRun

        return ChunkRun(self, context).execute()

    def on_kill(self) -> None:
        """Begin no further row. Those under way have the seconds that Airflow gives a task to end."""
        self.stop()
