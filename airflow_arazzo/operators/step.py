"""The operator that runs a step of a workflow, or a loop of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow.sdk import BaseOperator

from airflow_arazzo.operators.display import SHOWN, origin
from airflow_arazzo.operators.graph import Component
from airflow_arazzo.operators.period import RUN_KEY, uses, uses_period, with_period
from airflow_arazzo.operators.retry import with_retries
from airflow_arazzo.plan.model import Plan


class ArazzoStepOperator(BaseOperator):
    """Runs one step of an Arazzo workflow, or one loop of steps.

    Outputs go into one XCom, ``return_value``: an object with the outputs that the document declares; of a
    loop, such an object for each step. Secrets of the connections are masked in them, also where an API
    has echoed one; outputs that are credentials themselves are encrypted.

    Airflow runs a task again, three times unless ``retries`` says otherwise, when its worker died, or when
    it failed in a way that may pass by itself and cannot harm. Requests that change something go through
    the ledger, which knows what took effect. Without it a task that can send such a request is never
    retried by Airflow, whatever ``retries`` says.

    :param plan: the compiled workflow.
    :param component: the steps to run.
    :param inputs: values of workflow inputs, or Jinja templates of them. (templated)
    :param connections: connection ids by source name; a source's own name where it is not mentioned.
    :param use_params: whether inputs that are not given come from the run's params.
    :param absent_text: what an absent value inside text does: ``fail`` or ``empty``.
    :param publish_each: whether outputs of the workflow are XComs of their own, too, by their names.
    :param ledger: whether requests that change something go through the ledger. Without it, running a task
        again by hand sends its requests again.
    :param identity: what the run is for, where that is neither its data interval nor itself. (templated)
    :param namespace: what tells this use of the workflow from others in the ledger; by default DAG id and
        group path.
    """

    template_fields: Sequence[str] = ("identity", "inputs", "plan_digest", *SHOWN)
    template_fields_renderers = dict.fromkeys(("inputs", "request", "response"), "json")
    ui_color = "#d7e8ff"

    def __init__(
        self,
        *,
        plan: Plan,
        component: Component,
        inputs: Mapping[str, Any] | None = None,
        connections: Mapping[str, str] | None = None,
        use_params: bool = False,
        absent_text: Literal["fail", "empty"] = "fail",
        publish_each: bool = False,
        ledger: bool = True,
        identity: str = "",
        namespace: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**(with_retries(kwargs) if ledger else kwargs))
        self.plan = plan
        self.component = component
        self.inputs = dict(inputs or {})
        self.connections = dict(connections or {})
        self.use_params = use_params
        self.absent_text = absent_text
        self.publish_each = publish_each
        # Airflow makes a new version of a DAG when a template field changes: so a new plan is one.
        self.plan_digest = plan.digest
        self.ledger = ledger
        self.identity = identity
        self.namespace = namespace
        self.uses_period = uses_period(self.inputs, identity)
        self.document, self.documentation = origin(plan, component)
        self.request: dict[str, Any] | None = None
        self.response: dict[str, Any] | None = None
        if not ledger and not component.needs.only_safe:
            # Airflow repeats a task whose worker died without asking anyone. A request that may have
            # taken effect must not be repeated like that, so such tasks are never retried by Airflow.
            self.retries = 0

    def render_template(self, content: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a template, in which ``period`` is the period that the run is for, and ``run_key`` its key.

        :raises AirflowFailException: when the template uses the period and the run has none.
        """
        if self.uses_period:
            context = with_period(context, self.dag)
        if RUN_KEY not in context and uses(RUN_KEY, content):
            # The identity is rendered first.
            from airflow_arazzo.operators.effects import RunKey
            from airflow_arazzo.operators.step_run import StepRun

            context = {**context, RUN_KEY: RunKey(StepRun(self, context).identity)}
        return super().render_template(content, context, *args, **kwargs)

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the steps.

        :return: outputs of the step, or by step id those of the steps of a loop.
        :raises AirflowSkipException: when the way through the workflow does not lead here.
        :raises AirflowFailException: when the step failed and must not be repeated.
        :raises AirflowException: when the step failed and repeating it is safe.
        :raises AirflowRescheduleException: when there is a longer wait.
        """
        # What runs steps is not needed to parse a DAG file, which Airflow does all the time.
        from airflow_arazzo.operators.step_run import StepRun

        return StepRun(self, context).execute()

    @property
    def prefix(self) -> str:
        """What task groups around the workflow put before task ids, dot included."""
        return self.task_id[: len(self.task_id) - len(self.component.name)]
