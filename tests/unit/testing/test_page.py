"""The example of docs/testing.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_arazzo.testing import Workflow

ROOT = Path(__file__).resolve().parents[3]


def test_the_example_holds(arazzo_workflow: Callable[..., Workflow]) -> None:
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {}
    exec(example[1].replace("../specs", str(ROOT / "specs")), names)
    names["test_a_refused_top_up_fails_the_run"](arazzo_workflow)
