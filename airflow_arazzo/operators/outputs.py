"""The tasks behind a workflow that can end in several places, or whose steps run side by side."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from airflow_arazzo.operators.graph import Component
from airflow_arazzo.operators.step import ArazzoStepOperator


class ArazzoOutputsOperator(BaseOperator):
    """Returns the outputs of a workflow, wherever it has ended.

    It gives a task group one leaf. Tasks after the group would be skipped with the branch that was not
    taken if they followed the group's steps themselves.

    :param component: as :func:`~airflow_arazzo.operators.graph.end_of` makes it.
    """

    ui_color = "#d7e8ff"

    def __init__(self, *, component: Component, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.component = component

    def execute(self, context: Any) -> Any:
        """Find where the workflow has ended.

        :return: the workflow's outputs by name, as XCom keeps them.
        :raises AirflowSkipException: when it has not ended successfully.
        :raises AirflowFailException: when a task has not said what follows.
        """
        from airflow_arazzo.operators.outputs_run import found_outputs

        return found_outputs(self, context)


class ArazzoConclusionOperator(ArazzoStepOperator):
    """Works out the outputs of a workflow whose steps ran side by side, when all have run.

    Its arguments are those of :class:`~airflow_arazzo.operators.step.ArazzoStepOperator`, with a component
    without steps.
    """

    def execute(self, context: Any) -> dict[str, Any]:
        """Evaluate the workflow's outputs.

        :return: the workflow's outputs by name, as XCom keeps them.
        :raises AirflowFailException: when one cannot be had.
        """
        from airflow_arazzo.operators.outputs_run import Conclusion

        return Conclusion(self, context).execute()
