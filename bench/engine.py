"""``python -m bench.engine``: what the engine costs for each step, beside plain ``aiohttp``.

One workflow of three steps (``provision-customer-billing``), many times over. Measured in turns, several
rounds of each, so that a busy moment of the computer does not fall on one of them alone:

- *machine*: the machine against a stub that answers at once: expressions, requests, criteria, outputs;
- *start*: what comes before the first request: checked inputs, and later requests built to try them;
- *state*: the state of a run as JSON and back;
- *aiohttp*: the same three calls to the sandbox, written by hand in a loop;
- *engine*: the engine with its own transport to the sandbox.

The sandbox is another process on the loopback interface. Milliseconds are medians of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import Done, Machine, Send, begin
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.preflight import check_requests
from airflow_arazzo.engine.run import drive, sender
from airflow_arazzo.engine.state import decode_state, encode_state
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import Plan

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENT = REPOSITORY / "specs" / "arazzo" / "amberflo-provision-customer-billing-workflow.yml"
STEPS = 3
KEY = "bench-key-of-the-sandbox"

_JSON = (("Content-Type", "application/json"),)
_ANSWERS = tuple(
    Response(200, _JSON, body)
    for body in (
        b'{"customerId":"c","customerName":"A","lifecycleStage":"ACTIVE","createTime":1718153645993}',
        b'{"customerId":"c","productId":"p","startTime":1718153645993}',
        b'{"orderId":"o","customerId":"c","amount":10.10}',
    )
)
_names = (f"bench-{number}" for number in itertools.count())

Measured = Callable[[int], Awaitable[None]]
"""Runs the workflow so many times."""


def inputs() -> dict[str, Any]:
    """Inputs of a run, for a customer of its own."""
    return {"customerId": next(_names), "customerName": "A", "productId": "p", "amount": Decimal("10.10")}


class Bench:
    """The things that are measured."""

    def __init__(self, url: str, session: aiohttp.ClientSession, transport: Transport) -> None:
        self.plan, _ = compile_workflow(DOCUMENT)
        self.url = url
        self.session = session
        self.exchange = sender(
            transport, self.plan, {"billingApi": Connection(id="billingApi", base_url=url, password=KEY)}
        )
        self.prepared = prepare_inputs(self.plan.root, inputs())
        self.state = _half_way(self.plan, self.prepared)

    async def machine(self, times: int) -> None:
        """The machine alone."""
        for _ in range(times):
            machine = Machine(self.plan, begin(self.plan, self.prepared, now=0.0), clock=time.time)
            for answer in _ANSWERS:
                machine.next()
                machine.receive(answer)
            _check(machine.next())

    async def start(self, times: int) -> None:
        """Inputs and the requests that they determine."""
        for _ in range(times):
            check_requests(self.plan, prepare_inputs(self.plan.root, self.prepared), {})

    async def store(self, times: int) -> None:
        """A state as JSON and back, once for each step."""
        for _ in range(times * STEPS):
            decode_state(encode_state(self.state.state))

    async def by_hand(self, times: int) -> None:
        """The same calls with aiohttp."""
        for _ in range(times):
            given = inputs()
            customer = await self._post(
                "/customers",
                {
                    "customerId": given["customerId"],
                    "customerName": given["customerName"],
                    "lifecycleStage": "ACTIVE",
                },
            )
            name = customer["customerId"]
            await self._post(
                "/payments-pricing-amberflo-customer-pricing",
                {"customerId": name, "productId": given["productId"]},
            )
            order = {"customerId": name, "amount": float(given["amount"])}
            await self._post("/payments-pricing-amberflo-customer-prepaid", order)

    async def engine(self, times: int) -> None:
        """The engine and its transport."""
        for _ in range(times):
            prepared = prepare_inputs(self.plan.root, inputs())
            machine = Machine(self.plan, begin(self.plan, prepared, now=time.time()), clock=time.time)
            _check(await drive(machine, self.exchange))

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        async with self.session.post(self.url + path, json=body, headers={"X-API-KEY": KEY}) as response:
            if response.status != 200:
                raise RuntimeError(f"{path} answered {response.status}")
            return await response.json()


def _half_way(plan: Plan, prepared: dict[str, Any]) -> Machine:
    """A machine that waits for the answer to its second request."""
    machine = Machine(plan, begin(plan, prepared, now=0.0), clock=time.time)
    machine.next()
    machine.receive(_ANSWERS[0])
    if not isinstance(machine.next(), Send):
        raise RuntimeError("the workflow has not the expected steps")
    return machine


def _check(done: object) -> None:
    """A measurement of failures would be one of something else."""
    if not isinstance(done, Done) or done.status != "succeeded":
        raise RuntimeError(f"the workflow did not succeed: {done}")


async def measure(bench: Bench, rounds: int, runs: int) -> dict[str, dict[str, float]]:
    """Milliseconds for each step: median, least and most of the rounds."""
    kinds: dict[str, tuple[Measured, int]] = {
        "machine": (bench.machine, runs),
        "start": (bench.start, runs),
        "state": (bench.store, runs),
        "aiohttp": (bench.by_hand, max(1, runs // 5)),
        "engine": (bench.engine, max(1, runs // 5)),
    }
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for function, times in kinds.values():
        await function(max(1, times // 5))
    for turn in range(rounds):
        order = list(kinds)
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            function, times = kinds[name]
            began = time.perf_counter()
            await function(times)
            taken[name].append((time.perf_counter() - began) / times / STEPS * 1000)
    return {
        name: {"median": statistics.median(found), "least": min(found), "most": max(found)}
        for name, found in taken.items()
    }


@contextmanager
def sandbox() -> Iterator[str]:
    """A sandbox in a process of its own; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--amberflo-key", KEY, "--request-log-size", "100"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the sandbox has no output")
        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait(10)


async def run(url: str, rounds: int, runs: int) -> dict[str, Any]:
    """Measure, and put the figures beside each other."""
    async with aiohttp.ClientSession() as session, Transport() as transport:
        found = await measure(Bench(url, session, transport), rounds, runs)
    by_hand, engine = found["aiohttp"]["median"], found["engine"]["median"]
    return {
        "unit": "ms per step",
        "steps": STEPS,
        "rounds": rounds,
        "runs": runs,
        "python": sys.version.split()[0],
        "measured": {name: {k: round(v, 4) for k, v in each.items()} for name, each in found.items()},
        "engine_to_aiohttp": round(engine / by_hand, 3),
        "added_by_engine": round(engine - by_hand, 4),
    }


def table(result: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'ms per step':<12}{'median':>9}{'least':>9}{'most':>9}"]
    for name, figures in result["measured"].items():
        lines.append(f"{name:<12}" + "".join(f"{figures[k]:>9.4f}" for k in ("median", "least", "most")))
    lines.append(
        f"engine / aiohttp = {result['engine_to_aiohttp']:.2f}, {result['added_by_engine']:+.3f} ms per step"
    )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table, then the same as a line of JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.engine", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=9, help="of each measurement (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=300, help="in a round (default: %(default)s)")
    given = parser.parse_args(argv)
    with sandbox() as url:
        result = asyncio.run(run(url, max(1, given.rounds), max(1, given.runs)))
    print(table(result))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
