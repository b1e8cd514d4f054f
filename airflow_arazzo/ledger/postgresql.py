"""Statements for PostgreSQL that write many rows at once: each one is a way to the server and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

Row = Mapping[str, Any]

LARGEST = 4 * 1024 * 1024
"""Bytes of stored responses in one statement, about."""


def insert_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> set[str]:
    """Insert rows whose keys are not there.

    :param rows: values by column, of all columns, each with another ``key``.
    :return: the keys of those that were inserted.
    """
    return set(connection.execute(_insert(table), rows).scalars()) if rows else set()


def replace_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> set[str]:
    """Write values to rows that nobody has written to since.

    :param rows: values by column, each with its row's ``_key``, which no other has, and ``_version``.
    :return: the keys of those that were written.
    """
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        alike.setdefault(tuple(row), []).append(row)
    if len(alike) > 1:
        connection.execute(_lock(table), {"keys": [row["_key"] for row in rows]})
    written: set[str] = set()
    for names, some in alike.items():
        for part in _parts(some):
            values = {"rows": msgspec.json.encode(part).decode()}
            written.update(connection.execute(_update(table, names), values).scalars())
    return written


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows, as many at once as may be in memory several times over."""
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row.get("response") or b"")
        if size > LARGEST:
            yield part
            part, size = [], 0
    if part:
        yield part


@lru_cache(maxsize=8)
def _insert(table: sa.Table) -> Any:
    return postgresql.insert(table).on_conflict_do_nothing().returning(table.c.key)


@lru_cache(maxsize=8)
def _lock(table: sa.Table) -> sa.TextClause:
    """Rows of several statements are locked before the first of them: each of these orders only its own."""
    return sa.text(
        f'SELECT "key" FROM {table.name} WHERE "key" = ANY(:keys) ORDER BY "key" FOR UPDATE'  # noqa: S608
    )


@lru_cache(maxsize=32)
def _update(table: sa.Table, names: tuple[str, ...]) -> sa.TextClause:
    """Rows come as JSON in one value, bytes in base64. They are locked in the order of their keys, as in
    every transaction, so that no two wait for each other for ever.
    """
    columns = [name for name in names if not name.startswith("_")]
    kinds = {name: _kind(table.c[name].type) for name in columns} | {"_key": "text", "_version": "integer"}
    typed = ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
    values = ", ".join(f'"{name}" = {_value(table.c[name])}' for name in columns)
    return sa.text(
        f"WITH given AS (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given({typed})),"  # noqa: S608
        f' locked AS (SELECT "key" FROM {table.name} WHERE "key" IN (SELECT "_key" FROM given)'
        f' ORDER BY "key" FOR UPDATE)'
        f" UPDATE {table.name} AS effect SET {values} FROM given JOIN locked ON locked.key = given._key"
        f" WHERE effect.key = given._key AND effect.version = given._version RETURNING effect.key"
    )


def _kind(kind: Any) -> str:
    if isinstance(kind, sa.Integer):
        return "integer"
    return "double precision" if isinstance(kind, sa.Double) else "text"


def _value(column: sa.Column[Any]) -> str:
    name = f'given."{column.name}"'
    return f"decode({name}, 'base64')" if isinstance(column.type, sa.LargeBinary) else name
