"""What Airflow's REST API tells whoever may read it, to look for secrets in."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from demo.api import Client

LISTS = ("/connections", "/variables", "/dags", "/eventLogs", "/importErrors", "/dagWarnings", "/config")
"""Lists that are read to their end."""

PAGE = 100


def answers(airflow: Client, *, tasks: int = 300) -> Iterator[tuple[str, bytes]]:
    """Paths of the API and what they answer.

    :param tasks: of so many attempts of tasks, spread over all of them, the log, the rendered fields, the
        XComs and the task's own entry are read; of the rest the entry only, which holds the rendered fields.
    """
    for path in LISTS:
        for _, text in _pages(airflow, path):
            yield path, text
    found: list[Mapping[str, Any]] = []
    for page, text in _pages(airflow, "/dags/~/dagRuns/~/taskInstances"):
        found += page.get("task_instances", ())
        yield "/dags/~/dagRuns/~/taskInstances", text
    for _, text in _pages(airflow, "/dags/~/dagRuns"):
        yield "/dags/~/dagRuns", text
    for instance in found[:: max(1, len(found) // tasks)]:
        yield from _of_task(airflow, instance)


def _of_task(airflow: Client, instance: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    run = f"/dags/{quote(instance['dag_id'])}/dagRuns/{quote(instance['dag_run_id'], safe='')}"
    task = f"{run}/taskInstances/{quote(instance['task_id'])}"
    paths = [f"{task}/tries", f"{task}/xcomEntries"]
    paths += [f"{task}/logs/{number}" for number in range(1, (instance["try_number"] or 0) + 1)]
    for path in paths:
        yield path, _read(airflow, path)
    entries = json.loads(_read(airflow, f"{task}/xcomEntries")).get("xcom_entries", ())
    for entry in entries:
        path = f"{task}/xcomEntries/{quote(entry['key'])}"
        yield path, _read(airflow, path)


def _pages(airflow: Client, path: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    offset = 0
    while True:
        text = _read(airflow, f"{path}?limit={PAGE}&offset={offset}")
        page = json.loads(text)
        yield page, text
        offset += PAGE
        if offset >= (page.get("total_entries") or 0):
            return


def _read(airflow: Client, path: str) -> bytes:
    """The answer as JSON text; that of an error, which can leak as well, is a text in it."""
    try:
        return json.dumps(airflow.api("GET", path)).encode()
    except (RuntimeError, urllib.error.URLError, OSError) as error:
        return json.dumps({"error": str(error)}).encode()
