"""Arazzo documents as Apache Airflow DAGs.

The public names live in the modules that define them and are re-exported lazily here, because the
pure layers (``description``, ``expression``, ``plan``, ``engine``) must stay importable without
Airflow, whose SDK takes seconds to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_arazzo.version import __version__

__all__ = ["ArazzoDag", "ArazzoTaskGroup", "FileRows", "SqlRows", "__version__", "arazzo_dags"]

if TYPE_CHECKING:
    from airflow_arazzo.dag import ArazzoDag
    from airflow_arazzo.factory import arazzo_dags
    from airflow_arazzo.rows.source import FileRows, SqlRows
    from airflow_arazzo.task_group import ArazzoTaskGroup

_HOMES = {
    "ArazzoDag": "airflow_arazzo.dag",
    "ArazzoTaskGroup": "airflow_arazzo.task_group",
    "FileRows": "airflow_arazzo.rows.source",
    "SqlRows": "airflow_arazzo.rows.source",
    "arazzo_dags": "airflow_arazzo.factory",
}


def __getattr__(name: str) -> Any:
    """Import a public Airflow-facing name on first use (PEP 562)."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
