"""Many rows at once in SQLite, whose statements take less time than it takes to compose them.

For use inside a transaction that has begun by taking SQLite's only lock for writers: nobody else writes
between two statements of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

Row = Mapping[str, Any]


def insert_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> set[str]:
    """Insert rows whose keys are not there yet.

    :param rows: each with all columns that have no default, and with another ``key``.
    :return: the keys of those that were inserted.
    """
    marks = ", ".join("?" * len(rows))
    query = f'SELECT "key" FROM {table.name} WHERE "key" IN ({marks})'  # noqa: S608 - names of our own
    keys = tuple(row["key"] for row in rows)
    known = {key for (key,) in connection.exec_driver_sql(query, keys)}
    new = [row for row in rows if row["key"] not in known]
    if new:
        statement, names = _insert(table)
        connection.exec_driver_sql(statement, [tuple([row.get(name) for name in names]) for row in new])
    return {row["key"] for row in new}


def replace_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> int:
    """Write values to rows that nobody has written to since.

    :param rows: values by column, of the same columns in each, with the row's ``_key`` and ``_version``.
    :return: how many were written.
    """
    columns = tuple(name for name in rows[0] if not name.startswith("_"))
    statement, names = _update(table, columns)
    values = [tuple([row[name] for name in names]) for row in rows]
    return connection.exec_driver_sql(statement, values).rowcount


@lru_cache(maxsize=8)
def _insert(table: sa.Table) -> tuple[str, tuple[str, ...]]:
    return _composed(sa.insert(table))


@lru_cache(maxsize=32)
def _update(table: sa.Table, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    same = (table.c.key == sa.bindparam("_key"), table.c.version == sa.bindparam("_version"))
    values: dict[str, Any] = {name: sa.bindparam(name) for name in columns}
    return _composed(sa.update(table).where(*same).values(values))


def _composed(statement: Any) -> tuple[str, tuple[str, ...]]:
    """A statement as SQLite takes it, and the names of its values in their order."""
    compiled = statement.compile(dialect=sqlite.dialect())
    return str(compiled), tuple(compiled.positiontup)
