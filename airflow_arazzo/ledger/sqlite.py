"""SQLite's own driver: connections to a ledger's file, and the two statements that every effect needs.

Most tasks write an effect and its outcome, and end: they need no engine of SQLAlchemy, which takes longer to
make than to use, and SQLite takes less time to carry a statement out than SQLAlchemy to hand it over.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

Row = Mapping[str, Any]

BUSY = 30.0
"""Seconds that a writer waits for others; SQLite has one writer at a time."""

FORCED, NOT_FORCED = "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL"
"""Before a transaction: whether its commit waits until it is on the disk. Inside one they do nothing."""


def prepare_file(connection: sqlite3.Connection) -> None:
    """Make a new connection such that what was committed is there after a crash."""
    connection.isolation_level = None  # transactions are ours, not the driver's
    deadline = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # Who changes the mode needs the file alone, and SQLite does not wait for that by itself.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    # With the write-ahead log anything less forgets the latest commits when the power fails.
    connection.execute(FORCED)


class Connections:
    """Connections to a file, each used by one thread at a time.

    :param file: path of the database.
    :param tables: what has to be there.
    :param create: makes the tables.
    """

    def __init__(self, file: str, tables: frozenset[str], create: Callable[[], object]) -> None:
        self._file = file
        self._tables = tables
        self._create = create
        self._idle: list[sqlite3.Connection] = []
        self._pid = os.getpid()
        self._of_parents: list[list[sqlite3.Connection]] = []

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection without a transaction; it is closed when something goes wrong.

        :raises sqlite3.Error: when there is none to be had.
        """
        if self._pid != os.getpid():
            # Neither used nor closed: after a fork both would meddle with the parent's locks.
            self._of_parents.append(self._idle)
            self._idle, self._pid = [], os.getpid()
        idle = self._idle
        connection = idle.pop() if idle else self._connected()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        idle.append(connection)

    def close(self) -> None:
        """Close those that nobody uses."""
        while self._idle and self._pid == os.getpid():
            self._idle.pop().close()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=BUSY, check_same_thread=False)
        try:
            prepare_file(connection)
            if not self._tables.issubset(n for (n,) in connection.execute("SELECT name FROM sqlite_master")):
                self._create()
        except BaseException:
            connection.close()
            raise
        return connection


def insert_all(cursor: sqlite3.Cursor, table: sa.Table, rows: Sequence[Row]) -> set[str]:
    """Insert rows whose keys are not there.

    :param rows: values by column, of all columns, each with another ``key``.
    :return: the keys of those that were inserted.
    """
    statement, names = _insert(table)
    return {
        row["key"] for row in rows if cursor.execute(statement, [row[name] for name in names]).rowcount == 1
    }


def replace_all(cursor: sqlite3.Cursor, table: sa.Table, rows: Sequence[Row]) -> set[str]:
    """Write values to rows that nobody has written to since.

    :param rows: values by column, each with its row's ``_key``, which no other has, and ``_version``.
    :return: the keys of those that were written.
    """
    written = set()
    for row in rows:
        statement, names = _update(table, tuple(row))
        if cursor.execute(statement, [row[name] for name in names]).rowcount == 1:
            written.add(row["_key"])
    return written


@lru_cache(maxsize=8)
def _insert(table: sa.Table) -> tuple[str, tuple[str, ...]]:
    names = tuple(column.name for column in table.columns)
    marks = ", ".join("?" * len(names))
    columns = ", ".join(f'"{name}"' for name in names)
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
    return statement, names


@lru_cache(maxsize=32)
def _update(table: sa.Table, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    columns = tuple(name for name in names if not name.startswith("_"))
    values = ", ".join(f'"{name}" = ?' for name in columns)
    statement = f'UPDATE {table.name} SET {values} WHERE "key" = ? AND "version" = ?'  # noqa: S608
    return statement, (*columns, "_key", "_version")
