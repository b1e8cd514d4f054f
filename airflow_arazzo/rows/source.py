"""Where rows come from: a list, a SQL query through a connection, or a CSV, JSON Lines or Parquet file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date, time
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from airflow.sdk import BaseHook, ObjectStoragePath, XComArg

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.expression.jsonvalue import decode_json
from airflow_arazzo.rows.files import opened

BATCH_SIZE = 500
"""Rows of one mapped task."""

BadRows = Literal["fail", "set_aside"]
"""What becomes of rows that the workflow does not accept."""

FETCHED = 1000
"""Rows of a query, or of a Parquet file, that are in memory at once."""

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


class BadSource(ValueError):
    """Rows that cannot be read at all."""


class SqlRows(msgspec.Struct, frozen=True):
    """Rows of a SQL query; the columns are named as the inputs.

    :param sql: the query. (templated)
    :param conn_id: a connection whose hook is one of the provider ``common.sql``. (templated)
    :param parameters: for the query's placeholders. (templated)
    """

    sql: str
    conn_id: str
    parameters: Mapping[str, Any] | tuple[Any, ...] | None = None


class FileRows(msgspec.Struct, frozen=True):
    """Rows of a file; the columns, or members, are named as the inputs.

    :param path: a path or URL that ``airflow.sdk.ObjectStoragePath`` understands. (templated)
    :param conn_id: the connection of its store, where it needs one. (templated)
    :param format: ``csv``, ``jsonl`` or ``parquet``; by default as the path ends.
    """

    path: str
    conn_id: str = ""
    format: str = ""


RowSource = SqlRows | FileRows | Mapping[str, Any] | str | XComArg | Iterable[Mapping[str, Any]]
"""What ``for_each`` takes: rows, an XCom with rows, a query, a file, or the path of one."""


class Found(NamedTuple):
    """A row as it was found.

    :param line: its line in the file, or its number among the rows, from 1.
    :param values: by name, as JSON has them, and decimals; what is empty in a CSV file is left out.
    :param problem: why it cannot be read; empty when it can.
    """

    line: int
    values: dict[str, Any]
    problem: str = ""


def plain_source(source: Any) -> Any:
    """A source as plain values, which an operator can render.

    :raises BadSource: when it is none.
    """
    if isinstance(source, SqlRows | FileRows):
        return {
            name: value for name, value in msgspec.structs.asdict(source).items() if value not in ("", None)
        }
    if isinstance(source, str):
        return {"path": source}
    if isinstance(source, Mapping):
        known = {"sql", "conn_id", "parameters"} if "sql" in source else {"path", "conn_id", "format"}
        for name in source:
            if name not in known:
                raise BadSource(f"for_each: there is no {name!r}; {did_you_mean(str(name), known)}")
        if "sql" in source and "conn_id" in source:
            return dict(source)
        if "path" in source:
            return dict(source)
        raise BadSource("for_each: expected 'sql' and 'conn_id', or 'path'")
    if isinstance(source, XComArg):
        return source
    if isinstance(source, Iterable):
        return list(source)
    raise BadSource(f"for_each: expected rows, an XCom with rows, a query or a file, not {type(source)}")


def read_rows(source: Any) -> Iterator[Found]:
    """The rows of a source, as :func:`plain_source` gives it, rendered.

    :raises BadSource: when it cannot be read.
    """
    if isinstance(source, Mapping):
        return _query(**source) if "sql" in source else _file(**source)
    if isinstance(source, str | bytes) or not isinstance(source, Iterable):
        raise BadSource(f"for_each: expected a list of rows, and it is {type(source).__name__}")
    return _listed(source)


def _listed(rows: Iterable[Any]) -> Iterator[Found]:
    for number, row in enumerate(rows, 1):
        if isinstance(row, Mapping):
            yield _found(number, row.items())
        else:
            yield Found(number, {}, f"it is {type(row).__name__}, expected an object of inputs")


def _query(sql: str, conn_id: str, parameters: Any = None) -> Iterator[Found]:
    hook = BaseHook.get_connection(conn_id).get_hook()  # type: ignore[no-untyped-call]
    if not hasattr(hook, "get_conn") or not hasattr(hook, "get_records"):
        raise BadSource(f"for_each: connection {conn_id!r} is none that takes SQL")
    with closing(hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql, parameters) if parameters is not None else cursor.execute(sql)
        if cursor.description is None:
            raise BadSource("for_each: the SQL statement gives no rows")
        names = _distinct(str(column[0]) for column in cursor.description)
        number = 0
        while some := cursor.fetchmany(FETCHED):
            for values in some:
                number += 1
                yield _found(number, zip(names, values, strict=True))


def _file(path: str, conn_id: str = "", format: str = "") -> Iterator[Found]:
    place = ObjectStoragePath(path, conn_id=conn_id or None)
    kind = format or _FORMATS.get(place.suffix.lower(), "")
    readers: dict[str, Callable[[ObjectStoragePath], Iterator[Found]]] = {
        "csv": _csv,
        "jsonl": _json_lines,
        "parquet": _parquet,
    }
    if kind not in readers:
        raise BadSource(f"for_each: {path!r} is no CSV, JSON Lines or Parquet file; say so with 'format'")
    try:
        yield from readers[kind](place)
    except FileNotFoundError:
        raise BadSource(f"for_each: there is no file {path!r}") from None
    except BadSource:
        raise
    except (ValueError, csv.Error) as error:
        raise BadSource(f"for_each: {path!r} cannot be read: {error}") from None


def _csv(place: ObjectStoragePath) -> Iterator[Found]:
    """An empty cell is no value: CSV cannot tell the two apart."""
    with opened(place, "r", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        names = _distinct(next(reader, []))
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                problem = f"it has {len(cells)} cell(s), and there are {len(names)} column(s)"
                yield Found(reader.line_num, {}, problem)
                continue
            yield Found(
                reader.line_num, {name: cell for name, cell in zip(names, cells, strict=True) if cell}
            )


def _json_lines(place: ObjectStoragePath) -> Iterator[Found]:
    with opened(place, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = decode_json(bytes(line))
            except ValueError as error:
                yield Found(number, {}, f"it is not JSON: {error}")
                continue
            if isinstance(row, dict):
                yield Found(number, row)
            else:
                yield Found(number, {}, "it is no JSON object")


def _parquet(place: ObjectStoragePath) -> Iterator[Found]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise BadSource("Parquet files need pyarrow; get it with airflow-arazzo[parquet]") from None
    number = 0
    with opened(place, "rb") as file:
        for batch in parquet.ParquetFile(file).iter_batches(FETCHED):
            for row in batch.to_pylist():
                number += 1
                yield _found(number, row.items())


def _found(number: int, items: Iterable[tuple[Any, Any]]) -> Found:
    values: dict[str, Any] = {}
    for name, value in items:
        try:
            values[str(name)] = _plain(value)
        except ValueError as error:
            return Found(number, {}, f"{str(name)!r} {error}")
    return Found(number, values)


def _plain(value: Any) -> Any:
    """A database's value as JSON has it: dates and times as ISO 8601 writes them."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise ValueError("is binary; expected a text, a number or a boolean")
    return value


def _distinct(names: Iterable[str]) -> list[str]:
    found = list(names)
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise BadSource(f"for_each: several columns have the same name: {', '.join(twice)}")
    return found
