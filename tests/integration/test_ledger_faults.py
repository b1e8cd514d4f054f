"""Every fault on every kind of request: what the ledger makes of it, and what comes of the next attempt.

The table is the documentation's; see :mod:`tests.integration.safety`.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, TransportError
from airflow_arazzo.ledger import database, sqlite
from airflow_arazzo.ledger.book import GRACE
from airflow_arazzo.ledger.model import LedgerUnavailable
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.plan.model import Idempotency
from demo.leaks import find_leaks
from sandbox.testing import RunningSandbox, running_sandbox
from tests.integration import safety
from tests.integration.safety import (
    IMPATIENT,
    KINDS,
    LATER,
    LIFETIME,
    PERSON,
    READ,
    REFUSALS,
    SENT,
    TABLE,
    TIMEOUT,
    UNHEARD,
    Kind,
    Scene,
    until,
)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(stripe_key_lifetime=LIFETIME, record_credentials=True) as running:
        running.seed(
            amberflo={"customers": [{"customerId": "c", "customerName": "C"}]},
            stripe={"customers": [{"id": "cus_1"}]},
        )
        yield running


@contextmanager
def playing(sandbox: RunningSandbox, kind: Kind, url: str) -> Iterator[Scene]:
    scene = Scene(sandbox, kind, url)
    yield scene
    scene.store.close()


# --- faults that are no rule of the sandbox ------------------------------------------------------------


def refused(scene: Scene) -> None:
    scene.sandbox.refuse_connections(0.5)
    with pytest.raises(NotSent):
        scene.attempt()
    time.sleep(0.6)


def unknown_host(scene: Scene) -> None:
    with pytest.raises(NotSent):
        scene.attempt(url="http://nobody.invalid")


def failed_handshake(scene: Scene) -> None:
    with pytest.raises(NotSent):
        scene.attempt(url=scene.sandbox.url.replace("http:", "https:"))


def refusals(scene: Scene) -> None:
    for status in REFUSALS:
        scene.sandbox.add_fault("error", status=status, when="before", times=1)
        assert scene.attempt().status == status


def killed(moment: str) -> Callable[[Scene], None]:
    def cause(scene: Scene) -> None:
        before = len(scene.sandbox.requests())
        if moment == "flight":
            scene.sandbox.add_fault("delay", when="after", seconds=1.0)
        name = next(name for name, kind in KINDS.items() if kind is scene.kind)
        arguments = (name, scene.url, scene.sandbox.url, *scene.keys, moment)
        environment = {**os.environ, "PYTHONPATH": str(Path(safety.__file__).parents[2])}
        worker = subprocess.Popen([sys.executable, safety.__file__, *arguments], env=environment)
        if moment == "flight":
            until(lambda: len(scene.sandbox.requests()) > before)
            until(lambda: scene.effects() == (1 if scene.kind.effect else 0))
            worker.kill()
        assert worker.wait(20) == -signal.SIGKILL
        assert len(scene.sandbox.requests()) - before == (0 if moment == "before" else 1)

    return cause


def unreachable_before(scene: Scene) -> None:
    away = Store(f"sqlite:///{Path(scene.url).parent}/nowhere/ledger.db")
    if scene.kind.ledgered:
        with pytest.raises(LedgerUnavailable):
            scene.attempt(away)
    else:
        assert scene.attempt(away).status == 200


def unreachable_after(scene: Scene) -> None:
    """Another process holds the file when the outcome is to be written."""
    holder = sqlite3.connect(scene.url.removeprefix("sqlite:///"), check_same_thread=False)
    holder.isolation_level = None
    assert scene.attempt(after=lambda: holder.execute("BEGIN IMMEDIATE")).status == 200
    holder.close()


def lost_and_run_out(scene: Scene) -> None:
    lose_the_response(scene)
    scene.clock.pass_by(LIFETIME)


def lose_the_response(scene: Scene) -> None:
    scene.sandbox.add_fault("reset", when="after", times=1)
    with pytest.raises(OutcomeUnknown):
        scene.attempt()


def refuse_once(scene: Scene) -> None:
    scene.sandbox.add_fault("error", status=400, when="before", times=1)
    assert scene.attempt().status == 400


CAUSES: dict[str, Callable[[Scene], Any]] = {
    "connection refused": refused,
    "unknown host": unknown_host,
    "TLS handshake failed": failed_handshake,
    "any other 4xx": refusals,
    "worker killed before sending": killed("before"),
    "worker killed in flight": killed("flight"),
    "worker killed before the outcome is written": killed("after"),
    "ledger unreachable before sending": unreachable_before,
    "ledger unreachable after sending": unreachable_after,
    "the key's lifetime has run out after a lost response": lost_and_run_out,
    "another request for the same effect, which happened": Scene.attempt,
    "another request for the same effect, which may have happened": lose_the_response,
    "another request for the same effect, which was refused": refuse_once,
}


# --- the table -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [name for name, row in TABLE.items() if not row.overlaps])
def test_fault(
    sandbox: RunningSandbox, tmp_path: Path, fault: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (database, sqlite):
        monkeypatch.setattr(module, "BUSY", 0.1)
    row = TABLE[fault]
    then, before, after = row.cells[kind]
    other = fault.startswith("another request")
    with playing(sandbox, KINDS[kind], f"sqlite:///{tmp_path}/ledger.db") as scene:
        meet(scene, fault)
        assert scene.effects() == before
        if scene.kind.ledgered:
            assert scene.outcome() == row.outcome
            if row.waits:
                assert scene.next() == LATER
                scene.clock.pass_by(TIMEOUT + GRACE + 1)
        assert (scene.next(other=other), scene.effects()) == (then, after)
        if then in (SENT, READ) and scene.kind.ledgered:
            assert (scene.next(other=other), scene.effects()) == (READ, after)
        if then == PERSON:
            assert (scene.next(), scene.effects()) == (PERSON, after)
        assert scene.effects() <= (2 if kind == "put" else 1)
    assert find_leaks(tmp_path, scene.keys) == []


def meet(scene: Scene, fault: str) -> None:
    """Make the first attempt, which meets the fault."""
    if fault in CAUSES:
        CAUSES[fault](scene)
    else:
        scene.sandbox.add_fault(**TABLE[fault].rule)
        scene.timeout = IMPATIENT if "in time" in fault else TIMEOUT
        with suppress(TransportError):
            scene.attempt()
        scene.timeout = TIMEOUT
        if "late" in fault and scene.kind.effect:
            until(lambda: scene.effects() == 1)
    scene.sandbox.clear_faults()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [name for name, row in TABLE.items() if row.overlaps])
def test_overlap(sandbox: RunningSandbox, tmp_path: Path, fault: str, kind: str) -> None:
    then, before, _ = TABLE[fault].cells[kind]
    sandbox.add_fault("delay", when="before", seconds=0.6, times=1)
    with playing(sandbox, KINDS[kind], f"sqlite:///{tmp_path}/ledger.db") as scene:
        first = threading.Thread(target=scene.attempt)
        first.start()
        until(lambda: len(sandbox.requests()) == 1)
        assert (scene.next(), scene.effects()) == (then, before)
        first.join()
        assert scene.next() == (READ if scene.kind.ledgered else SENT)
        assert scene.effects() == (1 if scene.kind.effect else 0)


def test_the_table_is_whole() -> None:
    assert all(row.cells.keys() == KINDS.keys() for row in TABLE.values())
    assert {name for name, row in TABLE.items() if not row.rule and not row.overlaps} == CAUSES.keys()


# --- redirects that may be followed --------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_redirects_that_are_followed(sandbox: RunningSandbox, tmp_path: Path, kind: str) -> None:
    """Only a GET is, and its credentials stay behind."""
    with (
        running_sandbox(record_credentials=True) as elsewhere,
        playing(sandbox, KINDS[kind], f"sqlite:///{tmp_path}/ledger.db") as scene,
    ):
        sandbox.add_fault("redirect", location=f"{elsewhere.url}/customers")
        answer = scene.attempt(follow=3)
        assert answer.status == (401 if kind == "get" else 307)
        heard = elsewhere.requests()
        assert len(heard) == (1 if kind == "get" else 0)
        for secret in scene.keys:
            assert all(secret not in str(request) for request in heard)
            assert secret in str(sandbox.requests()[0])
        if scene.kind.ledgered:
            assert scene.outcome() == "refused"


# --- lifetime of keys ----------------------------------------------------------------------------------


@pytest.fixture
def scene(sandbox: RunningSandbox, ledger: str) -> Iterator[Scene]:
    with playing(sandbox, KINDS["header"], ledger) as scene:
        yield scene


@pytest.mark.parametrize("later", [LIFETIME, LIFETIME + 1, LIFETIME * 30, LIFETIME - TIMEOUT])
def test_a_key_that_has_run_out_is_no_second_effect(scene: Scene, later: float) -> None:
    lose_the_response(scene)
    scene.clock.pass_by(later)
    assert (scene.next(), scene.effects()) == (PERSON, 1)


def test_a_key_that_lives_is_sent_again(scene: Scene) -> None:
    lose_the_response(scene)
    scene.clock.pass_by(LIFETIME - 60)
    assert (scene.next(), scene.effects()) == (SENT, 1)
    scene.clock.pass_by(LIFETIME * 30)
    assert (scene.next(), scene.effects()) == (READ, 1)


def test_a_lifetime_that_is_declared_too_long_shows_what_would_happen(scene: Scene) -> None:
    """The two tests above can fail."""
    scene.kind = replace(scene.kind, key=Idempotency("header", "Idempotency-Key", LIFETIME * 100))
    lose_the_response(scene)
    scene.clock.pass_by(LIFETIME + 1)
    assert (scene.next(), scene.effects()) == (SENT, 2)


@pytest.mark.parametrize("attempts", [2, 5])
def test_attempts_that_are_not_sent_do_not_prolong_a_key(scene: Scene, attempts: int) -> None:
    lose_the_response(scene)
    for _ in range(attempts):
        scene.clock.pass_by((LIFETIME - 60) / attempts)
        scene.sandbox.add_fault("rate_limit", times=1)
        assert scene.next() == UNHEARD
    scene.clock.pass_by(61)
    assert (scene.next(), scene.effects()) == (PERSON, 1)


def test_a_refusal_after_a_lost_response_opens_no_new_generation(scene: Scene) -> None:
    # The key of the account was rotated between the two attempts.
    lose_the_response(scene)
    scene.sandbox.add_fault("error", status=401, times=1, when="before")
    assert scene.next() == UNHEARD
    assert (scene.next(), scene.effects()) == (SENT, 1)
    keys = {request["idempotency_key"] for request in scene.sandbox.requests()}
    assert len(keys) == 1
