"""What a DAG file makes Airflow load, every time it is parsed: little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SPECS = Path(__file__).resolve().parents[2] / "specs" / "arazzo"
MOST = 60
"""Modules beyond those of Airflow; each takes about two milliseconds."""

_PARSED = """
import json, sys
import airflow.dag_processing.processor
import airflow.sdk
before = set(sys.modules)
from airflow_arazzo import {name}
{name}({document!r}, schedule=None{more})
print(json.dumps(sorted(set(sys.modules) - before)))
"""

_NOT_TO_PARSE = (
    "aiohttp",
    "httptools",
    "jsonschema",
    "requests",
    "yaml",
    "airflow_arazzo.cli",
    "airflow_arazzo.description.documents",
    "airflow_arazzo.engine.machine",
    "airflow_arazzo.engine.transport",
    "airflow_arazzo.hooks",
    "airflow_arazzo.ledger.store",
    "airflow_arazzo.operators.step_run",
    "airflow_arazzo.plan.compiler",
)


def _loaded(code: str, home: Path) -> list[str]:
    """Modules that a fresh Python has loaded when it is through."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "ARAZZO_CACHE_DIR": str(home / "plans"),
    }
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    found: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("more", ["", ", for_each='rows.csv', row_key='customerId'"], ids=["run", "batch"])
def test_a_parse_of_a_dag_file_loads_what_makes_dags(tmp_path: Path, more: str) -> None:
    document = str(SPECS / "bill-usage-period.yml")
    code = _PARSED.format(name="ArazzoDag", document=document, more=more)
    cold = _loaded(code, tmp_path)
    assert "airflow_arazzo.plan.compiler" in cold
    warm = _loaded(code, tmp_path)
    assert [name for name in warm if name.startswith(_NOT_TO_PARSE)] == []
    assert len(warm) <= MOST or more


def test_all_workflows_of_a_document_too(tmp_path: Path) -> None:
    code = _PARSED.format(name="arazzo_dags", document=str(SPECS / "bill-usage-period.yml"), more="")
    _loaded(code, tmp_path)
    warm = _loaded(code, tmp_path)
    assert [name for name in warm if name.startswith(_NOT_TO_PARSE)] == []


def test_running_a_step_does_not_load_the_compiler(tmp_path: Path) -> None:
    code = (
        "import json, sys\nimport airflow_arazzo.operators.step_run\nprint(json.dumps(sorted(sys.modules)))\n"
    )
    loaded = _loaded(code, tmp_path)
    assert "airflow_arazzo.engine.transport" in loaded
    heavy = ("aiohttp", "requests", "airflow_arazzo.plan.compiler", "airflow_arazzo.cli")
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_a_process_that_has_loaded_everything_spares_its_tasks_that(tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "import airflow.sdk.execution_time.task_runner\n"
        "import airflow_arazzo.preload\n"
        "before = set(sys.modules)\n"
        "from airflow_arazzo import ArazzoDag, ArazzoTaskGroup, arazzo_dags\n"
        "from airflow_arazzo.operators import chunk_run, step_run\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    assert _loaded(code, tmp_path) == []
