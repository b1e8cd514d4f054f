"""Several effects in one transaction: each decided by itself, and nothing said before it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.database import Database
from airflow_arazzo.ledger.group import Closing, GroupBook
from airflow_arazzo.ledger.model import (
    AmbiguousEffect,
    Description,
    EffectUnderWay,
    LedgerUnavailable,
    OtherRequest,
    Outcome,
    Permission,
    Replay,
)

OK = Response(200, (), b'{"id":1}')
Described = Callable[..., Description]


@pytest.fixture(params=["in the loop", "in a thread"])
def group(book: Book, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GroupBook:
    if request.param == "in a thread":
        monkeypatch.setattr(GroupBook, "_written_here", lambda *given: {})
    return GroupBook(book, sleep=lambda seconds: None)


@pytest.fixture
def in_loop(request: pytest.FixtureRequest, group: GroupBook) -> bool:
    return "in the loop" in request.node.name and group.book.store.is_local


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Counts writing transactions; ``before`` and ``after`` are called around the commit of each."""
    seen: dict[str, Any] = {"count": 0, "before": lambda: None, "after": lambda: None}

    def counting(real: Any) -> Any:
        @contextmanager
        def counted(self: Database, *given: Any, write: bool = True, **how: Any) -> Iterator[Any]:
            with real(self, *given, **how) if write else real(self, write=False) as turn:
                yield turn
                if write:
                    seen["count"] += 1
                    seen["before"]()
            if write:
                seen["after"]()

        return counted

    for name in ("transaction", "driver_transaction"):
        monkeypatch.setattr(Database, name, counting(getattr(Database, name)))
    return seen


async def ask(group: GroupBook, keys: list[str], description: Description, **how: Any) -> list[Any]:
    how = {"timeout": 30, "lifetime": None, **how}
    return await asyncio.gather(
        *(group.open(key, description, **how) for key in keys), return_exceptions=True
    )


def closing(permission: Permission, outcome: Outcome = Outcome.EFFECT) -> Closing:
    return Closing(permission, outcome, OK if outcome is Outcome.EFFECT else None, "status", True)


def test_many_effects_few_transactions(
    group: GroupBook, described: Described, transactions: dict[str, Any]
) -> None:
    async def run() -> None:
        keys = [f"{number:03}" for number in range(100)]
        permissions = await ask(group, keys, described())
        assert [each.key for each in permissions] == keys
        assert len({each.owner for each in permissions}) == 100
        await asyncio.gather(*(group.close(closing(each)) for each in permissions))

    asyncio.run(run())
    entries = group.book.store.entries(limit=200)
    assert {entry.outcome for entry in entries} == {Outcome.EFFECT}
    assert len(entries) == 100
    assert transactions["count"] <= 4


def test_nobody_hears_of_a_permission_that_is_not_committed(
    group: GroupBook, described: Described, transactions: dict[str, Any], in_loop: bool
) -> None:
    def fail() -> None:
        raise LedgerUnavailable("the disk is full")

    transactions["before"] = fail
    found = asyncio.run(ask(group, ["a", "b"], described()))
    assert [type(each) for each in found] == [LedgerUnavailable] * 2
    assert transactions["count"] == (4 if in_loop else 3)
    assert group.book.store.entries() == []


def test_a_lost_confirmation_is_no_second_attempt(
    group: GroupBook, described: Described, transactions: dict[str, Any]
) -> None:
    left = [1, 0, 0, 1, 0, 0]

    def lost() -> None:
        if left.pop(0):
            raise LedgerUnavailable("connection lost after the commit")

    transactions["after"] = lost

    async def run() -> None:
        permissions = await ask(group, ["a", "b"], described())
        assert [(each.version, each.doubt) for each in permissions] == [(1, False), (1, False)]
        await asyncio.gather(*(group.close(closing(each)) for each in permissions))

    asyncio.run(run())
    entries = group.book.store.entries()
    assert [(entry.outcome, entry.attempts, entry.version) for entry in entries] == [
        (Outcome.EFFECT, 1, 2)
    ] * 2
    assert not any(group.book.store.audit(entry.key) for entry in entries)


def test_each_is_decided_by_itself(group: GroupBook, described: Described, clock: Any) -> None:
    book = group.book
    for key in ("effect", "other", "unknown", "refused", "busy", "not-sent"):
        permission = book.open(key, described(), timeout=30, lifetime=None)
        assert isinstance(permission, Permission)
        if key != "busy":
            outcome = Outcome.EFFECT if key in ("effect", "other") else Outcome(key)
            book.close(permission, outcome, OK if outcome is Outcome.EFFECT else None)

    async def run() -> dict[str, Any]:
        asked = {"effect": "f", "other": "g", "unknown": "f", "refused": "g", "busy": "f", "not-sent": "f"}
        asked["new"] = "f"
        found = await asyncio.gather(
            *(
                group.open(key, described(fingerprint), timeout=30, lifetime=None)
                for key, fingerprint in asked.items()
            ),
            return_exceptions=True,
        )
        return dict(zip(asked, found, strict=True))

    found = asyncio.run(run())
    assert {key: type(each) for key, each in found.items()} == {
        "effect": Replay,
        "other": OtherRequest,
        "unknown": AmbiguousEffect,
        "refused": Permission,
        "busy": EffectUnderWay,
        "not-sent": Permission,
        "new": Permission,
    }
    assert found["refused"].generation == 1
    assert found["effect"].response == OK
    known = {entry.key: entry.outcome for entry in book.store.entries()}
    assert known["new"] == known["refused"] == known["not-sent"] == Outcome.INTENT
    assert known["other"] == Outcome.EFFECT


def test_two_for_one_effect_in_one_moment(group: GroupBook, described: Described) -> None:
    found = asyncio.run(ask(group, ["a", "a", "b"], described()))
    assert [type(each) for each in found] == [Permission, EffectUnderWay, Permission]


def test_who_gave_up_has_its_intent_taken_back(
    group: GroupBook, described: Described, transactions: dict[str, Any], in_loop: bool
) -> None:
    """One of two is cancelled while the transaction is written; the other one is not disturbed."""
    permitted: list[Any] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        tasks = [
            asyncio.ensure_future(group.open(key, described(), timeout=30, lifetime=None))
            for key in ("a", "b")
        ]

        def cancel() -> None:
            transactions["before"] = lambda: None
            if in_loop:
                tasks[0].cancel()
            else:
                asyncio.run_coroutine_threadsafe(cancelled(), loop).result(5)

        async def cancelled() -> None:
            tasks[0].cancel()
            await asyncio.sleep(0)

        transactions["before"] = cancel
        permitted.extend(await asyncio.gather(*tasks, return_exceptions=True))

    asyncio.run(run())
    assert isinstance(permitted[0], asyncio.CancelledError)
    assert isinstance(permitted[1], Permission)
    outcomes = {entry.key: entry.outcome for entry in group.book.store.entries()}
    assert outcomes == {"a": Outcome.NOT_SENT, "b": Outcome.INTENT}


def test_a_fault_of_ours_is_heard_of(
    group: GroupBook, described: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Book, "write", lambda *given, **named: 1 / 0)
    assert [type(each) for each in asyncio.run(ask(group, ["a"], described()))] == [ZeroDivisionError]


class Interrupted(BaseException):
    """As Airflow's when a task has run for too long: raised by a signal, wherever the process is."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interruption_leaves_nobody_waiting_and_nothing_permitted(
    group: GroupBook, described: Described, transactions: dict[str, Any], moment: str
) -> None:
    """It comes around the commit; what was permitted will not be sent."""

    def interrupt() -> None:
        transactions[moment] = lambda: None
        raise Interrupted

    async def run() -> list[Any]:
        transactions[moment] = interrupt
        asked = [group.open(key, described(), timeout=30, lifetime=None) for key in ("a", "b")]
        tasks = [asyncio.ensure_future(each) for each in asked]
        with suppress(Interrupted):
            await asyncio.wait_for(asyncio.wait(tasks), 5)
        return [task.exception() for task in tasks]

    found = asyncio.run(run())
    assert [type(each) for each in found] == [Interrupted] * 2
    wanted = {} if moment == "before" else {"a": Outcome.NOT_SENT, "b": Outcome.NOT_SENT}
    assert {entry.key: entry.outcome for entry in group.book.store.entries()} == wanted


def test_who_has_heard_before_an_interruption_keeps_what_it_may(
    group: GroupBook, described: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its request is sent: were the intent taken back, somebody would send it again."""
    real = GroupBook._tell

    def tell(self: GroupBook, items: list[Any], results: dict[str, Any]) -> None:
        monkeypatch.setattr(GroupBook, "_tell", real)
        real(self, items[:1], results)
        raise Interrupted

    monkeypatch.setattr(GroupBook, "_tell", tell)
    found = asyncio.run(ask(group, ["a", "b"], described()))
    assert [type(each) for each in found] == [Permission, Interrupted]
    outcomes = {entry.key: entry.outcome for entry in group.book.store.entries()}
    assert outcomes == {"a": Outcome.INTENT, "b": Outcome.NOT_SENT}


def test_what_is_committed_stands_when_the_rest_cannot_be_written(
    group: GroupBook, described: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away while something is looked up: new effects beside that are not in doubt."""
    book = group.book
    known = book.open("known", described(), timeout=30, lifetime=None)
    assert isinstance(known, Permission)
    book.close(known, Outcome.EFFECT, OK)
    real = Database.transaction

    @contextmanager
    def away(self: Database, *, write: bool = True) -> Iterator[Any]:
        if write and self.is_local:
            raise LedgerUnavailable("gone")
        with real(self, write=write) as turn:
            yield turn

    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", away)
        found = asyncio.run(ask(group, ["known", "new", "newer"], described()))
    assert [type(each) for each in found] == [LedgerUnavailable, Permission, Permission]


@pytest.mark.parametrize("where", ["_gathered", "_group"])
def test_an_interruption_anywhere_leaves_nobody_waiting(
    group: GroupBook, described: Described, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def interrupt(*_: Any) -> Any:
        raise Interrupted

    async def run() -> list[Any]:
        monkeypatch.setattr(GroupBook, where, interrupt)
        return await asyncio.wait_for(ask(group, ["a", "b"], described()), 5)

    assert [type(each) for each in asyncio.run(run())] == [Interrupted] * 2
    assert group.book.store.entries() == []
