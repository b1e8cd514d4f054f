"""The tables: compare-and-set, what makes commits last, forks, and errors that keep secrets."""

from __future__ import annotations

import os
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger.database import Database
from airflow_arazzo.ledger.model import Description, LedgerUnavailable, Outcome
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.ledger.tables import EFFECTS, MAX_RESPONSE, encode_response

Described = Callable[..., Description]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(file: Path, clock: Any) -> Iterator[Store]:
    store = Store(f"sqlite:///{file}", clock=clock)
    yield store
    store.close()


def test_only_the_first_intent_is_written(store: Store, described: Described) -> None:
    assert store.insert("k", described("one"), 10) is not None
    assert store.insert("k", described("two"), 10) is None
    entry = store.get("k")
    assert entry is not None
    assert (entry.description.fingerprint, entry.version, entry.generation) == ("one", 1, 0)


def test_nothing_is_written_over_what_was_not_read(store: Store, described: Described) -> None:
    store.insert("k", described(), 10)
    assert store.replace("k", 1, note="first") is not None
    assert store.replace("k", 1, note="second") is None
    assert store.replace("other", 1, note="x") is None
    entry = store.get("k")
    assert entry is not None
    assert (entry.note, entry.version) == ("first", 2)
    assert not store.decide(replace_version(entry, 1), "ops", "x", "y", note="third")
    assert store.audit("k") == []


def replace_version(entry: Any, version: int) -> Any:
    return msgspec.structs.replace(entry, version=version)


def test_many_threads_one_winner(store: Store, described: Described) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(10):
            won = list(pool.map(lambda _, n=number: store.insert(f"k{n}", described(), 10), range(8)))  # type: ignore[misc]
            assert sum(ticks is not None for ticks in won) == 1
            won = list(pool.map(lambda _, n=number: store.replace(f"k{n}", 1, note="x"), range(8)))  # type: ignore[misc]
            assert sum(ticks is not None for ticks in won) == 1


def test_a_ledger_in_memory_serves_threads_too(described: Described) -> None:
    store = Store("sqlite://")
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.insert(f"k{n % 10}", described(), 10), range(80)))
    assert sum(ticks is not None for ticks in won) == 10


def test_commits_are_written_through(store: Store, file: Path, described: Described) -> None:
    store.insert("k", described(), 10)
    with store._database.transaction() as turn:
        settings = [
            turn.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous")
        ]
    assert settings == ["wal", 2]


def test_a_writer_waits_for_others_and_its_time_begins_then(file: Path, described: Described) -> None:
    store = Store(f"sqlite:///{file}")
    store.insert("a", described(), 10)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.insert, "b", described(), 10)
        released = store.now() + 0.3
        while store.now() < released:
            assert not waiting.done()
        other.execute("COMMIT")
        assert waiting.result(10) is not None
    entry = store.get("b")
    assert entry is not None
    # A time that was read before the wait would make the intent look older than it is.
    assert entry.changed >= released
    store.close()
    other.close()


def test_readers_wait_for_nobody(file: Path, described: Described) -> None:
    store = Store(f"sqlite:///{file}")
    store.insert("a", described(), 10)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(store.entries()) == 1
    store.close()
    other.close()


def test_a_fork_gets_connections_of_its_own(store: Store, described: Described) -> None:
    store.insert("k", described(), 10)
    engine = store._database._engine
    child = os.fork()
    if child == 0:
        try:
            same = store.get("k") is not None and store._database._engine is engine
            os._exit(1 if same else 0)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store._database._engine is engine


# --- lists ---------------------------------------------------------------------------------------------


def test_unknown_outcomes_come_first_and_lost_intents_are_unknown(
    store: Store, clock: Any, described: Described
) -> None:
    for outcome in Outcome:
        store.insert(outcome, described(), 10)
        store.replace(outcome, 1, outcome=outcome)
        clock.pass_by(1)
    clock.pass_by(10)
    store.insert("young", described(), 10)
    assert [entry.key for entry in store.entries()] == [
        "unknown",
        "intent",
        "young",
        "not-sent",
        "refused",
        "effect",
    ]
    assert [entry.key for entry in store.entries(outcome="unknown")] == ["unknown", "intent"]
    assert [entry.key for entry in store.entries(outcome="intent")] == ["young"]
    assert [entry.key for entry in store.entries(outcome="effect")] == ["effect"]
    assert len(store.entries(limit=2)) == 2
    assert store.entries(run="no%such_run") == []
    assert len(store.entries(run="dag r")) == 6


def test_keys_are_found_by_their_beginning(store: Store, described: Described) -> None:
    for key in ("abc1", "abc2", "abd"):
        store.insert(key, described(), 10)
    assert [entry.key for entry in store.find("abc")] == ["abc1", "abc2"]
    assert store.find("%") == store.find("_bc") == []


def test_decisions_are_audited(store: Store, clock: Any, described: Described) -> None:
    store.insert("k", described(), 10)
    entry = store.get("k")
    assert entry is not None
    assert store.decide(entry, "ops", "not-happened", "looked", outcome=Outcome.NOT_SENT)
    record = {"id": 1, "key": "k", "at": clock.now, "who": "ops", "action": "not-happened"}
    assert store.audit("k") == [record | {"before": "intent, generation 0", "reason": "looked"}]


def test_responses_are_kept_for_a_while(store: Store, clock: Any, described: Described) -> None:
    response = Response(200, (("A", "b"),), b"\xff\x00", "u", 0.5)
    store.insert("k", described(), 10)
    store.replace("k", 1, outcome=Outcome.EFFECT, response=encode_response(response))
    entry = store.get("k")
    assert entry is not None
    assert entry.response == response
    assert encode_response(Response(200, (), b"x" * (MAX_RESPONSE + 1))) is None


def test_a_response_of_another_version_counts_as_not_kept(store: Store, described: Described) -> None:
    store.insert("k", described(), 10)
    store.replace("k", 1, outcome=Outcome.EFFECT, response=b"\x81\xa1x\x01")
    entry = store.get("k")
    assert entry is not None
    assert entry.response is None


def test_texts_fit(store: Store, described: Described) -> None:
    # PostgreSQL refuses all three, and the step could then never be sent.
    long = Description("f", "nul \0 surrogate \udcff", "s" * 999, "r" * 999, "t" * 999, "a" * 999)
    store.insert("k", long, 10)
    entry = store.get("k")
    assert entry is not None
    assert entry.description.request == "nul \\0 surrogate \\udcff"
    lengths = [len(getattr(entry.description, name)) for name in ("source", "run", "step", "attempt")]
    assert lengths == [250, 500, 500, 250]


# --- trouble -------------------------------------------------------------------------------------------

PASSWORD = "pa55-w0rd"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/db",
        f"postgres://me:{PASSWORD}@127.0.0.1:1/db",
        f"postgresql://me:a@{PASSWORD}@127.0.0.1:1/db",
        f"postgresql://me:x@127.0.0.1:1/db?password={PASSWORD}",
        f"postgresql://me:x@127.0.0.1:{PASSWORD}/db",
        f"postgresql+asyncpg://me:{PASSWORD}@127.0.0.1:1/db",
        f"mysql://me:{PASSWORD}@127.0.0.1:1/db",
        f"sqlite+aiosqlite:///{PASSWORD}",
        f"no url {PASSWORD}",
        "",
    ],
)
def test_no_error_shows_the_password(url: str, described: Described) -> None:
    with pytest.raises(LedgerUnavailable) as raised:
        Store(url).insert("k", described(request=f"a body with {PASSWORD}"), 10)
    shown = "".join(traceback.format_exception(raised.value))
    assert PASSWORD not in str(raised.value)
    assert "psycopg2.OperationalError" not in shown
    assert raised.value.__context__ is None


def test_no_error_shows_values(store: Store, described: Described) -> None:
    store.insert("k", described(), 10)
    with pytest.raises(LedgerUnavailable) as raised:
        store.replace("k", 1, request=None, note=PASSWORD)
    shown = "".join(traceback.format_exception(raised.value))
    assert PASSWORD not in shown
    assert "During handling" not in shown


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "postgresql://me@127.0.0.1:1/books",
            'at 127.0.0.1:1/books cannot be used: connection to server at "127.0.0.1", port 1 failed: '
            "Connection refused",
        ),
        (
            f"postgresql://me:{PASSWORD}@nowhere.invalid/books",
            'at nowhere.invalid:5432/books cannot be used: could not translate host name "nowhere.invalid" ',
        ),
        ("postgresql://me:a@b@127.0.0.1:1/books", "at ? cannot be used: OperationalError"),
        # What holds the password is not shown, or not as it is.
        ("postgresql://me:refused@127.0.0.1:1/books", "port 1 failed: Connection ***"),
        ("postgresql://me:port@127.0.0.1:1/books", "at 127.0.0.1:1/books cannot be used: OperationalError"),
    ],
)
def test_why_a_database_is_out_of_reach(url: str, reason: str, described: Described) -> None:
    with pytest.raises(LedgerUnavailable) as raised:
        Store(url).insert("k", described(), 10)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_database(file: Path, described: Described) -> None:
    file.write_text("something else altogether, and long enough to be looked at" * 20)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        Store(f"sqlite:///{file}").get("k")
    with pytest.raises(LedgerUnavailable, match="unable to open"):
        Store(f"sqlite:///{file.parent}/none/ledger.db").get("k")


def test_a_failed_transaction_leaves_nothing(store: Store, described: Described) -> None:
    def fail() -> None:
        with store._database.transaction() as turn:
            turn.connection.execute(EFFECTS.delete())
            raise RuntimeError

    store.insert("k", described(), 10)
    with pytest.raises(RuntimeError):
        fail()
    assert store.get("k") is not None


def test_places_for_messages() -> None:
    metadata = EFFECTS.metadata
    places = [
        Database(url, metadata).place
        for url in (
            "sqlite://",
            "sqlite:////tmp/l.db",
            "postgresql://me:pw@db.test/l",
            "postgresql://me:p@x@h:1/l",
        )
    ]
    assert places[:3] == ["in memory", "in /tmp/l.db", "at db.test:5432/l"]
    assert "x" not in places[3]
