"""Stored responses are dropped in time, and nothing else is: on SQLite and on PostgreSQL."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger import retention
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.model import (
    AmbiguousEffect,
    Description,
    OtherRequest,
    Outcome,
    Permission,
    Replay,
)
from airflow_arazzo.ledger.retention import RETENTION_DAYS, keep_house, prune
from airflow_arazzo.ledger.store import Store

DAY = 86_400.0
ASKED = Description("f", "POST https://x\n\n{}", "api", "dag run", "bill", "try 1")


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(ledger: str, clock: Clock) -> Iterator[Store]:
    store = Store(ledger, clock=clock)
    yield store
    store.close()


def effect(store: Store, key: str, outcome: Outcome | None = Outcome.EFFECT) -> None:
    book = Book(store)
    permission = book.open(key, ASKED, timeout=1, lifetime=None)
    assert isinstance(permission, Permission)
    if outcome is not None:
        book.close(permission, outcome, Response(200, (), b"{}"))


def kept(store: Store) -> set[str]:
    return {entry.key for entry in store.entries() if entry.response is not None}


def test_what_is_dropped_and_what_stays(store: Store, clock: Clock) -> None:
    effect(store, "old")
    effect(store, "unknown", Outcome.UNKNOWN)
    effect(store, "lost", None)
    clock.now += RETENTION_DAYS * DAY
    effect(store, "new")
    before = {entry.key: entry for entry in store.entries()}
    keep_house(store, {})
    assert kept(store) == {"old", "new"}
    clock.now += 2 * DAY
    keep_house(store, {})
    assert kept(store) == {"new"}
    after = {entry.key: entry for entry in store.entries()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"old"}
    assert after["old"].outcome is Outcome.EFFECT
    book = Book(store)
    assert isinstance(book.open("new", ASKED, timeout=1, lifetime=None), Replay)
    for key in ("old", "unknown", "lost"):
        with pytest.raises(AmbiguousEffect):
            book.open(key, ASKED, timeout=1, lifetime=None)
    other = Description("g", "POST https://x\n\n[]", "api", "dag run", "bill", "try 1")
    with pytest.raises(OtherRequest):
        book.open("old", other, timeout=1, lifetime=None)


def test_once_a_day_a_batch_at_a_time(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    keep_house(store, {})
    for number in range(5):
        effect(store, f"k{number}")
    clock.now += 1.5 * DAY
    left = []
    for _ in range(4):
        keep_house(store, {retention.DAYS: "1"})
        left.append(len(kept(store)))
    assert left == [3, 1, 0, 0]
    assert [record["action"] for record in store.audit("")] == ["forget-responses"] * 2
    clock.now += 0.9 * DAY
    keep_house(store, {retention.DAYS: "1"})
    assert len(store.audit("")) == 2


def test_a_person_drops_all(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(5):
        effect(store, f"k{number}")
    clock.now += 2 * DAY
    assert prune(store, 1, "ops") == 5
    assert [record["who"] for record in store.audit("")] == ["ops"]


def test_nobody_is_stopped_by_it(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        keep_house(store, {retention.DAYS: "never"})
        keep_house(Store("sqlite:////nowhere/at/all/ledger.db"), {})
    first, second = caplog.messages
    assert "ARAZZO_LEDGER_RETENTION_DAYS must be a number of days above 0" in first
    assert "cannot be used" in second
