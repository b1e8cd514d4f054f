"""``python -m demo``: run the workflows, print what came of them, and tell the truth by exit status."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from demo.airflow import Airflow
from demo.api import USER
from demo.leaks import find_leaks
from demo.processes import Processes
from demo.report import print_effects, print_runs, print_setup
from demo.usage import write_usage
from demo.workflows import (
    AMBERFLO_SOURCES,
    CUSTOMERS,
    DEMONSTRATIONS,
    PERIOD,
    SEEDS,
    STRIPE_SOURCES,
    Demonstration,
)

ROOT = Path(__file__).resolve().parent.parent


class Sandbox:
    """The sandbox as a process of its own.

    :param keys: API keys by service.
    """

    def __init__(self, processes: Processes, keys: dict[str, str], *options: str) -> None:
        environment = {
            **os.environ,
            "SANDBOX_AMBERFLO_KEY": keys["amberflo"],
            "SANDBOX_STRIPE_KEY": keys["stripe"],
            "PYTHONPATH": str(ROOT),
        }
        output = processes.start(
            "sandbox", [sys.executable, "-m", "sandbox", "--port", "0", *options], environment
        )
        self.url = self._address(output, processes)

    @staticmethod
    def _address(output: Path, processes: Processes) -> str:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            processes.check()
            for line in output.read_text().splitlines():
                if line.startswith("{"):
                    return str(json.loads(line)["url"])
            time.sleep(0.05)
        raise RuntimeError("the sandbox did not start within 30 s")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call one of the sandbox's own endpoints."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())


def connections(url: str, keys: dict[str, str]) -> dict[str, dict[str, Any]]:
    """A connection for every source of the documents, under the source's name."""
    found: dict[str, dict[str, Any]] = {}
    for names, service in ((AMBERFLO_SOURCES, "amberflo"), (STRIPE_SOURCES, "stripe")):
        for name in names:
            found[name] = {"conn_type": "arazzo", "host": url, "password": keys[service]}
    return found


def demonstrate(home: Path, processes: Processes, *, pending_items: str) -> tuple[list[str], Airflow]:
    """Run everything and print it.

    :return: what went wrong, a line each, and the Airflow that still runs.
    """
    keys = {"amberflo": f"amberflo-{secrets.token_hex(24)}", "stripe": f"sk_test_{secrets.token_hex(24)}"}
    sandbox = Sandbox(processes, keys, "--pending-items", pending_items)
    airflow = Airflow(home, ROOT / "dags", processes)
    print(f"sandbox at {sandbox.url}, Airflow at {airflow.url}; preparing the database …", flush=True)
    table = home / "usage.db"
    write_usage(table, CUSTOMERS, date.fromisoformat(PERIOD["period_start"]), 1)
    usage = {"usage_db": {"conn_type": "sqlite", "host": str(table)}}
    airflow.prepare({**connections(sandbox.url, keys), **usage})
    airflow.start()
    print_setup(sandbox.call("POST", "seed", SEEDS))
    airflow.wait_for_dags({each.dag_id for each in DEMONSTRATIONS})
    runs = {each.dag_id: airflow.trigger(each.dag_id, each.conf) for each in DEMONSTRATIONS}
    states = airflow.wait_for_runs(runs)
    ledger = sandbox.call("GET", "ledger")
    print_runs(airflow, runs, states)
    print_effects(ledger)
    problems = [f"{dag_id}: the run is {state}" for dag_id, state in states.items() if state != "success"]
    problems += unexpected_effects([effect["kind"] for effect in ledger])
    leaks = find_leaks(home, keys.values())
    problems += [f"an API key is in {leak}" for leak in leaks]
    print(f"\nAPI keys found below {home.name}/: {len(leaks)}")
    return problems, airflow


def unexpected_effects(kinds: list[str], run: Iterable[Demonstration] = DEMONSTRATIONS) -> list[str]:
    """Effects that are missing or too many after some workflows were run, a line each."""
    expected = [kind for each in run for kind in each.effects]
    return [
        f"{kind}: expected {expected.count(kind)}, found {kinds.count(kind)}"
        for kind in sorted({*expected, *kinds})
        if expected.count(kind) != kinds.count(kind)
    ]


def main() -> int:
    """Exit status 0 when every run succeeded with exactly the expected effects and no key leaked."""
    parser = argparse.ArgumentParser(prog="demo", description="Arazzo workflows on Airflow")
    parser.add_argument("--home", type=Path, default=ROOT / ".demo", help="folder for Airflow's files")
    parser.add_argument("--pending-items", choices=("include", "exclude"), default="include")
    given = parser.parse_args()
    home = given.home.resolve()
    shutil.rmtree(home, ignore_errors=True)
    processes = Processes(home / "processes")
    try:
        problems, airflow = demonstrate(home, processes, pending_items=given.pending_items)
        for problem in problems:
            print(f"✗ {problem}")
        print("the demonstration failed" if problems else "\n✓ everything as expected")
        if os.environ.get("KEEP") == "1":
            print(
                f"\nAirflow runs at {airflow.url}, user {USER}, password {airflow.password}. Ctrl-C ends it."
            )
            sys.stdout.flush()
            try:
                while True:
                    time.sleep(1)
                    processes.check()
            except KeyboardInterrupt:
                print()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"✗ {error}")
        return 1
    finally:
        processes.stop()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
