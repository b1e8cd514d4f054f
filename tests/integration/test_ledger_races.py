"""Two attempts at once, and processes that are killed: each effect once, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli.main import main
from airflow_arazzo.expression.jsonvalue import decode_json
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.database import boot_clock
from airflow_arazzo.ledger.keys import Identity, effect_key
from airflow_arazzo.ledger.model import Description, Entry, Outcome, Permission
from airflow_arazzo.ledger.store import Store
from sandbox.testing import RunningSandbox, running_sandbox
from tests.integration import test_ledger_attempts as attempts
from tests.integration.test_ledger_attempts import PATH, ROOT, order_once

RACES = 200


class Worker:
    """The attempts as another process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, attempts.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout

    def say(self, line: str) -> None:
        self.input.write(line + "\n")
        self.input.flush()

    def hear(self) -> str:
        return self.output.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        running.seed(amberflo={"customers": [{"customerId": "c", "customerName": "C"}]})
        yield running


# --- races ---------------------------------------------------------------------------------------------

Racers = Callable[[str, float], list[str]]


@pytest.fixture(params=["processes", "threads"])
def racers(request: pytest.FixtureRequest, ledger: str, sandbox: RunningSandbox) -> Iterator[Racers]:
    """Two attempts at one effect that begin at the same moment."""
    if request.param == "threads":
        store = Store(ledger)
        with ThreadPoolExecutor(2) as pool:
            yield threads(pool, Book(store), sandbox)
        store.close()
        return
    workers = [Worker("serve", ledger, sandbox.url, sandbox.amberflo_key) for _ in range(2)]

    def race(run: str, at: float) -> list[str]:
        for worker in workers:
            worker.say(json.dumps({"run": run, "at": at}))
        return [json.loads(worker.hear()) for worker in workers]

    try:
        assert [worker.hear() for worker in workers] == ["ready", "ready"]
        yield race
    finally:
        for worker in workers:
            worker.end()


def threads(pool: ThreadPoolExecutor, book: Book, sandbox: RunningSandbox) -> Racers:
    barrier = threading.Barrier(2)

    def attempt(run: str) -> str:
        barrier.wait(10)
        return order_once(book, sandbox.url, sandbox.amberflo_key, run)

    def race(run: str, at: float) -> list[str]:
        return list(pool.map(attempt, [run, run]))

    return race


def key_of(run: str) -> str:
    return effect_key(Identity("dag", run), PATH, 1)


def not_sent_before(store: Store, run: str) -> None:
    """An effect that was asked for before and could not be sent: the next attempt changes its entry."""
    permission = Book(store).open(key_of(run), Description("", "", "", "", ""), timeout=1, lifetime=None)
    assert isinstance(permission, Permission)
    Book(store).close(permission, Outcome.NOT_SENT)


def test_two_attempts_at_once_have_one_effect(ledger: str, racers: Racers, sandbox: RunningSandbox) -> None:
    sandbox.add_fault("delay", when="before", seconds=0.005)
    store = Store(ledger)
    answers: Counter[str] = Counter()
    for number in range(RACES):
        run = f"run-{number}"
        if number % 2:
            not_sent_before(store, run)
        answers.update(race := racers(run, time.time() + 0.005))
        assert race.count("sent") == 1, race
        assert len(sandbox.ledger("amberflo.prepaid.created")) == number + 1
    assert set(answers) <= {"sent", "under way", "replayed"}
    assert answers["under way"] > RACES / 4, f"hardly any of them met: {answers}"
    settled = store.entries(limit=RACES + 1)
    assert Counter(entry.outcome for entry in settled) == {Outcome.EFFECT: RACES}
    assert not any(store.audit(entry.key) for entry in settled)
    store.close()


@pytest.mark.parametrize("careless", ["insert", "replace"])
def test_without_compare_and_set_there_are_duplicates(
    tmp_path: Path, sandbox: RunningSandbox, careless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The races above can fail."""
    sandbox.add_fault("delay", when="before", seconds=0.02)
    store = Store(f"sqlite:///{tmp_path}/ledger.db")
    for number in range(20):
        if careless == "replace":
            not_sent_before(store, f"run-{number}")
    if careless == "insert":
        monkeypatch.setattr(store, "insert", lambda *given: boot_clock())
    else:
        monkeypatch.setattr(store, "replace", lambda *given, **values: boot_clock())
    with ThreadPoolExecutor(2) as pool:
        race = threads(pool, Book(store), sandbox)
        for number in range(20):
            race(f"run-{number}", 0.0)
    assert len(sandbox.ledger("amberflo.prepaid.created")) > 20
    store.close()


def test_processes_that_make_the_tables_at_once(ledger: str) -> None:
    at = str(time.time() + 4)
    workers = [Worker("make", ledger, at) for _ in range(5)]
    assert [worker.hear() for worker in workers] == ["0"] * 5
    for worker in workers:
        worker.end()


# --- killed processes ----------------------------------------------------------------------------------


def kinds_of(sandbox: RunningSandbox, customer: str) -> Counter[str]:
    """Effects of one customer, as the services have them."""
    mine = (customer, f"cus_{customer.replace('-', '')}")
    found: Counter[str] = Counter()
    for effect in sandbox.ledger():
        data = effect["data"]
        if data.get("customerId", data.get("customer")) in mine:
            usage = " by invoice" if (effect["request"]["body"] or "").startswith("[") else ""
            found[effect["kind"] + usage] += 1
    return found


EACH = {
    "amberflo.event.ingested": 1,
    "amberflo.event.ingested by invoice": 1,
    "amberflo.prepaid.created": 1,
    "stripe.invoice.created": 1,
    "stripe.invoice.finalized": 1,
}


def test_killed_at_any_moment_nothing_is_billed_twice_or_lost(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"c-{number}" for number in range(12)]
    kills, chance = 16, random.Random(os.environ.get("ARAZZO_TEST_SEED", "1"))
    with running_sandbox() as sandbox:
        customers = [{"customerId": name, "customerName": name} for name in names]
        sandbox.seed(
            amberflo={"customers": customers},
            stripe={"customers": [{"id": f"cus_{name.replace('-', '')}"} for name in names]},
        )
        for when in ("before", "after"):  # so that more of the kills meet an order under way
            sandbox.add_fault("delay", path="*prepaid", when=when, seconds=0.08, probability=0.5)
            sandbox.add_fault("delay", when=when, seconds=0.01, probability=0.3)
        arguments = ("work", ledger, sandbox.url, sandbox.amberflo_key, sandbox.stripe_key, ",".join(names))
        for _ in range(kills):
            worker = Worker(*arguments)
            assert worker.hear() == "ready"
            time.sleep(chance.uniform(0.0, 0.35))
            worker.end()
        store = Store(ledger)
        wait_until_nothing_is_under_way(store)
        answers = run_to_end(arguments)
        left = {entry.key: entry for entry in store.entries(outcome="unknown")}
        check_left_for_a_person(sandbox, answers, list(left.values()), kills)
        for entry in left.values():
            happened = kinds_of(sandbox, entry.description.run.split()[-1])["amberflo.prepaid.created"]
            told = ["--happened", "--outputs", '{"orderId":"o"}'] if happened else ["--not-happened"]
            assert resolve(ledger, entry.key, *told) == 0
        assert all(
            answer["status"] == "succeeded" or "open" in answer["why"]
            for answer in run_to_end(arguments).values()
        )
        assert {name: kinds_of(sandbox, name) for name in names} == dict.fromkeys(names, EACH)
        assert {entry.outcome for entry in store.entries(limit=1000)} == {Outcome.EFFECT}
        store.close()
    with capsys.disabled():
        print(f" {kills} kills left {len(left)} orders for a person", end="")


def wait_until_nothing_is_under_way(store: Store) -> None:
    deadline = time.monotonic() + 30
    while store.entries(outcome="intent"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def run_to_end(arguments: tuple[str, ...]) -> dict[tuple[str, str], dict[str, Any]]:
    worker = Worker(*arguments)
    output, _ = worker.process.communicate(timeout=120)
    assert worker.process.returncode == 0
    answers = [json.loads(line) for line in output.splitlines()[1:]]
    return {(kind, name): answer for kind, name, answer in answers}


def check_left_for_a_person(
    sandbox: RunningSandbox, answers: dict[tuple[str, str], dict[str, Any]], left: list[Entry], kills: int
) -> None:
    """Only orders are left, no more than were killed, and nothing can tell but the service."""
    failed = {where for where, answer in answers.items() if answer["code"] == "outcome-unknown"}
    assert failed == {("topup", entry.description.run.split()[-1]) for entry in left}
    assert len(left) <= kills
    orders = [
        decode_json(request["body"])["customerId"]
        for request in sandbox.requests()
        if request["target"].endswith("prepaid") and request["body"]
    ]
    for entry in left:
        assert entry.description.step.endswith("topUpPrepaid")
        assert (entry.outcome, entry.attempts) == (Outcome.INTENT, 1)  # whoever sent it never wrote again
        assert orders.count(entry.description.run.split()[-1]) <= 1


def resolve(ledger: str, key: str, *told: str) -> int:
    return main(["ledger", "resolve", key, *told, "--reason", "looked up", "--ledger", ledger])
