"""``python -m bench.batch``: rows per second of the batch, beside a bare loop over ``aiohttp``.

Each row is one request with an output: *reads* are GETs, *writes* are POSTs with an idempotency key, the
batch's with the ledger on (SQLite, every intent written through to the disk) and the loop's without. Both
have the same concurrency, and are measured in turns in one run, against three servers, each a process of its
own: the sandbox, one that does nothing but answer, and the same as if it were 20 ms away. Without a network
between them it is the processor's time for each row that is measured. Figures are medians.

Then the memory: the most that a process of its own held at once (resident set) for 1,000, 10,000 and
100,000 rows. Last, what Airflow's own way comes to: ``HttpOperator`` mapped over rows by a real scheduler,
as :mod:`bench.scheduled` measures it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from airflow_arazzo.engine.batch import Batch, Row
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.gates import Gate
from airflow_arazzo.engine.machine import Done, Machine, begin
from airflow_arazzo.engine.run import sender
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.declare import declare
from airflow_arazzo.ledger.group import GroupBook, GroupedExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import Plan
from bench.engine import KEY, REPOSITORY, sandbox

SIZES = (1_000, 10_000, 100_000)
EVENT = {"meterApiName": "calls", "meterValue": 1, "meterTimeInMillis": 1718153645993}

_API = {
    "openapi": "3.0.3",
    "info": {"title": "metering", "version": "1"},
    "paths": {
        "/customers/{customerId}": {
            "get": {
                "operationId": "read",
                "parameters": [
                    {"name": "customerId", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
                "responses": {"200": {"description": "ok", "content": {"application/json": {}}}},
            }
        },
        "/ingest": {
            "post": {
                "operationId": "write",
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"200": {"description": "ok"}},
            }
        },
    },
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}}},
    "security": [{"key": []}],
}
_INPUTS = {"type": "object", "properties": {"customerId": {"type": "string"}}, "required": ["customerId"]}
_DOCUMENT = {
    "arazzo": "1.0.1",
    "info": {"title": "bench", "version": "1"},
    "sourceDescriptions": [{"name": "api", "url": "api.json", "type": "openapi"}],
    "workflows": [
        {
            "workflowId": "reads",
            "inputs": _INPUTS,
            "steps": [
                {
                    "stepId": "read",
                    "operationId": "read",
                    "parameters": [{"name": "customerId", "in": "path", "value": "$inputs.customerId"}],
                    "successCriteria": [{"condition": "$statusCode == 200"}],
                    "outputs": {"name": "$response.body#/customerName"},
                }
            ],
        },
        {
            "workflowId": "writes",
            "inputs": _INPUTS,
            "steps": [
                {
                    "stepId": "write",
                    "operationId": "write",
                    "requestBody": {
                        "contentType": "application/json",
                        "payload": {"customerId": "$inputs.customerId", **EVENT},
                    },
                    "successCriteria": [{"condition": "$statusCode == 200"}],
                    "outputs": {"status": "$statusCode"},
                }
            ],
        },
    ],
}
_runs = itertools.count()


def plan_of(kind: str, folder: Path) -> Plan:
    """The workflow of one request."""
    (folder / "api.json").write_text(json.dumps(_API))
    (folder / "bench.arazzo.json").write_text(json.dumps(_DOCUMENT))
    plan, _ = compile_workflow(folder / "bench.arazzo.json", kind)
    return plan if kind == "reads" else declare(plan, {"api.write": {"body": "uniqueId"}})


async def by_hand(url: str, kind: str, count: int, concurrency: int) -> float:
    """The loop: as many workers as may be under way, each asking for the next row. Rows per second."""
    numbers = iter(range(count))
    run = f"hand-{next(_runs)}"

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            if kind == "reads":
                async with session.get(f"{url}/customers/c", headers={"X-API-KEY": KEY}) as response:
                    body = await response.json()
                    if response.status != 200 or "customerName" not in body:
                        raise RuntimeError(f"status {response.status}")
            else:
                event = {"customerId": "c", **EVENT, "uniqueId": f"{run}-{number}"}
                async with session.post(f"{url}/ingest", json=event, headers={"X-API-KEY": KEY}) as response:
                    await response.read()
                    if response.status != 200:
                        raise RuntimeError(f"status {response.status}")

    began = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
    return count / (time.perf_counter() - began)


async def in_batch(plan: Plan, url: str, count: int, concurrency: int, ledger: Store | None) -> float:
    """The batch. Rows per second."""
    connections = {"api": Connection(id="api", base_url=url, password=KEY)}
    failed: list[Any] = []
    run = f"batch-{next(_runs)}"

    def finish(row: Row, done: Done) -> None:
        if done.status != "succeeded":
            failed.append(done.failure)

    began = time.perf_counter()
    async with Transport() as transport:
        send = sender(transport, plan, connections)
        group = GroupBook(Book(ledger)) if ledger is not None else None

        def rows() -> Iterator[Row]:
            for number in range(count):
                # Inputs have been checked by then: rows are frozen before the first of them is sent.
                state = begin(plan, {"customerId": "c"}, now=time.time())
                machine = Machine(plan, state, clock=time.time, ledger=ledger is not None)
                if group is None:
                    yield Row(number, machine, send)
                else:
                    identity = Identity("bench", run, f"row {number}")
                    yield Row(number, machine, GroupedExchange(send, group, identity, plan, connections))

        await Batch(rows(), finish, gates={"api": Gate()}, concurrency=concurrency).run()
    if failed:
        raise RuntimeError(f"{len(failed)} rows failed: {failed[0]}")
    return count / (time.perf_counter() - began)


@contextmanager
def raw_server(latency: float = 0.0) -> Iterator[str]:
    """The server that does nothing but answer, in a process of its own; its URL."""
    command = [sys.executable, "-m", "bench.raw_server", str(latency)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the server has no output")
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


async def create_customer(url: str) -> None:
    """The customer that rows are about; in the sandbox it has to be there."""
    body = {"customerId": "c", "customerName": "A"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/customers", json=body, headers={"X-API-KEY": KEY}) as response,
    ):
        await response.read()


def measure(url: str, rounds: int, count: int, concurrency: int, folder: Path) -> dict[str, dict[str, float]]:
    """Rows per second of both, in turns."""
    asyncio.run(create_customer(url))
    found: dict[str, dict[str, float]] = {}
    for kind in ("reads", "writes"):
        plan = plan_of(kind, folder)
        store = Store(f"sqlite:///{folder}/ledger-{next(_runs)}.db") if kind == "writes" else None
        rates: dict[str, list[float]] = {"aiohttp": [], "batch": []}
        for turn in range(rounds + 1):
            for name in sorted(rates, reverse=turn % 2 == 0):
                if name == "aiohttp":
                    rate = asyncio.run(by_hand(url, kind, count, concurrency))
                else:
                    rate = asyncio.run(in_batch(plan, url, count, concurrency, store))
                if turn:  # the first round warms up
                    rates[name].append(rate)
        if store is not None:
            store.close()
        found[kind] = {name: round(statistics.median(each), 1) for name, each in rates.items()}
        found[kind]["ratio"] = round(found[kind]["batch"] / found[kind]["aiohttp"], 3)
    return found


def peak(kind: str, url: str, count: int, concurrency: int) -> float:
    """The most memory of a process that runs so many rows, in MiB."""
    command = [sys.executable, "-m", "bench.batch", "--only", kind, "--url", url]
    command += ["--rows", str(count), "--concurrency", str(concurrency)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return float(json.loads(ran.stdout)["peak_mib"])


def only(kind: str, url: str, count: int, concurrency: int) -> dict[str, float]:
    """One batch in this process, and the memory that it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = plan_of(kind, folder)
        store = Store(f"sqlite:///{folder}/ledger.db") if kind == "writes" else None
        rate = asyncio.run(in_batch(plan, url, count, concurrency, store))
    return {"rows_per_second": round(rate, 1), "peak_mib": round(peak_rss(), 1)}


def peak_rss() -> float:
    """The most memory that this process held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says counts the parent's memory from before the exec
        found = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(found.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """All measurements."""
    result: dict[str, Any] = {"rows": given.rows, "concurrency": given.concurrency, "rounds": given.rounds}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        urls = {
            "sandbox": stack.enter_context(sandbox()),
            "raw": stack.enter_context(raw_server()),
            "20 ms away": stack.enter_context(raw_server(0.02)),
        }
        for server, url in urls.items():
            result[server] = measure(url, given.rounds, given.rows, given.concurrency, Path(name))
        sizes = SIZES if given.memory is None else tuple(given.memory)
        result["peak_mib"] = {
            kind: {str(size): peak(kind, urls["raw"], size, given.concurrency) for size in sizes}
            for kind in ("reads", "writes")
        }
    if given.scheduled:
        from bench.scheduled import measure as measure_scheduled

        result["scheduled"] = {"rows": given.scheduled, **measure_scheduled(given.scheduled)}
    return result


def table(result: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'rows per second':<20}{'aiohttp':>10}{'batch':>10}{'ratio':>8}"]
    for server in ("sandbox", "raw", "20 ms away"):
        for kind, found in result[server].items():
            figures = f"{found['aiohttp']:>10.0f}{found['batch']:>10.0f}{found['ratio']:>8.2f}"
            lines.append(f"{server + ', ' + kind:<20}{figures}")
    for kind, found in result["peak_mib"].items():
        each = ", ".join(f"{int(size):,} rows {mib:.0f} MiB" for size, mib in found.items())
        lines.append(f"peak memory, {kind}: {each}")
    if found := result.get("scheduled"):
        reads, writes = (result["sandbox"][kind]["batch"] / found["mapped"] for kind in ("reads", "writes"))
        lines += [
            f"HttpOperator mapped over {found['rows']} rows by a scheduler: {found['mapped']:.1f} per second",
            f"  the batch is {reads:,.0f} (reads) and {writes:,.0f} (writes) times as fast",
            f"  a whole run of {found['rows']} rows in the same Airflow: {found['batch']:.1f} per second",
        ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table, then the same as a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.batch", description="rows per second of the batch")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=2000, help="in a round (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--memory", type=int, nargs="*", help="numbers of rows to measure the memory of")
    parser.add_argument("--scheduled", type=int, default=500, help="rows for a scheduler; 0 for none")
    parser.add_argument("--only", choices=("reads", "writes"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.only:
        print(json.dumps(only(given.only, given.url, given.rows, given.concurrency)))
        return 0
    result = run(given)
    print(table(result))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
