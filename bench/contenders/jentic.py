"""``python -m bench.contenders.jentic``: arazzo-runner, in an environment of its own.

Its documents are loaded once, and each run begins on a runner that has run nothing: it gets slower with
every run of one. Making that runner is not counted, and what it logs is not written.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import requests
from arazzo_runner import runner as arazzo  # type: ignore[import-not-found, unused-ignore]

from bench.contender import serve
from bench.contenders.workflow import ANSWERS, DOCUMENT, KEY, STEPS, WORKFLOW, clock, inputs


class _Answer:
    """As much of a response of requests as it reads."""

    status_code = 200
    headers = {"Content-Type": "application/json"}  # noqa: RUF012

    def __init__(self, body: bytes) -> None:
        self.content = body
        self.text = body.decode()

    def json(self) -> Any:
        return json.loads(self.content)


class _Instant:
    """Answers at once, in place of the session."""

    def __init__(self) -> None:
        self._answers = itertools.cycle([_Answer(body) for body in ANSWERS])

    def request(self, **_: Any) -> _Answer:
        return next(self._answers)


class Jentic:
    """The runner, over the network or without it."""

    def __init__(self) -> None:
        loaded = arazzo.ArazzoRunner.from_arazzo_path(str(DOCUMENT))
        self._document = loaded.arazzo_doc
        self._sources = loaded.source_descriptions
        self._session = requests.Session()

    def alone(self, times: int) -> float:
        """Milliseconds of the processor's time for each step, without the network."""
        return self._run([self._runner(_Instant()) for _ in range(times)], time.process_time)

    def http(self, url: str, times: int, processor: bool = False) -> float:
        """Milliseconds for each step, over the network; or of the processor's time."""
        for source in self._sources.values():
            source["servers"] = [{"url": url}]
        return self._run([self._runner(self._session) for _ in range(times)], clock(processor))

    def flat(self, times: int, part: int) -> list[float]:
        """Milliseconds for each step of one runner, of its first runs and of its last."""
        runner = self._runner(_Instant())
        first = self._run([runner] * part, time.process_time)
        self._run([runner] * (times - 2 * part), time.process_time)
        return [first, self._run([runner] * part, time.process_time)]

    def _runner(self, client: Any) -> Any:
        return arazzo.ArazzoRunner(self._document, self._sources, http_client=client)

    def _run(self, runners: list[Any], read: Callable[[], float]) -> float:
        given = [{"apiKey": KEY, **inputs()} for _ in runners]
        began = read()
        for runner, each in zip(runners, given, strict=True):
            result = runner.execute_workflow(WORKFLOW, each)
            if result.status != "workflow_complete" or result.error or len(result.outputs) != STEPS:
                raise RuntimeError(f"the workflow did not succeed: {result}")
        return (read() - began) / len(runners) / STEPS * 1000


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    os.environ["AMBERFLO_APIKEYAUTH"] = KEY  # where it looks for credentials
    jentic = Jentic()
    serve({"alone": jentic.alone, "http": jentic.http, "flat": jentic.flat})
