"""The ledger's tables: every change of an effect a compare-and-set on a unique key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from airflow_arazzo.ledger import postgresql, sqlite
from airflow_arazzo.ledger.database import Database, Turn
from airflow_arazzo.ledger.model import Description, Entry, Outcome
from airflow_arazzo.ledger.tables import (
    AUDIT,
    EFFECTS,
    METADATA,
    Change,
    FirstIntent,
    as_values,
    changed_values,
    entry_of,
    fitting,
)

_FORGOTTEN = "forget-responses"
"""Action of the audit records, without a key, that say when old responses were dropped."""

# Made once: to make a statement costs several times what SQLite needs to carry it out.
_INSERT = insert(EFFECTS).on_conflict_do_nothing()
_UPDATE = sa.update(EFFECTS).where(
    EFFECTS.c.key == sa.bindparam("_key"), EFFECTS.c.version == sa.bindparam("_version")
)


class Seen(NamedTuple):
    """An entry, if there is one, and the database's time at which it was read."""

    entry: Entry | None
    now: float


class Written(NamedTuple):
    """What :meth:`Store.write` has written.

    :param first: keys of the effects that were not known before.
    :param changed: keys of those that nobody else had written to.
    :param ticks: :data:`~airflow_arazzo.ledger.database.boot_clock` at the time of the write.
    """

    first: set[str]
    changed: set[str]
    ticks: float


class Store:
    """The ledger's tables. Safe to use from several threads, and after a fork.

    :param url: an SQLAlchemy URL; ``sqlite://`` alone is a ledger in memory, for one process.
    :param clock: seconds since the epoch, in place of the database's clock; for tests.
    :raises LedgerUnavailable: for a URL that cannot be used; every method raises it when the database
        cannot be reached, read or written.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] | None = None) -> None:
        self._database = Database(url, METADATA, clock)

    @property
    def place(self) -> str:
        """Where it is, for messages, without credentials."""
        return self._database.place

    @property
    def is_local(self) -> bool:
        """Whether only this machine, or only this process, can see it: SQLite."""
        return self._database.is_local

    @property
    def file(self) -> Path | None:
        """The file of a SQLite ledger, which is made when it is first used."""
        return self._database.file

    def close(self) -> None:
        """Close its database connections."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[Turn]:
        """One transaction for several changes; see :mod:`airflow_arazzo.ledger.group`."""
        return self._database.transaction()

    def insert(self, key: str, description: Description, patience: float, owner: str = "") -> float | None:
        """Write the first intent of an effect.

        :param patience: seconds after which it counts as unknown.
        :return: :data:`~airflow_arazzo.ledger.database.boot_clock` when its patience began; None when the
            effect is known already.
        """
        written = self.write([FirstIntent(key, description, patience, owner)], ())
        return written.ticks if written.first else None

    def write(
        self, intents: Sequence[FirstIntent], changes: Sequence[Change], *, wait: float | None = None
    ) -> Written:
        """Write first intents of several effects and changes of others, all that can be, in one transaction.

        :param intents: each with another key.
        :param changes: each with another key, of effects that are not among the intents.
        :param wait: seconds to wait for other writers of an SQLite file; None for the usual time.
        """
        if self._database.is_local:
            forced = bool(intents) or any(change.forced for change in changes)
            with self._database.driver_transaction(wait, forced=forced) as turn:
                new, changed = as_values(intents, changes, turn.now)
                first = sqlite.insert_all(turn.cursor, EFFECTS, new)
                done = sqlite.replace_all(turn.cursor, EFFECTS, changed)
                return Written(first, done, turn.ticks)
        with self._database.transaction() as open_turn:
            connection = open_turn.connection
            new, changed = as_values(intents, changes, open_turn.now)
            if connection.dialect.name == "postgresql":
                first = postgresql.insert_all(connection, EFFECTS, new)
                done = postgresql.replace_all(connection, EFFECTS, changed)
            else:
                first = {row["key"] for row in new if connection.execute(_INSERT, row).rowcount}
                done = {row["_key"] for row in changed if _replaced(connection, row)}
            return Written(first, done, open_turn.ticks)

    def look(self, key: str) -> Seen:
        """The entry of a key, and the time."""
        with self._database.transaction(write=False) as turn:
            row = turn.connection.execute(sa.select(EFFECTS).where(EFFECTS.c.key == key)).mappings().first()
            return Seen(entry_of(row) if row else None, turn.now)

    def get(self, key: str) -> Entry | None:
        """The entry of a key."""
        return self.look(key).entry

    def now(self) -> float:
        """The database's time in seconds since the epoch."""
        with self._database.transaction(write=False) as turn:
            return turn.now

    def replace(self, key: str, version: int, *, first_sent: bool = False, **values: Any) -> float | None:
        """Write values if nobody has written since ``version``.

        :param first_sent: whether its generation is first sent now.
        :return: as :meth:`insert`; None when somebody has written.
        """
        written = self.write((), [Change(key, version, values, first_sent)])
        return written.ticks if written.changed else None

    def decide(self, entry: Entry, who: str, action: str, reason: str, **values: Any) -> bool:
        """A person's decision: a compare-and-set and its audit record, both or neither.

        :return: False when somebody has written since the entry was read.
        """
        with self._database.transaction() as turn:
            change = Change(entry.key, entry.version, {"owner": "", **values})
            if not _replaced(turn.connection, changed_values(change, turn.now)):
                return False
            _record(turn.connection, turn.now, entry, who, action, reason)
        return True

    def remark(self, entry: Entry, who: str, action: str, reason: str) -> None:
        """An audit record that changes nothing."""
        with self._database.transaction() as turn:
            _record(turn.connection, turn.now, entry, who, action, reason)

    def entries(self, *, outcome: str = "", run: str = "", limit: int = 100) -> list[Entry]:
        """Entries: unknown outcomes first, then the latest change first.

        :param outcome: only those with this outcome. Intents that nobody can be waiting for any more are
            unknown, here as everywhere.
        :param run: only those of runs whose name contains this text.
        """
        with self._database.transaction(write=False) as turn:
            intent = EFFECTS.c.outcome == Outcome.INTENT
            lost = intent & (EFFECTS.c.changed + EFFECTS.c.patience <= turn.now)
            unknown = (EFFECTS.c.outcome == Outcome.UNKNOWN) | lost
            first = sa.case((unknown, 0), else_=1)
            query = sa.select(EFFECTS).order_by(first, EFFECTS.c.changed.desc(), EFFECTS.c.key).limit(limit)
            if outcome == Outcome.UNKNOWN:
                query = query.where(unknown)
            elif outcome:
                query = query.where(EFFECTS.c.outcome == outcome, sa.not_(lost))
            if run:
                query = query.where(EFFECTS.c.run.contains(run, autoescape=True))
            return [entry_of(row) for row in turn.connection.execute(query).mappings()]

    def find(self, prefix: str) -> list[Entry]:
        """Entries whose key begins with a text; ten at most."""
        query = sa.select(EFFECTS).where(EFFECTS.c.key.startswith(prefix, autoescape=True))
        with self._database.transaction(write=False) as turn:
            rows = turn.connection.execute(query.order_by(EFFECTS.c.key).limit(10))
            return [entry_of(row) for row in rows.mappings()]

    def audit(self, key: str) -> list[dict[str, Any]]:
        """Decisions about an effect and remarks on it, the oldest first."""
        query = sa.select(AUDIT).where(AUDIT.c.key == key).order_by(AUDIT.c.id)
        with self._database.transaction(write=False) as turn:
            return [dict(row) for row in turn.connection.execute(query).mappings()]

    def forget_responses(self, age: float, *, limit: int, who: str) -> int:
        """Drop stored responses of effects that were settled some time ago; the effects themselves stay.

        It is written down when none is left that old.

        :param age: seconds.
        :param limit: how many to drop at most.
        :return: how many were dropped.
        """
        with self._database.transaction() as turn:
            # Asked of every row again, since on PostgreSQL one may have been settled anew meanwhile.
            old = sa.and_(
                EFFECTS.c.changed < turn.now - age,
                EFFECTS.c.outcome == Outcome.EFFECT,
                EFFECTS.c.response.is_not(None),
            )
            some = sa.select(EFFECTS.c.key).where(old).limit(limit)
            forgotten = {"response": None, "note": "past its retention"}
            statement = sa.update(EFFECTS).where(EFFECTS.c.key.in_(some), old).values(**forgotten)
            dropped = turn.connection.execute(statement).rowcount
            if dropped < limit:
                record = {"key": "", "at": turn.now, "who": who, "action": _FORGOTTEN, "before": ""}
                values = {**record, "reason": f"responses older than {age:.0f} s"}
                turn.connection.execute(sa.insert(AUDIT).values(**fitting(AUDIT, values)))
            return dropped

    def seconds_since_forgetting(self) -> float:
        """How long ago the last old response was dropped; infinite for never."""
        query = sa.select(sa.func.max(AUDIT.c.at)).where(AUDIT.c.key == "", AUDIT.c.action == _FORGOTTEN)
        with self._database.transaction(write=False) as turn:
            last = turn.connection.execute(query).scalar_one()
            return math.inf if last is None else turn.now - float(last)


def _replaced(connection: sa.Connection, row: Mapping[str, Any]) -> bool:
    return connection.execute(_UPDATE, row).rowcount == 1


def _record(connection: sa.Connection, now: float, entry: Entry, who: str, action: str, reason: str) -> None:
    record = {
        "key": entry.key,
        "at": now,
        "who": who,
        "action": action,
        "before": f"{entry.outcome}, generation {entry.generation}",
        "reason": reason,
    }
    connection.execute(sa.insert(AUDIT).values(**fitting(AUDIT, record)))
