"""What the package adds to Airflow's UI (entry point ``airflow.plugins``).

Every task's process imports this module, so it imports nothing that is not there already.
"""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.sdk.plugins_manager import AirflowPlugin

from airflow_arazzo.links import DocumentSource, OperationDocumentation


class LazyApp:
    """An ASGI application that is imported with its first request: only the API server has any."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        from airflow_arazzo.view.app import app

        await app(scope, receive, send)


VIEWS = [
    # Addresses are relative to the page, whose base is Airflow's own URL.
    {"name": "Arazzo", "href": "arazzo/dags/{DAG_ID}", "destination": "dag", "url_route": "arazzo"},
    {
        "name": "Arazzo",
        "href": "arazzo/dags/{DAG_ID}/runs/{RUN_ID}",
        "destination": "dag_run",
        "url_route": "arazzo-run",
    },
]
"""The tabs. Airflow shows them on every DAG, whether it is one of ours or not."""

APPS = [{"name": "Arazzo workflows", "app": LazyApp(), "url_prefix": "/arazzo"}]

SHOWN = conf.getboolean("arazzo", "workflow_tab", fallback=True)


class ArazzoPlugin(AirflowPlugin):
    """Buttons of tasks, and a tab of DAGs and runs that draws the workflow."""

    name = "arazzo"
    operator_extra_links = [OperationDocumentation(), DocumentSource()]  # noqa: RUF012 - as Airflow has it
    fastapi_apps = APPS if SHOWN else []
    external_views = VIEWS if SHOWN else []
