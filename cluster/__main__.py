"""``python -m cluster``: start what docker-compose.yml describes, and run it until Ctrl-C."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from pathlib import Path

from cluster.environment import FILE, ROOT, parse, write
from cluster.local import PROBLEMS, Cluster

NAME = "arazzo_cluster"
"""Airflow's database and its user; those of the ledger have ``_ledger`` behind it."""


def main() -> int:
    """Exit status 0 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="cluster", description="Airflow on Celery, without containers")
    parser.add_argument("--home", type=Path, default=ROOT / ".cluster", help="folder for logs and volumes")
    parser.add_argument("--no-sandbox", action="store_true", help="without the profile 'sandbox'")
    parser.add_argument("--keep", action="store_true", help="keep databases and volumes for the next time")
    given = parser.parse_args()
    home = given.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"✗ a cluster runs in {home} already")
            return 1
        return _run(home, profiles=() if given.no_sandbox else ("sandbox",), keep=given.keep)


def _run(home: Path, *, profiles: tuple[str, ...], keep: bool) -> int:
    if write():
        print(f"{FILE.name} written, with random secrets")
    signal.signal(signal.SIGTERM, _interrupt)
    names = {"AIRFLOW_DATABASE": NAME, "LEDGER_DATABASE": f"{NAME}_ledger"}
    cluster = None
    try:
        cluster = Cluster(home, {**parse(FILE.read_text()), **names}, profiles=profiles, shared_redis=True)
        print("starting the services of docker-compose.yml, which takes a minute …", flush=True)
        cluster.start(lambda line: print(line, flush=True))
        print(f"\nAirflow runs at {cluster.login}")
        print(f"logs are in {home / 'processes'}; Ctrl-C ends it", flush=True)
        while True:
            time.sleep(1)
            for name in cluster.revive():
                print(f"{name} ended, and was started again", flush=True)
    except KeyboardInterrupt:
        print("\nending …", flush=True)
        return 0
    except PROBLEMS as error:
        print(f"✗ {error}")
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if cluster is not None:
            cluster.stop(keep=keep)
        kept = f"databases {NAME} and {NAME}_ledger, volumes in {home}" if keep else "nothing but logs"
        print(f"kept: {kept}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
