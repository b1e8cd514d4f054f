"""Where tasks look for the ledger, and what that takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_arazzo.ledger.model import LedgerUnavailable
from airflow_arazzo.operators import effects
from airflow_arazzo.operators.effects import ledger_url

POSTGRES = Connection(
    conn_id="arazzo_ledger", conn_type="postgres", host="h", schema="d", login="me", password="s3cretly"
)


class Asked:
    """Connections, and which of them somebody wanted."""

    def __init__(self, found: Connection | None = None) -> None:
        self.ids: list[str] = []
        self._found = found

    def __call__(self, conn_id: str) -> Connection:
        self.ids.append(conn_id)
        if self._found is None:
            raise AirflowNotFoundException(conn_id)
        return self._found


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(effects, "mask_secret", found.append)
    return found


def test_what_the_environment_states_comes_first(monkeypatch: pytest.MonkeyPatch, masked: list[Any]) -> None:
    # As on the command line, which would otherwise show another ledger than tasks write to; and nothing is
    # asked of the API server.
    monkeypatch.setenv("ARAZZO_LEDGER", " postgresql://me:0ther%40@h/stated ")
    asked = Asked(POSTGRES)
    assert ledger_url(asked) == "postgresql://me:0ther%40@h/stated"
    assert asked.ids == []
    assert masked == ["0ther@"]


def test_a_connection_comes_before_the_file(monkeypatch: pytest.MonkeyPatch, masked: list[Any]) -> None:
    monkeypatch.delenv("ARAZZO_LEDGER", raising=False)
    asked = Asked(POSTGRES)
    assert ledger_url(asked) == "postgresql://me:s3cretly@h/d"
    assert asked.ids == ["arazzo_ledger"]
    assert masked == ["s3cretly"]


def test_a_file_where_nothing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ARAZZO_LEDGER", raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    assert ledger_url(Asked()) == f"sqlite:///{tmp_path}/arazzo_ledger.db"
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    effects.executor.cache_clear()  # another process
    with pytest.raises(LedgerUnavailable, match="arazzo_ledger"):
        ledger_url(Asked())


def test_what_is_stated_and_is_no_url(monkeypatch: pytest.MonkeyPatch, masked: list[Any]) -> None:
    monkeypatch.setenv("ARAZZO_LEDGER", "me:secret")
    with pytest.raises(LedgerUnavailable) as raised:
        effects.open_book()
    assert "secret" not in str(raised.value)
    assert masked == []
