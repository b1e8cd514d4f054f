"""What of the ledger is on the disk when the power fails: every intent, and what nobody could find out."""

from __future__ import annotations

import asyncio
import math
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger.book import Book, Closing
from airflow_arazzo.ledger.group import GroupBook
from airflow_arazzo.ledger.model import Description, Outcome, Permission
from airflow_arazzo.ledger.sqlite import Connections
from airflow_arazzo.ledger.store import Store

Described = Callable[..., Description]
KEYED = "header idempotency-key"
OK = Response(200, (), b'{"id":1}')


class Disk:
    """A ledger in a file, and for every commit how SQLite dealt with the disk."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = file
        self.commits: list[str] = []
        self.ahead = 0.0
        self._level = ""
        real = Connections._connected

        def connected(connections: Connections) -> sqlite3.Connection:
            connection = real(connections)
            self._level = "FULL" if connection.execute("PRAGMA synchronous").fetchone() == (2,) else "?"
            connection.set_trace_callback(self._said)
            return connection

        monkeypatch.setattr(Connections, "_connected", connected)
        self.book = self.opened(file)

    def opened(self, file: Path) -> Book:
        return Book(Store(f"sqlite:///{file}", clock=lambda: time.time() + self.ahead))

    def _said(self, statement: str) -> None:
        if statement.startswith("PRAGMA synchronous="):
            self._level = statement.partition("=")[2]
        if statement == "COMMIT":
            self.commits.append(self._level)

    def ask(self, described: Description, lifetime: float | None, key: str = "k") -> Permission:
        allowed = self.book.open(key, described, timeout=1.0, lifetime=lifetime)
        assert isinstance(allowed, Permission)
        return allowed


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path / "ledger.db", monkeypatch)


@pytest.mark.parametrize(
    ("protection", "lifetime"),
    [("", None), ("method", math.inf), (KEYED, 3600.0), (KEYED, math.inf), (KEYED, 3599.0), (KEYED, None)],
)
@pytest.mark.parametrize("outcome", [Outcome.EFFECT, Outcome.REFUSED, Outcome.NOT_SENT, Outcome.UNKNOWN])
def test_all_waits_for_the_disk_but_an_effect_whose_key_is_honoured_for_long(
    disk: Disk, described: Described, outcome: Outcome, protection: str, lifetime: float | None
) -> None:
    again = protection == KEYED and lifetime in (3600.0, math.inf)
    expected = "NORMAL" if again and outcome is Outcome.EFFECT else "FULL"
    allowed = disk.ask(described("f", protection), lifetime)
    assert disk.commits == ["FULL"]
    disk.book.close(allowed, outcome, OK)
    assert disk.commits == ["FULL", expected]
    disk.ask(described("f", protection), lifetime, "another")
    assert disk.commits == ["FULL", expected, "FULL"]


@pytest.mark.parametrize("before", [Outcome.UNKNOWN, Outcome.REFUSED, Outcome.NOT_SENT])
def test_intents_of_later_attempts_wait_too(disk: Disk, described: Described, before: Outcome) -> None:
    disk.book.close(disk.ask(described("f", KEYED), 3600.0), before)
    del disk.commits[:]
    again = disk.ask(described("f", KEYED), 3600.0)
    assert disk.commits[-1] == "FULL"
    disk.book.close(again, Outcome.EFFECT, OK)
    assert disk.commits[-1] == "NORMAL"


def test_in_a_group_everything_waits_for_what_has_to(disk: Disk, described: Described) -> None:
    keyed = [disk.ask(described("f", KEYED), 3600.0, key) for key in "abd"]
    plain = [disk.ask(described("f"), None, key) for key in "ce"]
    asked = disk.book.asked(described("f", KEYED), timeout=1.0, lifetime=3600.0)
    first, second, third, *others = [Closing(each, Outcome.EFFECT, OK, "", True) for each in (*keyed, *plain)]
    del disk.commits[:]
    disk.book.write({}, [first])
    disk.book.write({"x": asked}, [second])
    disk.book.write({}, [third, others[0]])
    disk.book.write({}, others[1:])
    assert disk.commits == ["NORMAL", "FULL", "FULL", "FULL"]


def test_rows_of_a_batch_ask_the_same_of_the_disk(disk: Disk, described: Described) -> None:
    async def rows() -> None:
        group = GroupBook(disk.book)
        for protection, lifetime in ((KEYED, 3600.0), ("", None)):
            allowed = await group.open(
                f"k{protection}", described("f", protection), timeout=1.0, lifetime=lifetime
            )
            assert isinstance(allowed, Permission)
            await group.close(Closing(allowed, Outcome.EFFECT, OK, "", True))

    asyncio.run(rows())
    assert disk.commits == ["FULL", "NORMAL", "FULL", "FULL"]


@pytest.mark.parametrize("options", ["", "?timeout=30"])
def test_what_follows_an_outcome_waits_again(tmp_path: Path, described: Described, options: str) -> None:
    """Also where the same connection comes out of SQLAlchemy's pool, and goes through SQLAlchemy."""
    store = Store(f"sqlite:///{tmp_path}/ledger.db{options}")
    book = Book(store)
    for number in range(3):
        allowed = book.open(f"k{number}", described("f", KEYED), timeout=1.0, lifetime=3600.0)
        assert isinstance(allowed, Permission)
        assert _level(store) == 2
        book.close(allowed, Outcome.EFFECT, OK)
        assert _level(store) == 1
        if number == 1:
            with store.transaction() as turn:
                assert turn.connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def _level(store: Store) -> int:
    with store._database._driver() as connection:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])


def test_who_asks_after_the_power_has_failed_sends_the_same_key_again(
    disk: Disk, described: Described, tmp_path: Path
) -> None:
    asked = described("f", KEYED)
    allowed = disk.ask(asked, 3600.0)
    left = tmp_path / "left.db"
    for end in ("", "-wal"):  # all that was certainly on the disk
        shutil.copy(f"{disk.file}{end}", f"{left}{end}")
    disk.book.close(allowed, Outcome.EFFECT, OK)
    disk.ahead = 60.0
    disk.book = disk.opened(left)
    again = disk.ask(asked, 3600.0)
    assert (again.generation, again.doubt) == (allowed.generation, True)
