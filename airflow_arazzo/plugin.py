"""What the package adds to Airflow's UI (entry point ``airflow.plugins``).

Every task's process imports this module, so it imports nothing that is not there already.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_arazzo.links import DocumentSource, OperationDocumentation


class ArazzoPlugin(AirflowPlugin):
    """Buttons of tasks."""

    name = "arazzo"
    operator_extra_links = [OperationDocumentation(), DocumentSource()]  # noqa: RUF012 - as Airflow has it
