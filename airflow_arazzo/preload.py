"""Everything that a task needs, loaded at once: ``import airflow_arazzo.preload``.

For processes whose forks run tasks or parse DAG files: what they have imported, none of their forks has to.
The plugin does that in the DAG processor and in the scheduler. A Celery worker loads no plugins before it
forks; there ``airflow_local_settings.py`` can.
"""

import airflow.sdk.definitions.connection
import airflow.sdk.execution_time.cache
import jinja2.ext

from airflow_arazzo import batches, dag, factory, task_group
from airflow_arazzo.engine import input_schema
from airflow_arazzo.operators import chunk_run, outputs_run, report_run, rows_run, step_run

__all__ = [
    "airflow",  # what tasks of Airflow load when they begin: connections
    "batches",
    "chunk_run",
    "dag",
    "factory",
    "input_schema",
    "jinja2",  # and templates
    "outputs_run",
    "report_run",
    "rows_run",
    "step_run",
    "task_group",
]
