"""Batches that race each other and batches that are killed: each row's effects once, none lost.

The ledger is written in groups here; :mod:`tests.integration.test_ledger_races` has the same for effects
that are written alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.ledger.database import boot_clock
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.model import Outcome
from airflow_arazzo.ledger.store import Store, Written
from sandbox.testing import RunningSandbox, running_sandbox
from tests.integration import batch_process
from tests.integration.test_ledger_attempts import ROOT
from tests.integration.test_ledger_races import (
    kinds_of,
    resolve,
    wait_until_nothing_is_under_way,
)

ONCE = {"amberflo.event.ingested": 1, "amberflo.prepaid.created": 1}
Told = dict[str, tuple[str, str]]


def started(url: str, sandbox: RunningSandbox, names: list[str], at: float) -> subprocess.Popen[str]:
    arguments = [url, sandbox.url, sandbox.amberflo_key, str(at), ",".join(names)]
    process = subprocess.Popen(
        [sys.executable, batch_process.__file__, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def told(process: subprocess.Popen[str]) -> Told:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return {key: (status, code) for key, status, code in map(json.loads, output.splitlines())}


def seeded(sandbox: RunningSandbox, names: list[str]) -> None:
    sandbox.seed(amberflo={"customers": [{"customerId": name, "customerName": name} for name in names]})


def test_two_batches_over_the_same_rows(ledger: str) -> None:
    names = [f"c-{number}" for number in range(120)]
    with running_sandbox() as sandbox:
        seeded(sandbox, names)
        sandbox.add_fault("delay", when="before", seconds=0.01)
        at = time.time() + 6
        # In opposite orders, so that they meet in the middle of their transactions.
        processes = [started(ledger, sandbox, each, at) for each in (names, names[::-1])]
        answers = [told(process) for process in processes]
        assert {name: kinds_of(sandbox, name) for name in names} == dict.fromkeys(names, ONCE)
    for answer in answers:
        assert answer == dict.fromkeys(names, ("succeeded", ""))
    store = Store(ledger)
    entries = store.entries(limit=1000)
    assert Counter(entry.outcome for entry in entries) == {Outcome.EFFECT: 240}
    assert {entry.attempts for entry in entries} == {1}
    assert not any(store.audit(entry.key) for entry in entries)
    store.close()


def everything_written(_: Store, intents: Any, changes: Any, **how: Any) -> Written:
    """As if nobody had ever written to the ledger before."""
    return Written({each.key for each in intents}, {each.key for each in changes}, boot_clock())


@pytest.mark.parametrize("careless", ["insert", "row"])
def test_without_care_it_goes_wrong(tmp_path: Path, careless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests here can fail: when nobody looks who was first, and when all rows are one."""
    names = [f"c-{number}" for number in range(20)]
    if careless == "insert":
        monkeypatch.setattr(Store, "write", everything_written)
    else:
        monkeypatch.setattr(batch_process, "Identity", lambda *given: Identity(*given[:2]))
    with running_sandbox() as sandbox:
        seeded(sandbox, names)
        url = f"sqlite:///{tmp_path}/ledger.db"
        for _ in range(2):
            asyncio.run(batch_process.run(url, sandbox.url, sandbox.amberflo_key, "0", names))
        orders = len(sandbox.ledger("amberflo.prepaid.created"))
    assert orders == 40 if careless == "insert" else orders < 20


def test_killed_at_any_moment_no_row_is_billed_twice_or_lost(
    ledger: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [f"c-{number}" for number in range(80)]
    kills, chance = 12, random.Random(os.environ.get("ARAZZO_TEST_SEED", "1"))
    with running_sandbox() as sandbox:
        seeded(sandbox, names)
        for when in ("before", "after"):
            sandbox.add_fault("delay", when=when, seconds=0.05, probability=0.5)
        for _ in range(kills):
            process = started(ledger, sandbox, names, 0)
            time.sleep(chance.uniform(0.02, 0.3))
            process.kill()
            process.communicate()
        store = Store(ledger)
        wait_until_nothing_is_under_way(store)
        answers = told(started(ledger, sandbox, names, 0))
        left = store.entries(outcome="unknown", limit=1000)
        row_of = {entry.key: entry.description.run.split()[-1] for entry in left}
        failed = {name for name, (_, code) in answers.items() if code == "outcome-unknown"}
        # Only orders, which nobody recognises when they are repeated, are left for a person.
        assert failed == set(row_of.values())
        assert len(left) <= kills * 16
        for entry in left:
            assert entry.description.step.endswith("topUpPrepaid")
            happened = kinds_of(sandbox, row_of[entry.key])["amberflo.prepaid.created"]
            assert happened <= 1
            how = ["--happened", "--outputs", '{"orderId":"o"}'] if happened else ["--not-happened"]
            assert resolve(ledger, entry.key, *how) == 0
        again = told(started(ledger, sandbox, names, 0))
        assert again == dict.fromkeys(names, ("succeeded", ""))
        assert {name: kinds_of(sandbox, name) for name in names} == dict.fromkeys(names, ONCE)
        assert {entry.outcome for entry in store.entries(limit=1000)} == {Outcome.EFFECT}
        store.close()
    with capsys.disabled():
        print(f" {kills} kills left {len(left)} of {len(names)} orders for a person", end="")
