"""Where the ledger is: a connection, an URL in the environment, or a file of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import sqlalchemy as sa

from airflow_arazzo.ledger.database import parsed_url
from airflow_arazzo.ledger.model import LedgerUnavailable
from airflow_arazzo.ledger.store import Store

CONN_ID = "arazzo_ledger"
"""Id of the Airflow connection."""

URL = "ARAZZO_LEDGER"
"""Environment variable with an SQLAlchemy URL."""

_VARIABLE = f"AIRFLOW_CONN_{CONN_ID.upper()}"
"""Environment variable with the Airflow connection."""

FILE = "arazzo_ledger.db"
"""The SQLite file in Airflow's home, where nothing else is named."""

_OF_ONE_MACHINE = frozenset(
    {
        "LocalExecutor",
        "SequentialExecutor",
        "airflow.executors.local_executor.LocalExecutor",
        "airflow.executors.sequential_executor.SequentialExecutor",
    }
)
_LIBPQ = frozenset(
    {
        "application_name",
        "channel_binding",
        "connect_timeout",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "options",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
        "tcp_user_timeout",
    }
)
"""Options of PostgreSQL's client library that an extra field may hold."""


class NoLedger(LedgerUnavailable):
    """There is no ledger that could be used; nothing was sent."""


def default_store(environ: Mapping[str, str], executor: str) -> Store:
    """The ledger that the environment names, else a SQLite file in Airflow's home.

    :param executor: as in Airflow's ``[core] executor``: names or module paths, separated by commas.
    :raises NoLedger: for SQLite where tasks run on several machines, each of which would have a ledger of
        its own; and for a connection that cannot be used.
    :raises LedgerUnavailable: for a URL that cannot be used.
    """
    return store_at(environment_url(environ) or file_url(environ), executor)


def store_at(url: str, executor: str) -> Store:
    """The ledger at a URL, for an executor.

    :raises NoLedger: as :func:`default_store`.
    :raises LedgerUnavailable: as :func:`default_store`.
    """
    store = Store(url)
    if store.is_local:
        _check_executor(executor)
    return store


def default_url(environ: Mapping[str, str], executor: str) -> str:
    """URL of the SQLite file in Airflow's home.

    :raises NoLedger: as :func:`default_store`.
    """
    _check_executor(executor)
    return file_url(environ)


def environment_url(environ: Mapping[str, str]) -> str:
    """URL of the ledger from ``ARAZZO_LEDGER`` or ``AIRFLOW_CONN_ARAZZO_LEDGER``; empty without either.

    :raises NoLedger: for a connection that cannot be used; the message never repeats it.
    """
    return stated_url(environ) or _connection_url(environ)


def stated_url(environ: Mapping[str, str]) -> str:
    """URL of the ledger from ``ARAZZO_LEDGER``; empty without it.

    :raises NoLedger: when ``AIRFLOW_CONN_ARAZZO_LEDGER`` names another one: what is in one of them would be
        billed again by whoever looks into the other.
    """
    stated = environ.get(URL, "").strip()
    if stated:
        connection = _connection_url(environ)
        if connection and _place(connection) != _place(stated):
            raise NoLedger(f"{URL} and {_VARIABLE} name two ledgers; leave one of them out, for all services")
    return stated


def password_in(url: str) -> str:
    """The password in a URL; empty when there is none, and when it is no URL."""
    try:
        parsed = parsed_url(url)
    except (sa.exc.SQLAlchemyError, ValueError):
        return ""
    option = parsed.query.get("password", "")
    return parsed.password or (option if isinstance(option, str) else option[-1])


def _connection_url(environ: Mapping[str, str]) -> str:
    text = environ.get(_VARIABLE, "").strip()
    if not text:
        return ""
    return url_from_connection(**(_from_json(text) if text.startswith("{") else _from_uri(text)))


def _place(url: str) -> tuple[object, ...]:
    """What makes two URLs name the same database, whoever asks; the URL itself when it cannot be read."""
    try:
        parsed = parsed_url(url)
        return parsed.get_backend_name(), parsed.host, parsed.port or 5432, parsed.database
    except (sa.exc.SQLAlchemyError, ValueError):
        return (url,)


def default_path(environ: Mapping[str, str]) -> Path:
    """The SQLite file in Airflow's home."""
    return Path(environ.get("AIRFLOW_HOME") or "~/airflow").expanduser() / FILE


def file_url(environ: Mapping[str, str]) -> str:
    """URL of :func:`default_path`."""
    return _sqlite(str(default_path(environ).absolute()))


def url_from_connection(
    conn_type: str,
    host: str | None = None,
    port: int | None = None,
    schema: str | None = None,
    login: str | None = None,
    password: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """The SQLAlchemy URL of an Airflow connection of type ``postgres`` or ``sqlite``. It holds the password.

    :param conn_type: ``generic`` is PostgreSQL, too: Airflow's command line knows no ``postgres`` as long as
        its provider is not installed, which the ledger does not need.
    :param host: of PostgreSQL; of SQLite the absolute path of the file.
    :param schema: name of the database; of SQLite the path, where the host is empty.
    :param extra: options of PostgreSQL's client library, such as ``sslmode``.
    :raises NoLedger: when it cannot be used, unknown extras included; nothing of it is repeated but
        type and names of extras.
    """
    kind = conn_type.lower()
    if kind not in ("postgres", "postgresql", "generic", "sqlite"):
        raise _unusable(f"its type is {kind!r}; expected 'postgres' or 'sqlite'")
    known = _LIBPQ if kind != "sqlite" else frozenset[str]()
    unknown = sorted(str(name) for name in extra or {} if name not in known)
    if unknown:
        raise _unusable(f"unknown extra {unknown[0]!r}")
    if kind == "sqlite":
        path = unquote(host or schema or "")
        if not Path(path).is_absolute():
            raise _unusable("its host must be the absolute path of a file")
        return _sqlite(path)
    if not host or not schema:
        raise _unusable("it must name a host and, as its schema, a database")
    query = {name: str(value) for name, value in (extra or {}).items()}
    url = sa.URL.create("postgresql", login or None, password or None, host, port, schema, query)
    return url.render_as_string(hide_password=False)


def _sqlite(path: str) -> str:
    return sa.URL.create("sqlite", database=path).render_as_string(hide_password=False)


def _unusable(problem: str) -> NoLedger:
    return NoLedger(f"connection {CONN_ID!r}: {problem}")


def _from_json(text: str) -> dict[str, Any]:
    """Fields of a connection in Airflow's JSON form."""
    try:
        fields = json.loads(text)
        extra = fields.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        port = fields.get("port")
        found = {name: fields.get(name) for name in ("host", "schema", "login", "password")}
        if not isinstance(extra, dict) or any(not isinstance(v, str | None) for v in found.values()):
            raise ValueError
        return {
            "conn_type": str(fields.get("conn_type") or ""),
            "port": int(port) if port not in (None, "") else None,
            "extra": extra,
            **found,
        }
    except (ValueError, TypeError, AttributeError):
        pass
    raise _unusable("its JSON cannot be read")


def _from_uri(text: str) -> dict[str, Any]:
    """Fields of a connection in Airflow's URI form."""
    try:
        parts = urlsplit(text)
        extra = dict(parse_qsl(parts.query, keep_blank_values=True))
        if "__extra__" in extra:
            extra.update(json.loads(extra.pop("__extra__")))
        return {
            "conn_type": parts.scheme,
            "host": unquote(parts.netloc if parts.scheme == "sqlite" else parts.hostname or ""),
            "schema": unquote(parts.path[1:]),
            "port": None if parts.scheme == "sqlite" else parts.port,
            "login": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "extra": extra,
        }
    except (ValueError, TypeError):
        pass
    raise _unusable("its URI cannot be read; expected postgres://login:password@host:port/database")


def _check_executor(executor: str) -> None:
    several = _beyond_one_machine(executor)
    if several:
        raise NoLedger(
            f"a SQLite ledger is one machine's, and {several} runs tasks on several: what one of them has "
            f"billed another would bill again. Name a PostgreSQL database in the connection {CONN_ID!r}"
        )


def _beyond_one_machine(executor: str) -> str:
    """The first of the executors that is not known to keep to one machine, or empty.

    Several are separated by commas or, for teams, by semicolons; each can have an alias behind or before a
    colon, and a team before an equals sign.
    """
    for text in re.split(r"[,;]", executor):
        name = text.rpartition("=")[2].strip()
        parts = [part.strip() for part in name.split(":")]
        paths = [part for part in parts if "." in part] or parts
        if not all(part in _OF_ONE_MACHINE for part in paths):
            return name or "an executor without a name"
    return ""
