"""``run --airflow``: the same workflow through Airflow, in a process and a home of its own.

The command line never imports Airflow; a child process does. It gets what it has to do, connections and
their keys included, over the pipe that is its standard input, so that no key is among its arguments, in its
environment, or in a file. It gives back a report, with every key masked, over a second pipe.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from airflow_arazzo.cli.report import Report
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.run import RunResult
from airflow_arazzo.expression.jsonvalue import decode_json, encode_json
from airflow_arazzo.plan.options import Options

CHILD = "airflow_arazzo.cli.airflow_child"
"""Module of the child process."""

_NOT_INHERITED = ("AIRFLOW_", "_AIRFLOW_", "ARAZZO_LEDGER", "ARAZZO_CACHE_DIR")
"""How variables begin that belong to another Airflow: its database, its connections, its ledger."""


_STANDARD_ERROR = 2


class Order(msgspec.Struct, frozen=True):
    """What the child has to do. It holds keys, and is never written anywhere.

    :param document: absolute path.
    :param sources: absolute paths by source name.
    :param source_path: absolute paths of folders.
    :param overlays: absolute paths.
    :param connections: by source name, as JSON or URI; empty texts for connections with nothing in them.
    """

    document: str
    workflow: str
    sources: dict[str, str]
    source_path: tuple[str, ...]
    overlays: tuple[str, ...]
    inputs: dict[str, Any]
    connections: dict[str, str]

    def __repr__(self) -> str:
        return f"Order({self.document!r}, {self.workflow!r})"

    @classmethod
    def of(
        cls,
        document: Path,
        workflow: str,
        options: Options,
        inputs: Mapping[str, Any],
        connections: Mapping[str, str],
    ) -> Order:
        """What to do with arguments of the command line, whose paths start from the current folder."""
        sources = {name: str(file.absolute()) for name, file in options.sources.items()}
        folders = tuple(str(folder.absolute()) for folder in options.source_path)
        overlays = tuple(str(file.absolute()) for file in options.overlays)
        files = (str(document.absolute()), workflow, sources, folders, overlays)
        return cls(*files, dict(inputs), dict(connections))

    def encode(self) -> bytes:
        """The order as a line of JSON."""
        return encode_json({name: getattr(self, name) for name in self.__struct_fields__}) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Order:
        """The order of a line of JSON."""
        return cls(**decode_json(line))


def run_in_airflow(order: Order, *, verbose: bool = False) -> Report:
    """Run a workflow as a DAG, in an Airflow that is removed afterwards.

    :param verbose: whether what Airflow writes goes to standard error.
    """
    with tempfile.TemporaryDirectory(prefix="airflow-arazzo-") as home:
        reading, writing = os.pipe()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", CHILD, home, str(writing)],
            env={**kept, "AIRFLOW_HOME": home},
            stdin=subprocess.PIPE,
            stdout=_STANDARD_ERROR if verbose else subprocess.DEVNULL,
            stderr=_STANDARD_ERROR if verbose else subprocess.DEVNULL,
            pass_fds=(writing,),
        )
        os.close(writing)
        try:
            with os.fdopen(reading, "rb") as answer:
                _send(process, order.encode())
                text = answer.read()
            status = process.wait()
        finally:
            process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
    return Report.from_json(text) if text else Report(RunResult("failed", {}, (), _broken(status, verbose)))


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Give the child its order. The pipe stays open: its end tells the child that nobody waits any more."""
    if process.stdin is None:
        raise RuntimeError("the child has no standard input")
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        return  # it has ended already, and its exit status says more


def _broken(status: int, verbose: bool) -> Failure:
    hint = "" if verbose else "--verbose shows what it wrote"
    return Failure("airflow", f"Airflow's process ended with status {status} and without a report", hint=hint)
