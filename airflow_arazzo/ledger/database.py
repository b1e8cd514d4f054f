"""The ledger's database: SQLite or PostgreSQL, and what makes a commit there worth trusting.

Two things are asked of it. What was committed is there after a crash, so SQLite writes its log through to
the disk, except for what can be found out again, and PostgreSQL must not commit asynchronously. And there is
one clock: PostgreSQL's own, since workers on several machines compare times with each other; with SQLite all
of them are on one machine, and its clock it is.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from airflow_arazzo.engine.redact import SHORTEST, redact
from airflow_arazzo.ledger.model import LedgerUnavailable
from airflow_arazzo.ledger.sqlite import BUSY, FORCED, NOT_FORCED, Connections, prepare_file

CONNECT = 10
"""Seconds to reach PostgreSQL."""

_CREATION = 0x417261_7A7A6F
"""Number of PostgreSQL's advisory lock around the making of the tables."""

# One statement at the start of every transaction: the time, and commits that are written through.
_POSTGRESQL_BEGIN = sa.text(
    "SELECT extract(epoch FROM clock_timestamp())::double precision,"
    " CASE WHEN current_setting('synchronous_commit') = 'off'"
    " THEN set_config('synchronous_commit', 'on', true) END"
)
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TELLING = ("08", "28", "3D", "53", "57", "58", "25006", "3F000", "42501")
"""How SQLSTATEs begin whose messages are about the database as such: never about a statement's values."""
_LONGEST_REASON = 200
_SQLITE_REASONS = ("locked", "unable to open", "disk", "readonly", "full", "malformed", "not a database")

_FAILURES = (SQLAlchemyError, sqlite3.Error, ImportError)

boot_clock: Callable[[], float] = (
    (lambda: time.clock_gettime(time.CLOCK_BOOTTIME)) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds that have passed, also while the process was stopped or the machine suspended."""


class Turn(NamedTuple):
    """A transaction under way.

    :param now: the database's time, read once the transaction had begun: in SQLite that is after the wait
        for other writers, and a time read before it would make an intent look older than it is.
    :param ticks: :data:`boot_clock` at that moment.
    """

    connection: sa.Connection
    now: float
    ticks: float


class DriverTurn(NamedTuple):
    """A transaction of SQLite under way, on the driver's own cursor; its times are those of :class:`Turn`."""

    cursor: sqlite3.Cursor
    now: float
    ticks: float


class Database:
    """Where the ledger's tables are; they are made when they are not there yet.

    :param url: an SQLAlchemy URL; ``sqlite://`` alone is a database in memory, for one process.
    :param clock: seconds since the epoch, in place of the database's clock.
    :raises LedgerUnavailable: for a URL that cannot be used; the message never repeats it.
    """

    def __init__(self, url: str, metadata: sa.MetaData, clock: Callable[[], float] | None = None) -> None:
        self._url = _checked(url)
        self._metadata = metadata
        self._clock = clock
        self._memory = self.is_local and self._url.database in (
            None,
            "",
            ":memory:",
        )
        # A database in memory has one connection, which can hold one transaction.
        self._alone: AbstractContextManager[Any] = threading.Lock() if self._memory else nullcontext()
        self._engine: sa.Engine | None = None
        self._pid = 0
        self._connections: Connections | None = None
        if self.file is not None and not self._url.query:
            tables = frozenset(metadata.tables)
            self._connections = Connections(str(self.file), tables, self._ready)
        if self._memory:
            self._ready()

    @property
    def is_local(self) -> bool:
        """Whether it is SQLite."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database; None for others and for one in memory."""
        return Path(self._url.database or "") if self.is_local and not self._memory else None

    @property
    def place(self) -> str:
        """Where it is, for messages: no user, no password, no options."""
        url = self._url
        if self.is_local:
            return "in memory" if self._memory else f"in {url.database}"
        # A password with an unescaped @ or / would otherwise be read, and shown, as part of something else.
        if not _is_plain(url):
            return "at ?"
        return f"at {url.host}:{url.port or 5432}{f'/{url.database}' if url.database else ''}"

    def close(self) -> None:
        """Close its connections."""
        if self._engine is not None:
            self._engine.dispose()
        if self._connections is not None:
            self._connections.close()

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Turn]:
        """A transaction.

        :param write: whether it changes something; in SQLite it then locks before it reads.
        :raises LedgerUnavailable: when the database cannot be reached, read or written. A commit whose
            confirmation was lost is among the reasons: what was written may be there.
        """
        try:
            with self._alone, self._ready().connect() as connection:
                with connection.execution_options(ledger_write=write).begin():
                    yield self._turn(connection)
                return
        except _FAILURES as error:
            reason = _reason(error, self._url)
        # Out here and from nothing: the driver's exception may hold values or the password.
        raise self._unavailable(reason) from None

    @contextmanager
    def driver_transaction(self, wait: float | None = None, *, forced: bool = True) -> Iterator[DriverTurn]:
        """A transaction of SQLite that changes something, without SQLAlchemy in between.

        What SQLAlchemy does for a statement takes several times what SQLite takes to carry it out.

        :param wait: seconds to wait for other writers; :data:`BUSY` when None.
        :param forced: whether it is on the disk once it is committed; else it is as soon as a later one is,
            or the operating system has written it. Whatever happens to processes, it stands either way.
        :raises LedgerUnavailable: as :meth:`transaction`.
        """
        try:
            with self._alone, self._driver() as connection:
                cursor = connection.cursor()
                if wait is not None:
                    cursor.execute(f"PRAGMA busy_timeout={wait * 1000:.0f}")
                # Said each time, so that nothing depends on what an interrupted transaction left behind.
                cursor.execute(FORCED if forced else NOT_FORCED)
                try:
                    cursor.execute("BEGIN IMMEDIATE")
                    yield DriverTurn(cursor, self._clock() if self._clock else time.time(), boot_clock())
                    cursor.execute("COMMIT")
                finally:
                    connection.rollback()  # unless it is committed
                    if wait is not None:
                        cursor.execute(f"PRAGMA busy_timeout={BUSY * 1000:.0f}")
                return
        except _FAILURES as error:
            reason = _reason(error, self._url)
        raise self._unavailable(reason) from None  # as above

    def _unavailable(self, reason: str) -> LedgerUnavailable:
        return LedgerUnavailable(f"the ledger {self.place} cannot be used: {reason}")

    def _turn(self, connection: sa.Connection) -> Turn:
        now = time.time()
        if connection.dialect.name == "postgresql":
            now = float(connection.execute(_POSTGRESQL_BEGIN).scalar_one())
        return Turn(connection, self._clock() if self._clock else now, boot_clock())

    def _ready(self) -> sa.Engine:
        """The engine of this process, the tables made.

        After a fork the parent's connections are left alone: two processes on one of them would read each
        other's answers.
        """
        if self._engine is None or (self._pid != os.getpid() and not self._memory):
            if self._engine is not None:
                self._engine.dispose(close=False)
            engine = _engine(self._url, self._memory)
            self._create(engine)
            self._engine, self._pid = engine, os.getpid()
        return self._engine

    @contextmanager
    def _driver(self) -> Iterator[sqlite3.Connection]:
        """A connection of SQLite's driver."""
        if self._connections is not None:
            with self._connections.borrowed() as connection:
                yield connection
        else:
            with closing(self._ready().raw_connection()) as pooled:
                yield pooled.driver_connection  # type: ignore[misc]

    def _create(self, engine: sa.Engine) -> None:
        """Make the tables, one process at a time: making them twice at once fails in both databases."""
        with engine.connect() as connection, connection.execution_options(ledger_write=True).begin():
            if all(sa.inspect(connection).has_table(name) for name in self._metadata.tables):
                return
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION)))
            self._metadata.create_all(connection)


@lru_cache(maxsize=8)
def parsed_url(url: str) -> sa.URL:
    """A URL; ``postgres``, as Airflow writes it, is ``postgresql``.

    :raises SQLAlchemyError: when it is none; so does ``ValueError``. Either message may hold parts of it.
    """
    return sa.make_url(re.sub(r"^postgres(?=[:+])", "postgresql", url))


def _checked(url: str) -> sa.URL:
    """The URL, with a driver that is there.

    :raises LedgerUnavailable: for one that is none, and for other databases.
    """
    problem = "it is no SQLAlchemy URL"
    try:
        parsed = parsed_url(url)
        backend, _, driver = parsed.drivername.partition("+")
        if backend == "sqlite" and driver in ("", "pysqlite"):
            return parsed
        if backend == "postgresql" and driver in ("", "psycopg2", "psycopg"):
            wanted = driver or ("psycopg2" if find_spec("psycopg2") else "psycopg")
            return parsed.set(drivername=f"postgresql+{wanted}")
        problem = "it must be for SQLite, or for PostgreSQL with psycopg2 or psycopg"
    except (SQLAlchemyError, ValueError):
        pass  # their messages can repeat parts of the URL
    raise LedgerUnavailable(f"the ledger's URL cannot be used: {problem}")


def _engine(url: sa.URL, memory: bool) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        # Compare-and-set is all that READ COMMITTED has to bear: an update that waited for another one
        # looks at its condition again.
        return sa.create_engine(
            url,
            pool_pre_ping=True,
            pool_size=2,
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": CONNECT},
            hide_parameters=True,
        )
    pool: dict[str, Any] = {"poolclass": sa.pool.StaticPool} if memory else {}
    arguments = {"timeout": BUSY, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=arguments, hide_parameters=True, **pool)
    sa.event.listen(engine, "connect", _prepare_memory if memory else _prepare_file)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_memory(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions are ours, not the driver's


def _prepare_file(connection: sqlite3.Connection, _: Any) -> None:
    prepare_file(connection)


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("ledger_write", True)
    if write:
        connection.exec_driver_sql(FORCED)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _is_plain(url: sa.URL) -> bool:
    """Whether host and database are what they seem, and no parts of a password that was not escaped."""
    return bool(_HOST.fullmatch(url.host or "") and _NAME.fullmatch(url.database or "_"))


def _reason(error: Exception, url: sa.URL) -> str:
    """What went wrong, in words that hold neither a statement's values nor a password."""
    if isinstance(error, ImportError):
        return "PostgreSQL's driver is not installed; get it with airflow-arazzo[postgres]"
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    kind = type(cause).__name__
    if code:
        primary = getattr(getattr(cause, "diag", None), "message_primary", None) or ""
        said = _told(primary, url) if code.startswith(_TELLING) else ""
        return f"{said or kind} ({code})"
    if isinstance(cause, sqlite3.Error):
        text = str(cause)
        return text if len(text) < 100 and any(word in text for word in _SQLITE_REASONS) else kind
    # Without a code it is the connection that failed, or was lost.
    lost = any(each.__name__ == "OperationalError" for each in type(cause).__mro__)
    return (_told(str(cause), url) if lost else "") or kind


def _told(text: str, url: sa.URL) -> str:
    """The first line of what PostgreSQL or its driver says, without a password; empty when that is unsure."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    options = {name: value for name, value in url.query.items() if name != "sslmode"}
    secrets = [str(url.password or "")]
    for value in options.values():
        secrets += [value] if isinstance(value, str) else value
    said = redact(line, secrets)
    short = any(each and len(each) < SHORTEST and each in said for each in secrets)
    unsure = short or not _is_plain(url) or not said.isprintable() or len(said) > _LONGEST_REASON
    return "" if unsure else said
