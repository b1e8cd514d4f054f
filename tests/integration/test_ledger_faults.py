"""Every fault of the sandbox on every kind of request: what the ledger makes of it, and what comes of the
next attempt. The table is the documentation's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import OutcomeUnknown, Request, Response, TransportError
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.exchange import LedgeredExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.model import AmbiguousEffect
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.plan.model import Idempotency, OperationCall, Plan, Source, Step, Workflow
from sandbox.testing import RunningSandbox, running_sandbox

TIMEOUT, IMPATIENT = 10.0, 0.3
"""Seconds for a request, and for one that is to time out."""


@dataclass(frozen=True)
class Kind:
    """A kind of request.

    :param effect: as the sandbox's ledger calls it.
    """

    method: str
    path: str
    content_type: str
    body: bytes
    effect: str
    key: Idempotency | None = None


LIFETIME = 3600.0
ONCE = Kind(
    "POST",
    "/payments-pricing-amberflo-customer-prepaid",
    "application/json",
    b'{"customerId":"c","amount":10.50}',
    "amberflo.prepaid.created",
)
HEADER = Kind(
    "POST",
    "/v1/invoices",
    "application/x-www-form-urlencoded",
    b"customer=cus_1",
    "stripe.invoice.created",
    Idempotency("header", "Idempotency-Key", LIFETIME),
)
BODY = Kind(
    "POST",
    "/ingest",
    "application/json",
    b'[{"customerId":"c","meterApiName":"m","meterValue":1,"meterTimeInMillis":%d}]' % (time.time() * 1000),
    "amberflo.event.ingested",
    Idempotency("body", "uniqueId", LIFETIME),
)
PUT = Kind(
    "PUT",
    "/customers",
    "application/json",
    b'{"customerId":"c","customerName":"New"}',
    "amberflo.customer.updated",
)
KINDS = {"once": ONCE, "header": HEADER, "body": BODY, "put": PUT}

Fault = dict[str, Any]
FAULTS: dict[str, Fault] = {
    "connection refused": {"action": "refuse"},
    "reset before reading": {"action": "reset", "when": "unread"},
    "reset before the effect": {"action": "reset", "when": "before"},
    "reset after the effect": {"action": "reset", "when": "after"},
    "500 before the effect": {"action": "error", "when": "before"},
    "500 after the effect": {"action": "error", "when": "after"},
    "500 inside, with the effect": {"action": "error", "when": "inside"},
    "409": {"action": "error", "when": "before", "status": 409},
    "400": {"action": "error", "when": "before", "status": 400},
    "303 after the effect": {"action": "error", "when": "after", "status": 303},
    "307 elsewhere": {"action": "redirect", "location": "http://127.0.0.1:9/"},
    "429 with Retry-After": {"action": "rate_limit", "retry_after": 1},
    "time-out after the effect": {"action": "delay", "when": "after", "seconds": IMPATIENT * 3},
    "truncated body": {"action": "truncate"},
    "wrong content type": {"action": "content_type", "when": "after"},
}

# fault: the outcome; then for each kind what the next attempt does, and the effects before and after it
PERSON, SENT, READ, FAILED = "left for a person", "sent again", "read again", "sent again, in vain"
TABLE: dict[str, tuple[str, dict[str, tuple[str, int, int]]]] = {
    "connection refused": ("not-sent", dict.fromkeys(KINDS, (SENT, 0, 1))),
    "reset before reading": (
        "unknown",
        {"once": (PERSON, 0, 0), "header": (SENT, 0, 1), "body": (SENT, 0, 1), "put": (SENT, 0, 1)},
    ),
    "reset before the effect": (
        "unknown",
        {"once": (PERSON, 0, 0), "header": (SENT, 0, 1), "body": (SENT, 0, 1), "put": (SENT, 0, 1)},
    ),
    "reset after the effect": (
        "unknown",
        {"once": (PERSON, 1, 1), "header": (SENT, 1, 1), "body": (SENT, 1, 1), "put": (SENT, 1, 2)},
    ),
    "500 before the effect": (
        "unknown",
        {"once": (PERSON, 0, 0), "header": (SENT, 0, 1), "body": (SENT, 0, 1), "put": (SENT, 0, 1)},
    ),
    "500 after the effect": (
        "unknown",
        {"once": (PERSON, 1, 1), "header": (SENT, 1, 1), "body": (SENT, 1, 1), "put": (SENT, 1, 2)},
    ),
    # Stripe keeps a 500 under its key, and answers with it until the key expires.
    "500 inside, with the effect": (
        "unknown",
        {"once": (PERSON, 1, 1), "header": (FAILED, 1, 1), "body": (SENT, 1, 1), "put": (SENT, 1, 2)},
    ),
    "409": (
        "unknown",
        {"once": (PERSON, 0, 0), "header": (SENT, 0, 1), "body": (SENT, 0, 1), "put": (SENT, 0, 1)},
    ),
    "400": ("refused", dict.fromkeys(KINDS, (SENT, 0, 1))),
    "303 after the effect": (
        "unknown",
        {"once": (PERSON, 1, 1), "header": (SENT, 1, 1), "body": (SENT, 1, 1), "put": (SENT, 1, 2)},
    ),
    "307 elsewhere": ("refused", dict.fromkeys(KINDS, (SENT, 0, 1))),
    "429 with Retry-After": ("not-sent", dict.fromkeys(KINDS, (SENT, 0, 1))),
    "time-out after the effect": (
        "unknown",
        {"once": (PERSON, 1, 1), "header": (SENT, 1, 1), "body": (SENT, 1, 1), "put": (SENT, 1, 2)},
    ),
    "truncated body": ("effect", dict.fromkeys(KINDS, (PERSON, 1, 1))),
    "wrong content type": ("effect", dict.fromkeys(KINDS, (READ, 1, 1))),
}


class Clock:
    """The ledger's and the sandbox's clock, which move together."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self._offset = 0.0

    def __call__(self) -> float:
        return time.time() + self._offset

    def pass_by(self, seconds: float) -> None:
        self._offset += seconds
        self._sandbox.configure(clock_offset=self._offset)


class Scene:
    """Attempts at one request of a kind."""

    def __init__(self, sandbox: RunningSandbox, file: Path) -> None:
        self.sandbox = sandbox
        self.clock = Clock(sandbox)
        self.timeout = TIMEOUT
        self.store = Store(f"sqlite:///{file}", clock=self.clock)

    def attempt(self, kind: Kind) -> Response:
        call = OperationCall("api", "call", kind.method, kind.path, idempotency=kind.key)
        step = Step("call", call)
        plan = Plan("bill", {"bill": Workflow("bill", (step,))}, {"api": Source("api")})
        connection = Connection(id="api", base_url=self.sandbox.url, timeout=self.timeout)
        headers = (
            ("Content-Type", kind.content_type),
            ("X-API-KEY", self.sandbox.amberflo_key),
            ("Authorization", f"Bearer {self.sandbox.stripe_key}"),
        )
        request = Request("api", kind.method, kind.path, (), headers, kind.body)

        async def run() -> Response:
            async with Transport() as transport:

                async def send(asked: Send) -> Response:
                    return await transport.send(asked.request, plan.sources["api"], connection)

                book, identity = Book(self.store), Identity("dag", "2026-01-01")
                exchange = LedgeredExchange(send, book, identity, plan, {"api": connection})
                return await exchange(Send(request, step, ("bill", "call"), 1))

        return asyncio.run(run())

    def next(self, kind: Kind) -> str:
        """What the next attempt does."""
        before = len(self.sandbox.requests())
        try:
            status = self.attempt(kind).status
        except AmbiguousEffect:
            assert len(self.sandbox.requests()) == before
            return PERSON
        except OutcomeUnknown:
            return FAILED
        if len(self.sandbox.requests()) == before:
            return READ
        return SENT if status == 200 else FAILED

    def effects(self, kind: Kind) -> int:
        return len(self.sandbox.ledger(kind.effect))

    def outcome(self) -> str:
        [entry] = self.store.entries()
        return str(entry.outcome)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with running_sandbox(stripe_key_lifetime=LIFETIME) as sandbox:
        sandbox.seed(
            amberflo={"customers": [{"customerId": "c", "customerName": "C"}]},
            stripe={"customers": [{"id": "cus_1"}]},
        )
        scene = Scene(sandbox, tmp_path / "ledger.db")
        yield scene
        scene.store.close()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("fault", TABLE)
def test_fault(scene: Scene, fault: str, name: str) -> None:
    kind, sandbox = KINDS[name], scene.sandbox
    expected, decisions = TABLE[fault]
    then, before, after = decisions[name]
    if fault == "connection refused":
        sandbox.refuse_connections(0.5)
    else:
        sandbox.add_fault(**FAULTS[fault])
    scene.timeout = IMPATIENT if fault.startswith("time-out") else TIMEOUT
    with suppress(TransportError):
        scene.attempt(kind)
    scene.timeout = TIMEOUT
    assert (scene.outcome(), scene.effects(kind)) == (expected, before)
    sandbox.clear_faults()
    if fault == "connection refused":
        time.sleep(0.6)
    assert (scene.next(kind), scene.effects(kind)) == (then, after)
    if then in (SENT, READ):
        assert (scene.next(kind), scene.effects(kind)) == (READ, after)
    if kind is not PUT:
        assert scene.effects(kind) <= 1


def test_every_fault_is_in_the_table() -> None:
    assert TABLE.keys() == FAULTS.keys()
    assert all(decisions.keys() == KINDS.keys() for _, decisions in TABLE.values())


# --- lifetime of keys ----------------------------------------------------------------------------------


def lose_the_response(scene: Scene, kind: Kind) -> None:
    scene.sandbox.add_fault("reset", when="after", times=1)
    with pytest.raises(OutcomeUnknown):
        scene.attempt(kind)
    assert scene.effects(kind) == 1


@pytest.mark.parametrize("later", [LIFETIME, LIFETIME + 1, LIFETIME * 30, LIFETIME - TIMEOUT])
def test_a_key_that_has_run_out_is_no_second_effect(scene: Scene, later: float) -> None:
    lose_the_response(scene, HEADER)
    scene.clock.pass_by(later)
    assert (scene.next(HEADER), scene.effects(HEADER)) == (PERSON, 1)


def test_a_key_that_lives_is_sent_again(scene: Scene) -> None:
    lose_the_response(scene, HEADER)
    scene.clock.pass_by(LIFETIME - 60)
    assert (scene.next(HEADER), scene.effects(HEADER)) == (SENT, 1)
    scene.clock.pass_by(LIFETIME * 30)
    assert (scene.next(HEADER), scene.effects(HEADER)) == (READ, 1)


def test_a_lifetime_that_is_declared_too_long_shows_what_would_happen(scene: Scene) -> None:
    """The two tests above can fail."""
    assert HEADER.key is not None
    wrong = replace(HEADER, key=Idempotency("header", "Idempotency-Key", LIFETIME * 100))
    lose_the_response(scene, wrong)
    scene.clock.pass_by(LIFETIME + 1)
    assert (scene.next(wrong), scene.effects(wrong)) == (SENT, 2)


@pytest.mark.parametrize("attempts", [2, 5])
def test_attempts_that_are_not_sent_do_not_prolong_a_key(scene: Scene, attempts: int) -> None:
    lose_the_response(scene, HEADER)
    for _ in range(attempts):
        scene.clock.pass_by((LIFETIME - 60) / attempts)
        scene.sandbox.add_fault("rate_limit", times=1)
        assert scene.next(HEADER) == FAILED
    scene.clock.pass_by(61)
    assert (scene.next(HEADER), scene.effects(HEADER)) == (PERSON, 1)


def test_a_refusal_after_a_lost_response_opens_no_new_generation(scene: Scene) -> None:
    # The key of the account was rotated between the two attempts.
    lose_the_response(scene, HEADER)
    scene.sandbox.add_fault("error", status=401, times=1, when="before")
    assert scene.next(HEADER) == FAILED
    assert (scene.next(HEADER), scene.effects(HEADER)) == (SENT, 1)
    keys = {request["idempotency_key"] for request in scene.sandbox.requests()}
    assert len(keys) == 1
