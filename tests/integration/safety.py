"""Attempts at requests of every kind, and what each fault makes of them: the rows of ``docs/safety.md``.

Run as a script it makes one attempt in a process of its own, which ends itself with SIGKILL when it is told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import OutcomeUnknown, Request, Response
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.ledger.book import Book, outcome_of
from airflow_arazzo.ledger.exchange import LedgeredExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.model import AmbiguousEffect, EffectUnderWay, OtherRequest, Outcome
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.plan.declaration import REPEATABLE
from airflow_arazzo.plan.model import SAFE_METHODS, Idempotency, OperationCall, Plan, Source, Step, Workflow
from sandbox.testing import RunningSandbox

TIMEOUT, IMPATIENT = 10.0, 0.3
"""Seconds for a request, and for one that is to time out."""

LIFETIME = 3600.0
"""Seconds for which the services know a key."""


# --- kinds of requests ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of request.

    :param title: of its column.
    :param effect: as the sandbox's ledger calls it; empty for none.
    :param other: the body of another request.
    """

    title: str
    method: str
    path: str
    body: bytes | None = None
    effect: str = ""
    content_type: str = "application/json"
    key: Idempotency | None = None
    other: bytes | None = None

    @property
    def ledgered(self) -> bool:
        """Whether its requests go through the ledger."""
        return self.method not in SAFE_METHODS and self.key is not REPEATABLE


# The same for a worker that is started when another hour has begun: it asks for the same thing.
HOUR = int(os.environ.setdefault("SAFETY_HOUR", str(int(time.time()) // 3600 * 3600)))
KINDS = {
    "get": Kind("GET", "GET", "/customers/c"),
    "put": Kind(
        "PUT",
        "PUT",
        "/customers",
        b'{"customerId":"c","customerName":"New"}',
        "amberflo.customer.updated",
        other=b'{"customerId":"c","customerName":"Newer"}',
    ),
    "delete": Kind("DELETE", "DELETE", "/customers/c", None, "amberflo.customer.deleted", other=b"{}"),
    "header": Kind(
        "POST, key in a header",
        "POST",
        "/v1/invoices",
        b"customer=cus_1",
        "stripe.invoice.created",
        "application/x-www-form-urlencoded",
        Idempotency("header", "Idempotency-Key", LIFETIME),
        other=b"customer=cus_1&description=x",
    ),
    "body": Kind(
        "POST, key in the body",
        "POST",
        "/ingest",
        b'[{"customerId":"c","meterApiName":"m","meterValue":1,"meterTimeInMillis":%d}]' % (HOUR * 1000),
        "amberflo.event.ingested",
        key=Idempotency("body", "uniqueId", LIFETIME),
        other=b'[{"customerId":"c","meterApiName":"m","meterValue":2,"meterTimeInMillis":%d}]'
        % (HOUR * 1000),
    ),
    "repeatable": Kind(
        "POST, repeatable",
        "POST",
        "/usage",
        b'{"meterApiName":"m","aggregation":"SUM","timeGroupingInterval":"HOUR",'
        b'"startTimeInSeconds":%d,"endTimeInSeconds":%d}' % (HOUR - 3600, HOUR),
        key=REPEATABLE,
        other=b'{"meterApiName":"m","aggregation":"SUM","timeGroupingInterval":"DAY",'
        b'"startTimeInSeconds":%d,"endTimeInSeconds":%d}' % (HOUR - 3600, HOUR),
    ),
    "once": Kind(
        "POST, once only",
        "POST",
        "/payments-pricing-amberflo-customer-prepaid",
        b'{"customerId":"c","amount":10.50}',
        "amberflo.prepaid.created",
        other=b'{"customerId":"c","amount":11.50}',
    ),
}


# --- attempts ------------------------------------------------------------------------------------------

Hook = Callable[[], None]


@dataclass
class Attempt:
    """How an attempt is made.

    :param url: where the service is.
    :param before: called before the request leaves.
    :param after: called once the response is there, before its outcome is written.
    """

    url: str
    timeout: float = TIMEOUT
    other: bool = False
    follow: int = 0
    before: Hook = field(default=lambda: None)
    after: Hook = field(default=lambda: None)


def attempt(kind: Kind, store: Store, keys: tuple[str, str], how: Attempt) -> Response:
    """Make one attempt at a request, as a process of its own would.

    :param keys: of Amberflo and of Stripe.
    """
    call = OperationCall("api", "call", kind.method, kind.path, idempotency=kind.key)
    step = Step("call", call)
    plan = Plan("bill", {"bill": Workflow("bill", (step,))}, {"api": Source("api")})
    connection = Connection(
        id="api", base_url=how.url, timeout=how.timeout, password=keys[0], follow_redirects=how.follow
    )
    body = kind.other if how.other else kind.body
    headers = (("X-API-KEY", keys[0]), ("Authorization", f"Bearer {keys[1]}"))
    if body is not None:
        headers = (("Content-Type", kind.content_type), *headers)
    request = Request("api", kind.method, kind.path, (), headers, body)

    async def run() -> Response:
        async with Transport() as transport:

            async def send(asked: Send) -> Response:
                how.before()
                response = await transport.send(asked.request, plan.sources["api"], connection)
                how.after()
                return response

            exchange = LedgeredExchange(
                send,
                Book(store, sleep=lambda seconds: None),
                Identity("dag", "2026-01-01"),
                plan,
                {"api": connection},
                secrets=lambda: keys,
                pauses=(0.0,),
            )
            return await exchange(Send(request, step, ("bill", "call"), 1))

    return asyncio.run(run())


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


SENT, READ, LATER = "sent again", "not sent, the stored response is read", "not sent, looks again later"
REFUSED, UNHEARD = "sent again, refused", "sent again, in vain"
PERSON, RESPONSE = "asks a person what happened", "asks a person for the response"
OTHER = "asks a person which of the two is right"
"""What an attempt does; the last three send nothing."""


class Scene:
    """Attempts at one request, and what comes of them.

    :param url: of the ledger.
    """

    def __init__(self, sandbox: RunningSandbox, kind: Kind, url: str) -> None:
        self.sandbox, self.kind, self.url = sandbox, kind, url
        self.clock = Clock(sandbox)
        self.store = Store(url, clock=self.clock)
        self.timeout = TIMEOUT

    @property
    def keys(self) -> tuple[str, str]:
        return self.sandbox.amberflo_key, self.sandbox.stripe_key

    def attempt(self, store: Store | None = None, **how: Any) -> Response:
        given = {"url": self.sandbox.url, "timeout": self.timeout, **how}
        return attempt(self.kind, store or self.store, self.keys, Attempt(**given))

    def next(self, **how: Any) -> str:
        """What the next attempt does."""
        before = len(self.sandbox.requests())
        try:
            status = self.attempt(**how).status
        except EffectUnderWay:
            result = LATER
        except OtherRequest:
            result = OTHER
        except AmbiguousEffect:
            result = RESPONSE if self.outcome() == "effect" else PERSON
        except OutcomeUnknown:
            assert len(self.sandbox.requests()) > before
            return UNHEARD
        else:
            sent = len(self.sandbox.requests()) > before
            answers = {Outcome.EFFECT: SENT, Outcome.REFUSED: REFUSED}
            return answers.get(outcome_of(status), UNHEARD) if sent else READ
        assert len(self.sandbox.requests()) == before
        return result

    def effects(self) -> int:
        return len(self.sandbox.ledger(self.kind.effect)) if self.kind.effect else 0

    def outcome(self) -> str:
        """What the ledger has, or nothing."""
        entries = self.store.entries()
        return str(entries[0].outcome) if entries else ""


# --- the table -----------------------------------------------------------------------------------------

Cell = tuple[str, int, int]
"""What the next attempt does, and the effects before and after it."""


def cells(*, told: bool, **others: Cell) -> dict[str, Cell]:
    """Cells of a row in which nobody knows whether there was an effect.

    :param told: whether there was one.
    """
    if told:
        known: dict[str, Cell] = {
            "put": (SENT, 1, 2),
            "delete": (REFUSED, 1, 1),
            "header": (SENT, 1, 1),
            "body": (SENT, 1, 1),
            "once": (PERSON, 1, 1),
        }
    else:
        known = dict.fromkeys(("put", "delete", "header", "body"), (SENT, 0, 1))
        known["once"] = (PERSON, 0, 0)
    return {**dict.fromkeys(("get", "repeatable"), (SENT, 0, 0)), **known, **others}


def alike(cell: Cell) -> dict[str, Cell]:
    """Cells of a row in which all requests that go through the ledger are alike."""
    free = dict.fromkeys(("get", "repeatable"), (SENT, 0, 0))
    return {name: free.get(name, cell) for name in KINDS}


@dataclass(frozen=True)
class Row:
    """A fault, what the ledger has after it, and for each kind what comes then.

    :param rule: of the sandbox; empty where the test causes the fault itself.
    :param waits: whether the outcome is that of an intent, which other attempts wait for at first.
    :param overlaps: whether the next attempt begins while this one is under way.
    """

    outcome: str
    cells: dict[str, Cell]
    rule: dict[str, Any] = field(default_factory=dict)
    waits: bool = False
    overlaps: bool = False


NO_EFFECT = alike((SENT, 0, 1))
LOST_FIRST, LOST_LATER = cells(told=False), cells(told=True)
ELSEWHERE = "http://127.0.0.1:9/"
REFUSALS = (400, 401, 403, 404, 410, 422)

TABLE: dict[str, Row] = {
    "connection refused": Row("not-sent", NO_EFFECT),
    "unknown host": Row("not-sent", NO_EFFECT),
    "TLS handshake failed": Row("not-sent", NO_EFFECT),
    "reset before reading": Row("unknown", LOST_FIRST, {"action": "reset", "when": "unread"}),
    "reset before the effect": Row("unknown", LOST_FIRST, {"action": "reset", "when": "before"}),
    "reset after the effect": Row("unknown", LOST_LATER, {"action": "reset", "when": "after"}),
    "no response in time, after the effect": Row(
        "unknown", LOST_LATER, {"action": "delay", "when": "after", "seconds": IMPATIENT * 3}
    ),
    "no response in time, before a late effect": Row(
        "unknown", LOST_LATER, {"action": "delay", "when": "before", "seconds": IMPATIENT * 2}
    ),
    "429 with Retry-After": Row("not-sent", NO_EFFECT, {"action": "rate_limit", "retry_after": 1}),
    "500 before the effect": Row("unknown", LOST_FIRST, {"action": "error", "when": "before"}),
    "500 after the effect": Row("unknown", LOST_LATER, {"action": "error", "when": "after"}),
    # Stripe keeps a 500 under its key, and answers with it until the key expires.
    "500 that the service keeps under the key": Row(
        "unknown", cells(told=True, header=(UNHEARD, 1, 1)), {"action": "error", "when": "inside"}
    ),
    "408": Row("unknown", LOST_FIRST, {"action": "error", "when": "before", "status": 408}),
    "409": Row("unknown", LOST_FIRST, {"action": "error", "when": "before", "status": 409}),
    "425": Row("unknown", LOST_FIRST, {"action": "error", "when": "before", "status": 425}),
    "any other 4xx": Row("refused", NO_EFFECT),
    "303": Row("unknown", LOST_LATER, {"action": "error", "when": "after", "status": 303}),
    "307 to another origin": Row("refused", NO_EFFECT, {"action": "redirect", "location": ELSEWHERE}),
    # The service answers a DELETE with an empty body, which arrives whole.
    "truncated body": Row(
        "effect", {**alike((RESPONSE, 1, 1)), "delete": (READ, 1, 1)}, {"action": "truncate"}
    ),
    "wrong content type": Row("effect", alike((READ, 1, 1)), {"action": "content_type", "when": "after"}),
    "echo of credentials in a refusal": Row("refused", NO_EFFECT, {"action": "echo", "when": "before"}),
    "echo of credentials after the effect": Row(
        "effect", alike((READ, 1, 1)), {"action": "echo", "when": "after"}
    ),
    "worker killed before sending": Row("intent", LOST_FIRST, waits=True),
    "worker killed in flight": Row("intent", LOST_LATER, waits=True),
    "worker killed before the outcome is written": Row("intent", LOST_LATER, waits=True),
    "ledger unreachable before sending": Row("", NO_EFFECT),
    "ledger unreachable after sending": Row("intent", LOST_LATER, waits=True),
    "another attempt under way": Row("intent", alike((LATER, 0, 0)), overlaps=True),
    "the key's lifetime has run out after a lost response": Row(
        "unknown", cells(told=True, header=(PERSON, 1, 1), body=(PERSON, 1, 1))
    ),
    "another request for the same effect, which happened": Row("effect", alike((OTHER, 1, 1))),
    "another request for the same effect, which may have happened": Row("unknown", alike((OTHER, 1, 1))),
    "another request for the same effect, which was refused": Row("refused", NO_EFFECT),
}


# --- the other process ---------------------------------------------------------------------------------


def kill() -> None:
    """End this process as nothing else would: it has no chance to say anything."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(kind: str, ledger: str, url: str, amberflo: str, stripe: str, moment: str) -> None:
    """Make an attempt and be killed."""
    hooks = {"before": {"before": kill}, "flight": {}, "after": {"after": kill}}[moment]
    store = Store(ledger)
    attempt(KINDS[kind], store, (amberflo, stripe), Attempt(url, **hooks))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
