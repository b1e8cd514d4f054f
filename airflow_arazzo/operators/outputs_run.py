"""Where a workflow has ended, and what its outputs are: the tasks behind its steps, once they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_arazzo.engine.inputs import InvalidInputs
from airflow_arazzo.operators.assets import tell_assets
from airflow_arazzo.operators.exchange import NoEncryption
from airflow_arazzo.operators.step_run import StepRun
from airflow_arazzo.operators.story import Story
from airflow_arazzo.operators.upstream import Upstream

if TYPE_CHECKING:
    from airflow_arazzo.operators.outputs import ArazzoOutputsOperator


def found_outputs(task: ArazzoOutputsOperator, context: Any) -> Any:
    """As :meth:`ArazzoOutputsOperator.execute`."""
    prefix = task.task_id[: len(task.task_id) - len(task.component.name)]
    upstream = Upstream(context["ti"], task.component, prefix)
    if upstream.chosen_step() is None:
        raise AirflowSkipException("The workflow has not ended.")
    outputs = upstream.workflow_outputs() or {}
    tell_assets(context, task.outlets, outputs)
    return outputs


class Conclusion(StepRun):
    """An attempt to work out the outputs of a workflow whose steps ran side by side."""

    def execute(self) -> dict[str, Any]:
        """As :meth:`ArazzoConclusionOperator.execute`."""
        upstream = Upstream(self.context["ti"], self.component, self.task.prefix)
        try:
            state = self._fresh_state(self.plan.root.steps[0].id, upstream, {})
        except (InvalidInputs, NoEncryption) as error:
            raise AirflowFailException(str(error)) from None
        outputs = self._publish_workflow_outputs(self.context["ti"], state, Story(self.task.log))
        tell_assets(self.context, self.task.outlets, outputs)
        return outputs
