"""The services as processes of this machine: nothing of a container is left in what they are told."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from cluster import servers
from cluster.environment import generated
from cluster.local import FILE, PORTS, Cluster
from cluster.servers import Missing, PostgreSQL, SharedRedis, check_redis_server
from demo.processes import free_port


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    names = {"AIRFLOW_DATABASE": "one", "LEDGER_DATABASE": "two"}
    return Cluster(tmp_path, {**generated(), **names}, profiles=("sandbox",))


def told(cluster: Cluster, name: str, instance: str) -> list[str]:
    service = cluster.services[name]
    ours = ("PATH", "HOME", "HOSTNAME", "LANG", "PYTHONUNBUFFERED")
    environment = cluster.environment(name, instance)
    texts = [value for variable, value in environment.items() if variable not in ours]
    return [*texts, *cluster._command(service.command, service, instance)]


def test_no_address_or_folder_of_a_container_is_left(cluster: Cluster) -> None:
    for name, service in cluster.services.items():
        for instance in service.instances:
            for text in told(cluster, name, instance):
                assert "/opt/" not in text
                assert "${" not in text
                assert "0.0.0.0" not in text
                for host, port in PORTS.items():
                    assert f"//{host}" not in text
                    assert f"@{host}" not in text
                    assert port == 5432 or not re.search(rf"\b{port}\b", text), text


def test_settings_are_those_of_the_file(cluster: Cluster) -> None:
    given = cluster.services["worker"].environment
    found = cluster.environment("worker", "worker-1")
    for name, value in given.items():
        if not re.search(r"[$/:]|8080|8974|0\.0\.0\.0", value):
            assert found[name] == value
    assert found["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert FILE.name == "docker-compose.yml"


def test_workers_share_volumes_and_nothing_else(cluster: Cluster, tmp_path: Path) -> None:
    one, two = (cluster.environment("worker", f"worker-{number}") for number in (1, 2))
    assert one["AIRFLOW__ARAZZO__ROWS_FOLDER"] == str(tmp_path / "volumes" / "rows")
    differing = {name for name in one if one[name] != two[name]}
    own = {"AIRFLOW_HOME", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", "ARAZZO_CACHE_DIR"}
    assert differing == own | {"HOME", "HOSTNAME"}


def test_databases_have_names_of_their_own(cluster: Cluster) -> None:
    assert cluster.databases == ("one", "two")
    assert re.match(r"postgresql://two:\w+@127\.0\.0\.1:\d+/two$", cluster.ledger_url)


def test_a_secret_that_looks_like_an_address_stays_as_it_is(tmp_path: Path) -> None:
    odd = {**generated(), "JWT_SECRET": "x-8080-@redis:6379-/opt/airflow", "POSTGRES_PASSWORD": "8974"}
    environment = Cluster(tmp_path, odd).environment("scheduler")
    assert environment["AIRFLOW__API_AUTH__JWT_SECRET"] == odd["JWT_SECRET"]
    assert ":8974@127.0.0.1:" in environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


def test_nothing_of_our_environment_reaches_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "ours")
    monkeypatch.setenv("ARAZZO_LEDGER", "sqlite:///elsewhere.db")
    found = Cluster(tmp_path, generated()).environment("worker", "worker-1")
    assert "ARAZZO_LEDGER" not in found
    assert "ours" not in found.values()


def test_without_postgresql_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        Missing, match=r"no PostgreSQL .*apt-get install postgresql redis-server.*ARAZZO_TEST"
    ):
        PostgreSQL(f"postgresql://postgres@127.0.0.1:{free_port()}/test").reach()


def test_debians_postgresql_is_started_and_stopped_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = free_port()
    calls = tmp_path / "calls"
    for name, text in (
        ("pg_lsclusters", f"echo '14 old 1 down x'; echo '15 main {port} down postgres /d /l'"),
        ("pg_ctlcluster", f'echo "$@" >> {calls}'),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    server = PostgreSQL(f"postgresql://postgres@127.0.0.1:{port}/test")
    with pytest.raises(Missing):  # nothing listens there all the same
        server.reach()
    server.stop()
    assert calls.read_text().splitlines() == ["15 main start", "15 main stop"]


def test_a_name_that_is_no_plain_one_is_refused() -> None:
    with pytest.raises(ValueError, match="name of a database"):
        PostgreSQL().drop('x"; DROP DATABASE test; --')


def test_without_redis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(servers, "REDIS", ("127.0.0.1", free_port()))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not SharedRedis().find()
    with pytest.raises(Missing, match=r"redis-server is not installed.*apt-get install"):
        check_redis_server()


def test_a_shared_redis_keeps_what_others_have_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    redis = pytest.importorskip("redis", reason="the extra 'celery' is not installed")
    with socket.socket() as probe:
        if probe.connect_ex(servers.REDIS):
            pytest.skip("no Redis listens at 127.0.0.1:6379")
    first = SharedRedis()
    assert first.find()
    theirs = redis.Redis(*servers.REDIS, db=first.number)
    theirs.set("theirs", 1, ex=60)
    try:
        second = SharedRedis()
        assert second.find()
        assert second.number != first.number
        redis.Redis(*servers.REDIS, db=second.number).set("ours", 1, ex=60)
        second.stop()
        assert redis.Redis(*servers.REDIS, db=second.number).dbsize() == 0
        assert theirs.get("theirs") == b"1"
    finally:
        theirs.delete("theirs")
