"""What the package adds to Airflow's UI (entry point ``airflow.plugins``).

Every task's process imports this module, so it imports nothing that is not there already.
"""

from __future__ import annotations

import logging
import multiprocessing
import sys
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

FORKING = frozenset({"dag-processor", "scheduler"})
"""Airflow's commands that run as long as Airflow does, and whose forks parse DAG files or run tasks."""

SHOWN = conf.getboolean("arazzo", "workflow_tab", fallback=True)


class ArazzoPlugin(AirflowPlugin):
    """Buttons of tasks, and a tab of DAGs and runs that draws the workflow.

    Loaded by a service whose forks need the package, it loads the package for all of them.
    """

    name = "arazzo"
    operator_extra_links = [OperationDocumentation(), DocumentSource()]  # noqa: RUF012 - as Airflow has it
    fastapi_apps = APPS if SHOWN else []
    external_views = VIEWS if SHOWN else []

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Import once what every fork of this process would have to import anew.

        A service loads plugins before it forks anything. Processes of single tasks load them, too, also of
        tasks that are none of ours, and short commands do: they import what they need themselves.
        """
        if sys.argv[1:2] and sys.argv[1] in FORKING and multiprocessing.parent_process() is None:
            try:
                import airflow_arazzo.preload  # noqa: F401
            except Exception:
                # Whoever needs what cannot be imported says so where it can be seen.
                logging.getLogger(__name__).debug("not loaded in advance", exc_info=True)
