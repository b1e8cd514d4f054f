"""``python -m cluster.sandbox``: customers in the sandbox, a usage table, and Airflow connections to both."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from datetime import date
from pathlib import Path

from demo.__main__ import connections
from demo.usage import write_usage
from demo.workflows import CUSTOMERS, PERIOD, SEEDS


def main() -> int:
    """Exit status 0 when all is set up."""
    parser = argparse.ArgumentParser(prog="cluster.sandbox")
    parser.add_argument("--seed", required=True, help="the sandbox's address, seen from its own machine")
    parser.add_argument("--host", required=True, help="its address, seen from the workers")
    parser.add_argument(
        "--usage", type=Path, required=True, help="usage table to write, where workers see it"
    )
    given = parser.parse_args()
    seed = urllib.request.Request(  # noqa: S310
        f"{given.seed}/_sandbox/seed", json.dumps(SEEDS).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(seed, timeout=60):  # noqa: S310
        pass
    write_usage(given.usage, CUSTOMERS, date.fromisoformat(PERIOD["period_start"]), 1)
    keys = {name: os.environ[f"SANDBOX_{name.upper()}_KEY"] for name in ("amberflo", "stripe")}
    known = {**connections(given.host, keys), "usage_db": {"conn_type": "sqlite", "host": str(given.usage)}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "connections.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(known))
        command = ["airflow", "connections", "import", "--overwrite", str(file)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
