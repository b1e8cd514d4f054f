"""``python -m bench.rows``: rows per second of a batch, the short version of :mod:`bench.batch`.

Reads and keyed writes, beside a bare loop over aiohttp with the same concurrency, to the sandbox and to a
server that does nothing but answer; and the memory of a batch of ten thousand rows.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import batch
from bench.engine import sandbox
from bench.harness import Part, Table, quick, show

CONCURRENCY = 32


def measure(short: bool = False) -> Part:
    """All figures."""
    part = Part("rows")
    rounds, rows, memory = (2, 500, 1_000) if short else (3, 2_000, 10_000)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {
            "sandbox": stack.enter_context(sandbox()),
            "raw": stack.enter_context(batch.raw_server()),
        }
        found = {name: batch.measure(url, rounds, rows, CONCURRENCY, folder) for name, url in urls.items()}
        kinds = ("reads", "writes")
        peaks = {kind: batch.peak(kind, urls["raw"], memory, CONCURRENCY) for kind in kinds}
    lines = [
        (f"{server}, {kind}", [each["aiohttp"], each["batch"], each["ratio"]])
        for server, measured in found.items()
        for kind, each in measured.items()
    ]
    part.tables.append(Table("rows per second", ("aiohttp", "batch", "batch / aiohttp"), lines))
    part.tables.append(
        Table(f"peak memory of {memory:,} rows", ("MiB",), [(kind, [peaks[kind]]) for kind in kinds])
    )
    return part


if __name__ == "__main__":
    sys.exit(show(measure(quick())))
