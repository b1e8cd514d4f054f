"""Attempts at effects for the tests of the ledger, and the process that makes them.

Run as a script it reads jobs as lines of JSON and answers with outcomes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import Done, Machine, Send, begin
from airflow_arazzo.engine.messages import Request, Response, TransportError
from airflow_arazzo.engine.run import drive, secret_inputs
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.declare import declare
from airflow_arazzo.ledger.exchange import LedgeredExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.model import EffectUnderWay
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import OperationCall, Plan, Source, Step, Workflow
from airflow_arazzo.plan.options import Options

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT, GRACE = 3.0, 4.0
"""Seconds; short, since a killed process is waited for as long."""

PATH = ("bill", "order")
SPECS = ROOT / "specs"
TOP_UP = SPECS / "arazzo" / "amberflo-meter-usage-and-topup-prepaid-workflow.yml"
INVOICE = SPECS / "arazzo" / "fin-amberflo-usage-to-stripe-invoice.yml"
KEYS: dict[str, dict[str, Any]] = {
    "topup": {"meteringApi.ingestMeterEvents": {"body": "uniqueId"}},
    "invoice": {
        "amberfloMeteringApi.ingestMeterEvents": {"body": "uniqueId"},
        "stripeInvoiceApi": {"header": "Idempotency-Key", "lifetime": 82800},
    },
}


# --- attempts ------------------------------------------------------------------------------------------


def order_once(book: Book, url: str, key: str, run: str) -> str:
    """One attempt at a prepaid order, which nobody recognises when it is repeated; what came of it."""
    call = OperationCall("api", "order", "POST", "/payments-pricing-amberflo-customer-prepaid")
    step = Step("order", call)
    plan = Plan("bill", {"bill": Workflow("bill", (step,))}, {"api": Source("api")})
    connection = Connection(id="api", base_url=url)
    headers = (("Content-Type", "application/json"), ("X-API-KEY", key))
    request = Request("api", "POST", call.path, (), headers, b'{"customerId":"c","amount":10}')
    sent: list[str] = []

    async def attempt() -> None:
        async with Transport() as transport:

            async def send(asked: Send) -> Response:
                sent.append("sent")
                return await transport.send(asked.request, plan.sources["api"], connection)

            exchange = LedgeredExchange(send, book, Identity("dag", run), plan, {"api": connection})
            await exchange(Send(request, step, PATH, 1))

    try:
        asyncio.run(attempt())
    except EffectUnderWay:
        return "under way"
    except TransportError as error:
        return f"failed: {error}"
    return "sent" if sent else "replayed"


def plan_of(kind: str) -> Plan:
    document = TOP_UP if kind == "topup" else INVOICE
    plan, _ = compile_workflow(document, options=Options(source_path=(SPECS / "openapi",)))
    return declare(plan, KEYS[kind])


def bill(
    book: Book, plan: Plan, connections: dict[str, Connection], kind: str, customer: str
) -> dict[str, Any]:
    """One attempt at a whole workflow, from its beginning as after a clear."""
    inputs: dict[str, Any] = {"meterApiName": "calls", "customerId": customer, "currency": "usd"}
    if kind == "topup":
        inputs |= {
            "meterValue": 1,
            "meterTimeInMillis": int(time.time() * 1000) // 10**7 * 10**7,
            "amount": 10,
        }
    else:
        inputs |= {"usageValue": 1, "stripeCustomer": f"cus_{customer.replace('-', '')}"}
    state = begin(plan, prepare_inputs(plan.root, inputs), now=time.time())
    machine = Machine(plan, state, clock=time.time, secrets=secret_inputs(plan, connections), ledger=True)

    async def attempt() -> Done:
        async with Transport() as transport:

            async def send(asked: Send) -> Response:
                source = asked.request.source
                return await transport.send(asked.request, plan.sources[source], connections[source])

            exchange = LedgeredExchange(send, book, Identity(kind, customer), plan, connections)
            done = await drive(machine, exchange)
            assert isinstance(done, Done)
            return done

    try:
        done = asyncio.run(attempt())
    except EffectUnderWay as busy:
        return {"status": "under way", "seconds": busy.seconds}
    failure = done.failure
    return {"status": done.status, "code": failure.code if failure else "", "why": str(failure or "")}


def connections_to(url: str, keys: dict[str, str]) -> dict[str, Connection]:
    return {
        name: Connection(
            id=name,
            base_url=url,
            password=keys["stripe" if name.startswith("stripe") else "amberflo"],
            timeout=TIMEOUT,
        )
        for name in ("meteringApi", "billingApi", "amberfloMeteringApi", "stripeInvoiceApi")
    }


# --- the other process ---------------------------------------------------------------------------------


def serve(ledger: str, url: str, key: str) -> None:
    """Order when told to: every line is a run and the time at which to begin."""
    book = Book(Store(ledger))
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        while time.time() < job["at"]:
            pass
        print(json.dumps(order_once(book, url, key, job["run"])), flush=True)


def work(ledger: str, url: str, amberflo: str, stripe: str, customers: str) -> None:
    """Bill all customers, one after the other, leaving out what is under way."""
    book = Book(Store(ledger), grace=GRACE)
    connections = connections_to(url, {"amberflo": amberflo, "stripe": stripe})
    plans = {kind: plan_of(kind) for kind in KEYS}
    print("ready", flush=True)
    for name in customers.split(","):
        for kind, plan in plans.items():
            mine = {source: connections[source] for source in plan.sources}
            print(json.dumps([kind, name, bill(book, plan, mine, kind, name)]), flush=True)


def make(ledger: str, at: str) -> None:
    """Make the tables at a given time."""
    store = Store(ledger)
    while time.time() < float(at):
        pass
    print(len(store.entries()), flush=True)


if __name__ == "__main__":
    {"serve": serve, "work": work, "make": make}[sys.argv[1]](*sys.argv[2:])
