"""A ledger in memory with a clock of its own, and what the exchange needs around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_arazzo.engine.batch import Later
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import Request, Response
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.exchange import LedgeredExchange
from airflow_arazzo.ledger.group import GroupBook, GroupedExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.model import Description, EffectUnderWay
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.plan.model import Body, Idempotency, OperationCall, Plan, Server, Source, Step, Workflow


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Scripted:
    """An exchange that does what it is told and counts what it is asked."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[Request] = []
        self.before: Callable[[], None] = lambda: None

    async def __call__(self, command: Send) -> Response:
        assert not command.again, "the exchange below would refuse to send it"
        self.requests.append(command.request)
        self.before()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Bench:
    """A plan of one step, the ledger, and attempts at the step."""

    def __init__(self, book: Book, clock: Clock, *, grouped: bool = False) -> None:
        self.book, self.store, self.clock, self.grouped = book, book.store, clock, grouped
        self.monkeypatch: Any = None
        self.connection = Connection(id="api", base_url="https://api.test", timeout=30.0)
        self.secrets: list[str] = []

    def call(self, method: str = "POST", **changes: Any) -> OperationCall:
        body = Body("application/json", {})
        return OperationCall("api", "charge", method, "/charges", (Server("/"),), body=body, **changes)

    def step(self, call: OperationCall | None = None, **changes: Any) -> Step:
        return Step("charge", call or self.call(), **changes)

    def plan(self, step: Step) -> Plan:
        return Plan("bill", {"bill": Workflow("bill", (step,))}, {"api": Source("api")})

    def request(
        self, body: bytes | None = b'{"amount":10}', *headers: tuple[str, str], **changes: Any
    ) -> Request:
        method = changes.pop("method", "POST")
        content = (("Content-Type", changes.pop("content_type", "application/json")),)
        target = changes.pop("target", "/charges")
        return Request("api", method, target, (), (*content, *headers), body, **changes)

    def attempt(
        self,
        send: Scripted,
        *,
        key: Idempotency | None = None,
        step: Step | None = None,
        request: Request | None = None,
        identity: Identity | None = None,
        visit: int = 1,
        again: bool = False,
    ) -> Response:
        """One attempt at the step by a process of its own."""
        request = request or self.request()
        step = step or self.step(self.call(request.method, idempotency=key))
        exchange = self.exchange(send, step, identity)
        try:
            return asyncio.run(exchange(self.send(step, request, visit=visit, again=again)))
        except Later as later:
            raise EffectUnderWay(str(later), later.seconds) from None

    def exchange(
        self, send: Scripted, step: Step | None = None, identity: Identity | None = None
    ) -> LedgeredExchange:
        make: Any = LedgeredExchange
        if self.grouped:
            group = GroupBook(self.book, sleep=lambda seconds: None)
            make = lambda send, _, *rest, **options: GroupedExchange(send, group, *rest, **options)  # noqa: E731
        return make(
            send,
            self.book,
            identity or Identity("dag", "2026-01-01"),
            self.plan(step or self.step()),
            {"api": self.connection},
            attempt="try 1",
            secrets=lambda: self.secrets,
            pauses=(0.0,),
        )

    def send(
        self, step: Step | None = None, request: Request | None = None, *, visit: int = 1, again: bool = False
    ) -> Send:
        return Send(request or self.request(), step or self.step(), ("bill", "charge"), visit, again)

    def outcome(self) -> str:
        [entry] = self.store.entries()
        return str(entry.outcome)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> Iterator[Book]:
    store = Store("sqlite://", clock=clock)
    yield Book(store, sleep=lambda seconds: None)
    store.close()


@pytest.fixture(params=["alone", "grouped"])
def bench(book: Book, clock: Clock, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With a ledger that writes each effect alone, and with one that writes several at once."""
    bench = Bench(book, clock, grouped=request.param == "grouped")
    bench.monkeypatch = monkeypatch
    return bench


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def described() -> Callable[..., Description]:
    def make(
        fingerprint: str = "f", protection: str = "", request: str = "POST https://x\n\n{}"
    ) -> Description:
        return Description(fingerprint, request, "api", "dag run", "charge", "try 1", protection)

    return make
