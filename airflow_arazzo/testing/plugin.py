"""The pytest plugin. Importing it costs nothing; the engine is loaded when a test uses the fixture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_arazzo.testing.workflow import Workflow


@pytest.fixture
def arazzo_workflow(request: pytest.FixtureRequest) -> Callable[..., Workflow]:
    """Makes a workflow that can be run: ``arazzo_workflow(document, workflow_id, connections=…)``.

    The arguments are those of :class:`~airflow_arazzo.testing.workflow.Workflow`. Relative paths start from
    the folder of the test's file, else from pytest's root folder.
    """

    def workflow(document: str | Path, workflow_id: str = "", **options: Any) -> Workflow:
        from airflow_arazzo.testing.workflow import Workflow

        folders = (request.path.parent, request.config.rootpath)
        return Workflow(document, workflow_id, folders=folders, **options)

    return workflow
