"""The ledger's table: SQLite or PostgreSQL, every change a compare-and-set on a unique key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger.model import Description, Entry, LedgerUnavailable, Outcome

MAX_RESPONSE = 256 * 1024
"""Bytes of a response body that are kept; of a longer one nothing is."""

_metadata = sa.MetaData()

EFFECTS = sa.Table(
    "arazzo_effect",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False, index=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("source", sa.String(250), nullable=False),
    sa.Column("run", sa.String(500), nullable=False, index=True),
    sa.Column("step", sa.String(500), nullable=False),
    sa.Column("attempt", sa.String(250), nullable=False),
    sa.Column("first_sent", sa.Float, nullable=False),
    sa.Column("changed", sa.Float, nullable=False, index=True),
    sa.Column("patience", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("response", sa.LargeBinary),
    sa.Column("note", sa.Text, nullable=False, default=""),
)

AUDIT = sa.Table(
    "arazzo_effect_audit",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("who", sa.String(250), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("before", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

_RESPONSE = msgspec.msgpack.Decoder(Response)


class Store:
    """The ledger's table, made when it is not there yet.

    :param url: an SQLAlchemy URL; ``sqlite://`` alone is a ledger in memory, for one process.
    :param clock: seconds since the epoch.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._engine = _engine(url)
        self._ready = False

    def close(self) -> None:
        """Close its database connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction.

        :raises LedgerUnavailable: when the database cannot be reached or written.
        """
        try:
            if not self._ready:
                _metadata.create_all(self._engine)
                self._ready = True
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            # The text of such an error can hold the statement's values and the database's password.
            reason = type(getattr(error, "orig", None) or error).__name__
        else:
            return
        raise LedgerUnavailable(f"the ledger cannot be used ({reason})")

    def insert(self, key: str, description: Description, patience: float) -> bool:
        """Write the first intent of an effect; False when the effect is known already."""
        now = self.clock()
        values = msgspec.structs.asdict(description) | {
            "key": key,
            "generation": 0,
            "version": 1,
            "outcome": Outcome.INTENT,
            "first_sent": now,
            "changed": now,
            "patience": patience,
            "attempts": 1,
            "note": "",
        }
        try:
            with self.transaction() as connection:
                connection.execute(sa.insert(EFFECTS).values(**values))
        except IntegrityError:
            return False
        return True

    def get(self, key: str) -> Entry | None:
        """The entry of a key."""
        with self.transaction() as connection:
            row = connection.execute(sa.select(EFFECTS).where(EFFECTS.c.key == key)).mappings().first()
        return _entry(row) if row else None

    def replace(self, key: str, version: int, **values: Any) -> bool:
        """Write values if nobody has written since ``version``; False when somebody has."""
        change = {"version": version + 1, "changed": self.clock(), **values}
        statement = sa.update(EFFECTS).where(EFFECTS.c.key == key, EFFECTS.c.version == version)
        with self.transaction() as connection:
            return connection.execute(statement.values(**change)).rowcount == 1

    def decide(self, entry: Entry, who: str, action: str, reason: str, **values: Any) -> bool:
        """A person's decision: a compare-and-set and its audit record, both or neither."""
        change = {"version": entry.version + 1, "changed": self.clock(), **values}
        statement = sa.update(EFFECTS).where(EFFECTS.c.key == entry.key, EFFECTS.c.version == entry.version)
        record = {
            "key": entry.key,
            "at": self.clock(),
            "who": who,
            "action": action,
            "before": f"{entry.outcome}, generation {entry.generation}",
            "reason": reason,
        }
        with self.transaction() as connection:
            if connection.execute(statement.values(**change)).rowcount != 1:
                return False
            connection.execute(sa.insert(AUDIT).values(**record))
        return True

    def entries(
        self, *, outcome: str = "", run: str = "", older_than: float | None = None, limit: int = 100
    ) -> list[Entry]:
        """Entries, the latest change first.

        :param outcome: only those with this outcome.
        :param run: only those of runs whose name contains this text.
        :param older_than: only those not changed since, in seconds since the epoch.
        """
        query = sa.select(EFFECTS).order_by(EFFECTS.c.changed.desc()).limit(limit)
        if outcome:
            query = query.where(EFFECTS.c.outcome == outcome)
        if run:
            query = query.where(EFFECTS.c.run.contains(run, autoescape=True))
        if older_than is not None:
            query = query.where(EFFECTS.c.changed < older_than)
        with self.transaction() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def find(self, prefix: str) -> list[Entry]:
        """Entries whose key begins with a text."""
        query = sa.select(EFFECTS).where(EFFECTS.c.key.startswith(prefix, autoescape=True)).limit(10)
        with self.transaction() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def audit(self, key: str) -> list[dict[str, Any]]:
        """Decisions of people about an effect, the oldest first."""
        query = sa.select(AUDIT).where(AUDIT.c.key == key).order_by(AUDIT.c.id)
        with self.transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def forget_responses(self, older_than: float) -> int:
        """Drop stored responses of effects that were settled before a time; the effects themselves stay."""
        statement = (
            sa.update(EFFECTS)
            .where(EFFECTS.c.changed < older_than, EFFECTS.c.response.is_not(None))
            .values(response=None, note="the stored response is past its retention")
        )
        with self.transaction() as connection:
            return connection.execute(statement).rowcount


def _engine(url: str) -> sa.Engine:
    """An engine whose SQLite transactions lock at once, so that two attempts cannot both read first."""
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True, pool_size=2)
    memory = url in ("sqlite://", "sqlite:///:memory:")
    arguments: dict[str, Any] = {"connect_args": {"timeout": 30, "check_same_thread": False}}
    if memory:
        arguments["poolclass"] = sa.pool.StaticPool
    engine = sa.create_engine(url, **arguments)

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are ours, not the driver's
        if not memory:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def encode_response(response: Response) -> bytes | None:
    """A response as it is kept; None for one that is too large."""
    return msgspec.msgpack.encode(response) if len(response.body) <= MAX_RESPONSE else None


def _entry(row: Any) -> Entry:
    stored = row["response"]
    return Entry(
        key=row["key"],
        generation=row["generation"],
        version=row["version"],
        outcome=Outcome(row["outcome"]),
        description=Description(
            fingerprint=row["fingerprint"],
            request=row["request"],
            source=row["source"],
            run=row["run"],
            step=row["step"],
            attempt=row["attempt"],
        ),
        first_sent=row["first_sent"],
        changed=row["changed"],
        patience=row["patience"],
        attempts=row["attempts"],
        status=row["status"],
        response=_RESPONSE.decode(stored) if stored else None,
        note=row["note"],
    )
