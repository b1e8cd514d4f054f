"""``python -m demo.forms``: the trigger forms of all DAGs, in a browser, against what their documents say.

For each DAG of ``dags`` and of the pictures it opens the form and compares: which inputs are there, under
which titles, which are marked as required, and which are drop-downs. Nothing may be in the browser's console
as an error. It needs what :mod:`demo.screenshots` needs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from selenium import webdriver

from demo.__main__ import ROOT
from demo.airflow import Airflow
from demo.processes import Processes
from demo.screenshots import Browser, click

PERIOD = ("Period from", "Period to")
"""Titles of the fields of a DAG that bills a period."""

FIELDS = """
const shown = [];
const form = document.querySelector('[data-testid=config-form]');
for (const root of form ? form.querySelectorAll('[data-scope=field][data-part=root]') : []) {
  const section = root.closest('[data-scope=accordion][data-part=item]');
  if (section && section.id.endsWith('advancedOptions')) continue;
  const label = root.querySelector('label');
  if (!label) continue;
  const kind = root.querySelector('[role=combobox], select') ? 'choice'
    : root.querySelector('input, textarea, .cm-editor') ? 'entry' : 'none';
  shown.push([label.textContent, label.hasAttribute('data-required'), kind]);
}
return shown;
"""
"""Label, required mark and kind of control of each field, also of those in sections that are closed."""

HEIGHT = 1700
PATIENCE = 60.0


class Field(NamedTuple):
    """A field of a form.

    :param required: whether it is marked so.
    :param choice: whether it is a drop-down.
    """

    title: str
    required: bool
    choice: bool


def expected(folder: Path) -> Iterator[tuple[str, list[Field]]]:
    """What the forms of a folder's DAGs should have, by DAG id, from the documents' inputs.

    Marked are inputs that the document requires, and those with a default, which cannot be emptied. What the
    DAG gives itself, credentials, and what comes from rows are no fields.
    """
    from airflow.dag_processing.dagbag import DagBag

    for dag_id, dag in DagBag(str(folder)).dags.items():
        text = Path(dag.fileloc).read_text()
        fields = [] if "for_each=" in text else list(_inputs(dag))
        if "{{ period." in text:
            fields += [Field(title, False, False) for title in PERIOD]
        yield dag_id, fields


def _inputs(dag: Any) -> Iterator[Field]:
    workflow = dag.plan.root
    given = {name for task in dag.tasks for name in getattr(task, "inputs", ())}
    for name, schema in (workflow.inputs.get("properties") or {}).items():
        if name in given or name in workflow.credentials:
            continue
        required = name in (workflow.inputs.get("required") or ()) or "default" in schema
        yield Field(schema.get("title") or name, required, bool(schema.get("enum")))


def shown(driver: webdriver.Chrome, count: int) -> list[Field]:
    """The fields of the form that is open, once there are so many, or no more come."""
    deadline = time.monotonic() + PATIENCE
    found: list[Any] = []
    while len(found) < count and time.monotonic() < deadline:
        time.sleep(0.3)
        found = driver.execute_script(FIELDS) or []
    return [
        Field(label.removesuffix("*").strip(), bool(mark), kind == "choice") for label, mark, kind in found
    ]


def check(browser: Browser, dag_id: str, wanted: list[Field], folder: Path) -> list[str]:
    """Open a form, take its picture, and say how it differs from what is wanted."""
    driver = browser.open(f"/dags/{dag_id}", dag_id, "Trigger")
    click("Trigger")(driver)
    found = shown(driver, len(wanted))
    time.sleep(1)
    driver.save_screenshot(str(folder / f"{dag_id}.png"))
    problems = [f"is missing: {field}" for field in wanted if field not in found]
    problems += [f"is not in the document: {field}" for field in found if field not in wanted]
    problems += [f"console: {entry['message']}" for entry in browser.errors()]
    right = sum(field in found for field in wanted)
    marks, choices = sum(field.required for field in found), sum(field.choice for field in found)
    state = "✗" if problems else "✓"
    print(f"{state} {dag_id}: {right} / {len(wanted)}, {marks} required, {choices} drop-downs", flush=True)
    return [f"{dag_id} {problem}" for problem in problems]


def main() -> int:
    """Exit status 0 when all forms are as they should be."""
    parser = argparse.ArgumentParser(prog="demo.forms", description="Trigger forms in a browser")
    parser.add_argument("--home", type=Path, default=ROOT / ".demo-forms", help="folder for Airflow's files")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    parser.add_argument("--driver", default=shutil.which("chromedriver") or "chromedriver")
    given = parser.parse_args()
    home = given.home.resolve()
    shutil.rmtree(home, ignore_errors=True)
    os.environ["AIRFLOW_HOME"] = str(home / "own")
    wanted = dict(expected(_dags(home / "dags")))
    if not wanted:
        raise RuntimeError("there are no DAGs")
    processes = Processes(home / "processes")
    try:
        problems = _check_all(Airflow(home, home / "dags", processes), wanted, home / "forms", given)
    except (RuntimeError, OSError) as error:
        problems = [str(error)]
    finally:
        processes.stop()
    for problem in problems:
        print(f"✗ {problem}")
    return 1 if problems else 0


def _check_all(
    airflow: Airflow, wanted: Mapping[str, list[Field]], pictures: Path, given: argparse.Namespace
) -> list[str]:
    airflow.prepare({"usage_db": {"conn_type": "sqlite", "host": str(airflow.home / "usage.db")}})
    airflow.start()
    airflow.wait_for_dags(set(wanted))
    pictures.mkdir(parents=True)
    browser = Browser(airflow, given.chromium, given.driver, height=HEIGHT)
    try:
        found = [check(browser, dag_id, fields, pictures) for dag_id, fields in sorted(wanted.items())]
    finally:
        browser.close()
    return [problem for problems in found for problem in problems]


def _dags(folder: Path) -> Path:
    """The folder with the shipped DAG files, and that of the pictures, which has a drop-down."""
    folder.mkdir(parents=True)
    moved = {"../specs/": f"{ROOT}/specs/", "../known": f"{ROOT}/demo/pictures/known"}
    for file in [*(ROOT / "dags").glob("*.py"), ROOT / "demo/pictures/dags/pictures.py"]:
        text = file.read_text()
        for old, new in moved.items():
            text = text.replace(f'"{old}', f'"{new}')
        (folder / file.name).write_text(text)
    return folder


if __name__ == "__main__":
    sys.exit(main())
