"""The task behind a task group whose workflow can end in several places."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_arazzo.operators.assets import tell_assets
from airflow_arazzo.operators.graph import Component
from airflow_arazzo.operators.upstream import Upstream


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
        prefix = self.task_id[: len(self.task_id) - len(self.component.name)]
        upstream = Upstream(context["ti"], self.component, prefix)
        if upstream.chosen_step() is None:
            raise AirflowSkipException("The workflow has not ended.")
        outputs = upstream.workflow_outputs() or {}
        tell_assets(context, self.outlets, outputs)
        return outputs
