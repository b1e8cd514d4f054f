"""Statements for SQLite's own driver, which takes less time to carry one out than SQLAlchemy to hand it over.

For use inside a transaction that has begun by taking SQLite's only lock for writers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

Row = Mapping[str, Any]


def insert(cursor: sqlite3.Cursor, table: sa.Table, row: Row) -> bool:
    """Insert a row, unless its key is there.

    :param row: values by column, of all columns.
    :return: whether it was inserted.
    """
    statement, names = _insert(table)
    return cursor.execute(statement, [row[name] for name in names]).rowcount == 1


def replace(cursor: sqlite3.Cursor, table: sa.Table, row: Row) -> bool:
    """Write values to a row, if nobody has written to it since.

    :param row: values by column, with the row's ``_key`` and ``_version``.
    :return: whether they were written.
    """
    statement, names = _update(table, tuple(row))
    return cursor.execute(statement, [row[name] for name in names]).rowcount == 1


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
