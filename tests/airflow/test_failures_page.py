"""The page on failures has what people really see; each failure is planted and run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from failures import FAILURES, Planted, page
from planted import Scene
from write_failures import WRITE

from sandbox.testing import running_sandbox

PAGE = Path(__file__).parents[2] / "docs" / "failures.md"

SEEN: dict[str, str] = {}


@pytest.fixture
def scene(
    run_dag: Any,
    dag_file: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    customers = [{"customerId": name, "customerName": name} for name in ("acme", "globex")]
    with running_sandbox() as sandbox:
        sandbox.seed(amberflo={"customers": customers})
        yield Scene(sandbox, run_dag, dag_file, tmp_path, capfd, monkeypatch)


@pytest.mark.parametrize("planted", FAILURES, ids=[each.title for each in FAILURES])
def test_a_failure_is_seen_as_the_page_says(planted: Planted, scene: Scene) -> None:
    seen = planted.run(scene)
    for key in (scene.sandbox.amberflo_key, scene.sandbox.stripe_key):
        assert key not in seen
    SEEN[planted.title] = seen
    if not os.environ.get(WRITE):
        assert planted.section(seen) in PAGE.read_text(), "run python -m tests.airflow.write_failures"


def test_the_page_has_all_failures_and_nothing_else() -> None:
    if os.environ.get(WRITE):
        PAGE.write_text(page(SEEN))
    text = PAGE.read_text()
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [each.title for each in FAILURES]
    without = {each.title: "" for each in FAILURES}
    blocks = re.compile(r"```text\n.*?\n```", re.DOTALL)
    assert blocks.sub("", text) == blocks.sub("", page(without)), "run python -m tests.airflow.write_failures"


def test_the_page_names_no_machine() -> None:
    text = PAGE.read_text()
    for name in (str(PAGE.parents[1]), str(Path.home()) + "/", "/tmp/"):
        assert name not in text
