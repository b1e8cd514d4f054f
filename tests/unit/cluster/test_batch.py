"""A batch whose workers die: what counts as the middle, what a death leaves, and what must not be."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.model import Description, Outcome, Permission
from airflow_arazzo.ledger.store import Store
from cluster import death
from cluster.batch import EVENT, ORDER, Account, Effect, one_sided, with_short_delay
from cluster.death import NotInTheMiddle, Reaper
from cluster.environment import ROOT
from cluster.person import decide

TIMEOUT = 30.0


def described(customer: str, protection: str = "") -> Description:
    request = f'POST http://service/orders\n\n{{"customerId": "{customer}"}}'
    return Description("f", request, "api", "nightly run", "bill", "try 1", protection)


def begun(store: Store, customer: str, protection: str = "") -> Permission:
    """An intent, as a worker writes it before it sends."""
    given = Book(store).open(
        f"key-{customer}", described(customer, protection), timeout=TIMEOUT, lifetime=None
    )
    assert isinstance(given, Permission)
    return given


class Service:
    """What tasks send to, beside something else that they are connected to as well, like a database."""

    def __init__(self) -> None:
        self._socket, self._other = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._tasks: list[subprocess.Popen[bytes]] = []

    def task(self, *, sending: bool) -> psutil.Process:
        port = (self._socket if sending else self._other).getsockname()[1]
        code = (
            "import socket, sys, time\n"
            "kept = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
            "print(flush=True); time.sleep(60)"
        )
        started = subprocess.Popen([sys.executable, "-c", code, str(port)], stdout=subprocess.PIPE)
        assert started.stdout is not None
        started.stdout.readline()
        self._tasks.append(started)
        return psutil.Process(started.pid)

    def close(self) -> None:
        for task in self._tasks:
            task.kill()
            task.communicate()
        self._socket.close()
        self._other.close()


class FakeCluster:
    """Workers with tasks, and a ledger in a file."""

    def __init__(self, folder: Path, tasks: dict[str, list[psutil.Process]]) -> None:
        self.ledger_url = f"sqlite:///{folder}/ledger.db"
        self.tasks = tasks
        self.killed: list[str] = []
        self.revived: list[str] = []

    def instances(self, service: str) -> list[str]:
        return list(self.tasks)

    def kill(self, instance: str) -> int:
        self.killed.append(instance)
        return 8

    def revive(self, instance: str) -> None:
        self.revived.append(instance)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


@pytest.fixture
def cluster(tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setattr(death, "tasks_of", lambda cluster, name: cluster.tasks[name])
    monkeypatch.setattr(death, "PAUSE", 0.2)
    return FakeCluster(
        tmp_path, {"worker-1": [service.task(sending=False)], "worker-2": [service.task(sending=True)]}
    )


def reaper(cluster: Any, service: Service, *shares: float) -> Reaper:
    left = list(shares)
    return Reaper(cluster, service.url, lambda: left.pop(0) if len(left) > 1 else left[0])


def test_the_worker_that_sends_dies_once_the_batch_is_in_its_middle(
    cluster: FakeCluster, service: Service
) -> None:
    store = Store(cluster.ledger_url)
    begun(store, "one", "header Key")
    begun(store, "two")
    died = reaper(cluster, service, 0.0, 0.2, 0.25, 0.26).kill(0.25)
    assert (died.instance, died.share, died.processes, died.sending) == ("worker-2", 0.26, 8, 1)
    assert {entry.key for entry in died.left} == {"key-one", "key-two"}
    assert died.keyed == 1
    assert cluster.killed == cluster.revived == ["worker-2"]


def test_requests_of_workers_that_live_were_not_under_way(
    cluster: FakeCluster, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(cluster.ledger_url)
    begun(store, "dead")
    living = begun(store, "living")
    monkeypatch.setattr(death.time, "sleep", lambda seconds: Book(store).close(living, Outcome.EFFECT))
    (left,) = reaper(cluster, service, 0.5).kill(0.25).left
    assert left.key == "key-dead"


def test_a_second_death_does_not_count_what_the_first_has_left(
    cluster: FakeCluster, service: Service
) -> None:
    store = Store(cluster.ledger_url)
    begun(store, "one")
    several = reaper(cluster, service, 0.5)
    several.kill(0.25)
    begun(store, "two")
    assert [entry.key for entry in several.kill(0.5).left] == ["key-two"]
    assert several.left == {"key-one", "key-two"}


@pytest.mark.parametrize("shares", [(0.1, 0.76), (0.5, 0.8)], ids=["before the kill", "after the kill"])
def test_a_death_behind_the_middle_is_none(
    cluster: FakeCluster, service: Service, shares: tuple[float, ...]
) -> None:
    begun(Store(cluster.ledger_url), "one")
    with pytest.raises(
        NotInTheMiddle, match=r"too late .*(76|80)% of its effects already, not 25% to 75%.*--rows"
    ):
        reaper(cluster, service, *shares).kill(0.25)


def test_a_batch_that_does_not_get_there_is_said(cluster: FakeCluster, service: Service) -> None:
    with pytest.raises(NotInTheMiddle, match=r"had 10% of the effects after 0\.1 s"):
        reaper(cluster, service, 0.1).kill(0.25, seconds=0.1)
    assert not cluster.killed


def test_a_death_with_nothing_under_way_is_none(cluster: FakeCluster, service: Service) -> None:
    with pytest.raises(NotInTheMiddle, match="worker-2 had no request under way"):
        reaper(cluster, service, 0.5).kill(0.25)
    assert cluster.revived == ["worker-2"]


@pytest.mark.parametrize(("protection", "missing"), [("header Key", "without"), ("", "with")])
def test_kills_that_met_requests_of_one_kind_only_are_said(
    cluster: FakeCluster, service: Service, protection: str, missing: str
) -> None:
    store = Store(cluster.ledger_url)
    begun(store, "one", protection)
    several = reaper(cluster, service, 0.5)
    several.kill(0.25)
    said = [f"batch: no request {missing} a key was under way when a worker was killed"]
    assert list(one_sided(several.deaths)) == said
    begun(store, "two", "" if protection else "header Key")
    several.kill(0.5)
    assert not list(one_sided(several.deaths))


def test_what_must_not_be_is_said() -> None:
    one, two, other = Effect(EVENT, "one"), Effect(ORDER, "two"), Effect(ORDER, "other")
    intended = frozenset({one, two})
    assert not list(Account(intended, Counter([one, two])).problems())
    assert list(Account(intended, Counter([one, one, other])).problems()) == [
        "batch: 1 effects happened twice, the first: amberflo.event.ingested of one",
        "batch: 1 effects were lost, the first: amberflo.prepaid.created of two",
        "batch: 1 effects were never intended, the first: amberflo.prepaid.created of other",
    ]


def test_a_person_says_what_the_service_has(tmp_path: Path) -> None:
    now = 1_000_000.0
    url = f"sqlite:///{tmp_path}/ledger.db"
    store = Store(url, clock=lambda: now)
    begun(store, "there")
    begun(store, "missing")
    decided = decide(store.entries(), {"there": "order-1"}, url)
    assert (decided.happened, decided.not_happened, decided.total) == (1, 1, 2)
    there, missing = store.get("key-there"), store.get("key-missing")
    assert there is not None
    assert there.response is not None
    assert missing is not None
    assert (there.outcome, there.response.body) == (Outcome.EFFECT, b'{"orderId": "order-1"}')
    assert missing.outcome is Outcome.NOT_SENT


def test_what_cannot_be_decided_is_said_with_the_commands_own_words(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    store = Store(url)
    begun(store, "one")
    with pytest.raises(RuntimeError, match=r"resolve key-one --not-happened: .*an attempt is under way"):
        decide(store.entries(), {}, url)


def test_the_shipped_dag_file_gets_a_short_delay(tmp_path: Path) -> None:
    path = tmp_path / "nightly_usage.py"
    path.write_text((ROOT / "dags" / path.name).read_text())
    with_short_delay(path)
    assert 'default_args={"retry_delay": 1}' in path.read_text()
    compile(path.read_text(), path.name, "exec")
    path.write_text("# nothing of the kind")
    with pytest.raises(RuntimeError, match=r"expected 'max_active_runs=4,' once in nightly_usage\.py"):
        with_short_delay(path)
