"""A batch of prepaid orders as a process of its own, for the tests that race and kill it.

Arguments: the ledger's URL, the sandbox's, its key, a time to begin at, and customers with commas between
them. It says ``ready``, runs a row for each customer, and prints what came of each as lines of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator

from airflow_arazzo.engine.batch import Batch, Row
from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import Done, Machine, begin
from airflow_arazzo.engine.run import sender
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.group import GroupBook, GroupedExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.store import Store
from tests.integration.test_ledger_attempts import GRACE, connections_to, plan_of

MOMENT = 1_767_225_600_000
"""Milliseconds: the time of the events."""


async def run(ledger: str, url: str, key: str, at: str, customers: list[str]) -> None:
    """Bill every customer once."""
    plan = plan_of("topup")
    connections = {
        name: each for name, each in connections_to(url, {"amberflo": key, "stripe": ""}).items()
        if name in plan.sources
    }  # fmt: skip
    group = GroupBook(Book(Store(ledger), grace=GRACE))

    def finish(row: Row, done: Done) -> None:
        code = done.failure.code if done.failure else ""
        print(json.dumps([row.key, done.status, code]), flush=True)

    async with Transport() as transport:
        send = sender(transport, plan, connections)

        def rows() -> Iterator[Row]:
            for name in customers:
                given = {
                    "meterApiName": "calls", "customerId": name, "currency": "usd",
                    "meterValue": 1, "meterTimeInMillis": MOMENT, "amount": 10,
                }  # fmt: skip
                state = begin(plan, prepare_inputs(plan.root, given), now=time.time())
                machine = Machine(plan, state, clock=time.time, ledger=True)
                identity = Identity("topup", "2026-01", f"row {name}")
                yield Row(name, machine, GroupedExchange(send, group, identity, plan, connections))

        print("ready", flush=True)
        await asyncio.sleep(max(0.0, float(at) - time.time()))
        await Batch(rows(), finish, concurrency=16, longest_wait=60).run()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:5], sys.argv[5].split(",")))
