"""What tests of descriptions share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_arazzo.description.openapi import ApiOperation, OpenApi
from airflow_arazzo.description.sources import Library

Read = Callable[[str, str], ApiOperation]


@pytest.fixture
def api(tmp_path: Path) -> Callable[[str], OpenApi]:
    """Makes an OpenAPI description from the text of its file."""

    def make(text: str) -> OpenApi:
        path = tmp_path / "api.yaml"
        path.write_text(text)
        library = Library(path)
        return OpenApi(library.load(path), library)

    return make
