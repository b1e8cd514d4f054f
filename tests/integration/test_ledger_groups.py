"""Groups of outcomes that several write at once, on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_arazzo.ledger import postgresql
from airflow_arazzo.ledger.model import Description, Outcome
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.ledger.tables import Change, FirstIntent

EFFECT = {"outcome": Outcome.EFFECT, "note": "status 200", "status": 200, "response": b"{}"}
UNKNOWN = {"outcome": Outcome.UNKNOWN, "note": "connection lost"}


def test_groups_of_the_same_effects_wait_for_each_other_in_one_order(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcomes of two kinds are two statements of PostgreSQL; two groups have them the other way round."""
    real = postgresql._parts

    def slowly(rows: Any) -> Any:
        yield from real(rows)
        time.sleep(0.5)  # while the other has its first statement behind it, too

    monkeypatch.setattr(postgresql, "_parts", slowly)
    store = Store(ledger)
    description = Description("f" * 64, "POST /", "api", "run", "step")
    store.write([FirstIntent(key, description, 30, "o") for key in ("a", "b")], ())

    def write(kinds: tuple[dict[str, Any], dict[str, Any]]) -> set[str]:
        mine = Store(ledger)
        try:
            changes = [Change(key, 1, values) for key, values in zip("ab", kinds, strict=True)]
            changes.sort(key=lambda change: len(change.values))
            return mine.write((), changes).changed
        finally:
            mine.close()

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(write, [(EFFECT, UNKNOWN), (UNKNOWN, EFFECT)]))
    assert sorted(map(sorted, found)) == [[], ["a", "b"]]
    store.close()


def test_what_is_stored_comes_back_as_it_was(ledger: str) -> None:
    """Also what a statement, JSON or a driver could take for something else."""
    texts = ["%s %(a)s :x ? {} \\ ' \" $1", "nul \0 end", "\ud800 alone", "ümläut 😀\n\t", "x" * 100_000]
    bodies = [bytes(range(256)), b"", b"\\x00", b"{}" * 100_000]
    store = Store(ledger)
    description = Description("f" * 64, "POST /", "api", "run", "step")
    changes = []
    for number, text in enumerate(texts):
        store.insert(f"{number}", description, 30, "o")
        body = bodies[number % len(bodies)]
        changes.append(Change(f"{number}", 1, {"outcome": Outcome.EFFECT, "note": text, "response": body}))
    assert store.write((), changes).changed == {change.key for change in changes}
    again = Store(ledger)
    for number, text in enumerate(texts):
        entry = again.get(f"{number}")
        assert entry is not None
        assert entry.outcome is Outcome.EFFECT
        assert entry.note == text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    with again.transaction() as turn:
        kept = turn.connection.exec_driver_sql('SELECT "key", response FROM arazzo_effect').all()
    assert {key: bytes(body) for key, body in kept} == {
        f"{number}": bodies[number % len(bodies)] for number in range(len(texts))
    }
    again.close()
    store.close()
