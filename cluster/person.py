"""What a person does by the guide to the ledger: look at the service, say what happened, clear the tasks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_arazzo.cli.main import main
from airflow_arazzo.ledger.model import Entry
from demo.api import Client


@dataclass(frozen=True)
class Decided:
    """How many effects a person has decided about."""

    happened: int = 0
    not_happened: int = 0

    @property
    def total(self) -> int:
        """How many in all."""
        return self.happened + self.not_happened


def decide(entries: Iterable[Entry], orders: Mapping[str, str], ledger: str) -> Decided:
    """Say of orders whose outcome nobody knows what the service has of them, by ``ledger resolve``.

    :param orders: ids of the orders that the service has, by customer.
    :param ledger: SQLAlchemy URL.
    :raises RuntimeError: when the command fails, with what it says.
    """
    happened = not_happened = 0
    for entry in entries:
        order = orders.get(customer_of(entry))
        if order is None:
            _resolve(entry, ledger, "--not-happened", "--reason", "the service has no such order")
            not_happened += 1
        else:
            found = json.dumps({"orderId": order})
            _resolve(entry, ledger, "--happened", "--outputs", found, "--reason", "the service has the order")
            happened += 1
    return Decided(happened, not_happened)


def customer_of(entry: Entry) -> str:
    """The customer that a request is for, by its body.

    :raises RuntimeError: when it does not say.
    """
    _, _, body = entry.description.request.partition("\n\n")
    try:
        return str(json.loads(body)["customerId"])
    except (ValueError, KeyError, TypeError):
        raise RuntimeError(f"the ledger does not tell whose request {entry.key} is: {body!r}") from None


def _resolve(entry: Entry, ledger: str, *options: str) -> None:
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told):
        status = main(["ledger", "resolve", entry.key, "--ledger", ledger, *options])
    if status:
        raise RuntimeError(f"ledger resolve {entry.key} {options[0]}: {told.getvalue().strip()}")


def clear_chunks_with_failures(client: Client, dag_id: str, run: str, task: str) -> int:
    """Clear a step's tasks in whose chunk rows have failed, with what is downstream; how many those were."""
    at = f"/dags/{quote(dag_id)}/dagRuns/{quote(run, safe='')}/taskInstances/{quote(task)}"
    mapped: list[dict[str, Any]] = client.api("GET", f"{at}/listMapped?limit=1000")["task_instances"]
    chunks = [each["map_index"] for each in mapped if _failed(client, at, each["map_index"])]
    if chunks:
        body = {
            "dry_run": False,
            "only_failed": False,
            "dag_run_id": run,
            "task_ids": [[task, chunk] for chunk in chunks],
            "include_downstream": True,
        }
        client.api("POST", f"/dags/{quote(dag_id)}/clearTaskInstances", body)
    return len(chunks)


def _failed(client: Client, task: str, chunk: int) -> int:
    """How many rows of a chunk have failed."""
    given = client.api("GET", f"{task}/xcomEntries/return_value?map_index={chunk}&deserialize=false")["value"]
    value = json.loads(given) if isinstance(given, str) else given
    return int(value["failed"])
