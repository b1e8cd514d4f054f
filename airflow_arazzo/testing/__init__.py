"""Running Arazzo workflows in tests: against declared or recorded exchanges, without network and Airflow.

``pytest`` finds the fixture ``arazzo_workflow`` by itself once the package is installed. Nothing else is
imported before a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["BadExchange", "Result", "SentRequest", "UnexpectedRequest", "UnusedExchanges", "Workflow"]

if TYPE_CHECKING:
    from airflow_arazzo.testing.exchanges import BadExchange, UnexpectedRequest, UnusedExchanges
    from airflow_arazzo.testing.workflow import Result, SentRequest, Workflow

_HOMES = {
    "BadExchange": "airflow_arazzo.testing.exchanges",
    "Result": "airflow_arazzo.testing.workflow",
    "SentRequest": "airflow_arazzo.testing.workflow",
    "UnexpectedRequest": "airflow_arazzo.testing.exchanges",
    "UnusedExchanges": "airflow_arazzo.testing.exchanges",
    "Workflow": "airflow_arazzo.testing.workflow",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
