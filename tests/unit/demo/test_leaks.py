"""The demonstration's search for secrets finds them wherever Airflow could put one."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import zlib
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from demo.leaks import find_leaks

SECRET = "sk_test_51f0c2/+d9e8a7b6c5d4e3f2a1b0c9d8"


@pytest.mark.parametrize(
    "content",
    [
        f"Authorization: Bearer {SECRET}".encode(),
        json.dumps({"password": SECRET}).encode(),
        f"https://api.example.com/?key={quote_plus(SECRET)}".encode(),
        base64.b64encode(SECRET.encode()),
        base64.b64encode(f"user:{SECRET}".encode()),
        base64.b64encode(f"{SECRET}:".encode()),
        SECRET.encode().hex().encode(),
        gzip.compress(f"x{SECRET}x".encode(), mtime=0),
        zlib.compress(f"x{SECRET}x".encode()),
    ],
    ids=["plain", "json", "url", "base64", "basic", "basic login", "hexadecimal", "gzip", "zlib"],
)
def test_a_planted_secret_is_found(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "task.log").write_bytes(
        b"before " + content if content[:1] not in b"\x1f\x78" else content
    )
    found = find_leaks(tmp_path, [SECRET])
    assert found
    assert all(line.startswith("logs/task.log") for line in found)
    assert not any(SECRET in line for line in found)


def test_a_secret_in_a_database_is_found(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "airflow.db") as database:
        database.execute("CREATE TABLE xcom (value TEXT)")
        database.execute("INSERT INTO xcom VALUES (?)", (json.dumps({"echo": SECRET}),))
    assert [line.partition(":")[0] for line in find_leaks(tmp_path, [SECRET])] == ["airflow.db"]


def test_other_content_is_not_a_leak(tmp_path: Path) -> None:
    (tmp_path / "task.log").write_text("POST /ingest → 200, key ***")
    assert find_leaks(tmp_path, [SECRET]) == []
