"""``python -m bench``: all measurements, one after the other, as tables and as ``bench-results.json``."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.contender import ContenderFailed
from bench.harness import REPOSITORY, Part, machine

PARTS = ("runners", "commands", "parse", "execute", "folder", "documents", "rows")
"""Modules with a function ``measure(short)``, in the order in which they run. Those that are not there are
left out."""

RESULTS = REPOSITORY / "bench-results.json"


def available() -> tuple[str, ...]:
    """Parts whose module is there."""
    return tuple(name for name in PARTS if importlib.util.find_spec(f"bench.{name}"))


def measured(name: str, short: bool) -> Part:
    """What a part has measured. One that cannot be is no reason to go without the others."""
    try:
        part: Part = importlib.import_module(f"bench.{name}").measure(short)
        return part
    except (ContenderFailed, OSError, RuntimeError) as error:
        return Part(name, skipped=f"it failed: {error}")


def report(parts: list[Part], about: dict[str, Any]) -> str:
    """The page that is printed: the machine, each part, and the targets of all of them."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items() if version)
    lines = [f"{about['cpu']}, {about['cores']} cores, Python {about['python']}; {versions}"]
    for part in parts:
        lines += ["", f"== {part.name} ==", "", str(part)]
    targets = [target for part in parts for target in part.targets]
    met = sum(target.met for target in targets)
    return "\n".join([*lines, "", f"{met} of {len(targets)} targets are met"])


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write the file.

    :return: 0, also where targets are missed; 1 when a part failed.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description="all measurements in one run")
    parser.add_argument("--only", nargs="+", choices=available(), metavar="PART", help="%(choices)s")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; figures are rough")
    parser.add_argument("--json", type=Path, default=RESULTS, help="default: %(default)s")
    given = parser.parse_args(argv)
    about = machine()
    began, parts = datetime.now(UTC), []
    for name in given.only or available():
        started = time.monotonic()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        parts.append(measured(name, given.quick))
        print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    about["load at the end"] = machine()["load"]
    found = {
        "began": began.isoformat(timespec="seconds"),
        "quick": given.quick,
        "machine": about,
        "parts": {part.name: part.as_json() for part in parts},
    }
    given.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    print(report(parts, about))
    return 1 if any(part.skipped for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
