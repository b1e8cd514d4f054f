"""Where the ledger is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_arazzo.ledger.location import (
    NoLedger,
    default_store,
    default_url,
    environment_url,
    file_url,
    password_in,
    store_at,
    url_from_connection,
)
from airflow_arazzo.ledger.model import LedgerUnavailable

VARIABLE = "AIRFLOW_CONN_ARAZZO_LEDGER"


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"conn_type": "sqlite", "host": "/var/l.db"}, "sqlite:////var/l.db"),
        ({"conn_type": "sqlite", "host": "", "schema": "/var/l.db"}, "sqlite:////var/l.db"),
        ({"conn_type": "sqlite", "host": "%2Fvar%2Fl.db"}, "sqlite:////var/l.db"),
        ({"conn_type": "postgres", "host": "h", "schema": "d"}, "postgresql://h/d"),
        (
            {
                "conn_type": "postgres",
                "host": "h",
                "port": 1,
                "schema": "d",
                "login": "m@e",
                "password": "p@/:%",
            },
            "postgresql://m%40e:p%40%2F%3A%25@h:1/d",
        ),
        (
            {"conn_type": "Postgres", "host": "h", "schema": "d", "extra": {"sslmode": "require"}},
            "postgresql://h/d?sslmode=require",
        ),
    ],
)
def test_a_connection(fields: dict[str, Any], url: str) -> None:
    assert sa.make_url(url_from_connection(**fields)) == sa.make_url(url)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"conn_type": "mysql", "host": "h", "password": "secret"}, "'mysql'"),
        ({"conn_type": "", "password": "secret"}, "''"),
        ({"conn_type": "sqlite", "host": "l.db"}, "absolute"),
        ({"conn_type": "sqlite"}, "absolute"),
        ({"conn_type": "sqlite", "host": "/l.db", "extra": {"sslmode": "secret"}}, "unknown extra 'sslmode'"),
        ({"conn_type": "postgres", "host": "h", "password": "secret"}, "as its schema, a database"),
        ({"conn_type": "postgres", "schema": "d"}, "name a host"),
        (
            {"conn_type": "postgres", "host": "h", "schema": "d", "extra": {"sslmod": "secret"}},
            "extra 'sslmod'",
        ),
    ],
)
def test_a_connection_that_cannot_be_used(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(NoLedger, match=said) as raised:
        url_from_connection(**fields)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, ""),
        ({VARIABLE: " "}, ""),
        ({"ARAZZO_LEDGER": "sqlite:////a.db", VARIABLE: "sqlite:////a.db"}, "sqlite:////a.db"),
        (
            {"ARAZZO_LEDGER": "postgres://other:x@h:5432/d", VARIABLE: "postgres://m:p@h/d"},
            "postgres://other:x@h:5432/d",
        ),
        ({VARIABLE: "sqlite:////B/b.db"}, "sqlite:////B/b.db"),
        ({VARIABLE: "sqlite://%2FTmp%2FB.db"}, "sqlite:////Tmp/B.db"),
        ({VARIABLE: "postgres://m:p%40@h:5/d?sslmode=require"}, "postgresql://m:p%40@h:5/d?sslmode=require"),
        ({VARIABLE: '{"conn_type":"sqlite","host":"/c.db"}'}, "sqlite:////c.db"),
        (
            {
                VARIABLE: '{"conn_type":"postgres","host":"h","port":"5","schema":"d",'
                '"extra":"{\\"sslmode\\":\\"allow\\"}"}'
            },
            "postgresql://h:5/d?sslmode=allow",
        ),
    ],
)
def test_the_environment(environ: dict[str, str], url: str) -> None:
    assert environment_url(environ) == url


@pytest.mark.parametrize(
    "text",
    [
        "{secret",
        '{"conn_type":"postgres","host":1,"password":"secret"}',
        '{"conn_type":"postgres","extra":["secret"]}',
        "postgres://m:secret@h:port/d",
        "postgres://m:secret@[h/d",
        "secret",
    ],
)
def test_an_environment_that_cannot_be_used(text: str) -> None:
    with pytest.raises(NoLedger) as raised:
        environment_url({VARIABLE: text})
    assert "secret" not in str(raised.value).replace("its type is 'secret'", "")
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("stated", "connection"),
    [
        ("sqlite:////a.db", "sqlite:////b.db"),
        ("postgresql://h/d", "postgres://m:secret@h/other"),
        ("postgresql://h/d", "postgres://m:secret@h:5433/d"),
        ("postgresql://h/d", "sqlite:////d"),
        ("secret", "sqlite:////d"),
    ],
)
def test_two_ledgers_are_none(stated: str, connection: str) -> None:
    with pytest.raises(NoLedger, match="two ledgers") as raised:
        environment_url({"ARAZZO_LEDGER": stated, VARIABLE: connection})
    assert "secret" not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://m:p%40@h/d", "p@"),
        ("postgresql://h/d?password=p", "p"),
        ("postgresql://h/d?password=p&password=q", "q"),
        ("postgresql://h/d", ""),
        ("sqlite:////l.db", ""),
        ("m:secret", ""),
        ("postgresql://m:secret@h:port/d", ""),
    ],
)
def test_the_password_in_a_url(url: str, password: str) -> None:
    assert password_in(url) == password


ONE_MACHINE = [
    "LocalExecutor",
    "SequentialExecutor",
    "airflow.executors.local_executor.LocalExecutor",
    "LocalExecutor, SequentialExecutor",
    "LocalExecutor;team=LocalExecutor",
    "mine:airflow.executors.local_executor.LocalExecutor",
]
SEVERAL = [
    "CeleryExecutor",
    "KubernetesExecutor",
    "LocalExecutor,CeleryExecutor",
    "LocalExecutor;team=CeleryExecutor",
    "airflow.providers.edge3.executors.EdgeExecutor",
    "LocalExecutor:my.own.Executor",
    "my.own.LocalExecutor",
    "",
    "LocalExecutor,",
]


@pytest.mark.parametrize("executor", ONE_MACHINE)
def test_executors_of_one_machine(tmp_path: Path, executor: str) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path)}
    assert default_store(environ, executor).file == tmp_path / "arazzo_ledger.db"
    assert default_url(environ, executor) == file_url(environ)
    assert store_at("sqlite:////x/y.db", executor).is_local


@pytest.mark.parametrize("executor", SEVERAL)
def test_executors_of_several_machines(tmp_path: Path, executor: str) -> None:
    for environ in ({"AIRFLOW_HOME": str(tmp_path)}, {VARIABLE: f"sqlite:///{tmp_path}/l.db"}):
        with pytest.raises(NoLedger, match="arazzo_ledger"):
            default_store(environ, executor)
    with pytest.raises(NoLedger):
        default_url({}, executor)
    assert not store_at("postgresql://h/d", executor).is_local


def test_the_home_is_airflows() -> None:
    assert file_url({}) == f"sqlite:///{Path.home()}/airflow/arazzo_ledger.db"
    with pytest.raises(LedgerUnavailable):
        default_store({"ARAZZO_LEDGER": "nonsense"}, "LocalExecutor")
