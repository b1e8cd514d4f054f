"""A pytest plugin that writes down every run of the machine in other tests, to be repeated through Airflow.

``python -m pytest -p tests.airflow.recorder tests/conformance …`` with the folder in ``ARAZZO_RECORD_TO``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from airflow_arazzo.engine.machine import Machine
from airflow_arazzo.engine.messages import NotSent, Response, TransportError
from airflow_arazzo.engine.state import Done
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.plan.codec import encode_plan

FOLDER = "ARAZZO_RECORD_TO"
MOST_PER_TEST = 6
"""Generated examples of one test are much the same."""

_begin, _receive, _next = Machine.__init__, Machine.receive, Machine.next
_written: Counter[str] = Counter()


def _recording_begin(self: Any, plan: Any, state: Any, **options: Any) -> None:
    _begin(self, plan, state, **options)
    frame = state.frames[0]
    plain = not any(options.get(name) for name in ("within", "ledger", "secrets"))
    fresh = len(state.frames) == 1 and not frame.step and not frame.outputs and not state.finished
    self.recorded = None
    if plain and fresh and state.done is None and options.get("absent_text", "fail") == "fail":
        self.recorded = {"inputs": dict(frame.inputs), "start": options["clock"](), "outcomes": []}


def _recording_receive(self: Any, outcome: Any) -> None:
    if self.recorded is not None:
        self.recorded["outcomes"].append(outcome)
    _receive(self, outcome)


def _recording_next(self: Any) -> Any:
    command = _next(self)
    if isinstance(command, Done) and self.recorded is not None:
        recorded, self.recorded = self.recorded, None
        _write(self.plan, recorded)
    return command


def _write(plan: Any, recorded: dict[str, Any]) -> None:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
    outcomes = [_outcome(each) for each in recorded["outcomes"]]
    if None in outcomes or _written[test] >= MOST_PER_TEST:
        return
    _written[test] += 1
    scenario = {
        "test": test,
        "plan": encode_plan(plan).decode(),
        "inputs": encode_json(recorded["inputs"]).decode(),
        "start": recorded["start"],
        "outcomes": outcomes,
    }
    # Where the document lies and which version it says it is of makes no other run.
    same = (
        json.dumps([outcomes, scenario["inputs"], scenario["plan"]]).replace("1.0.1", "").replace("1.1.0", "")
    )
    name = hashlib.sha256(same.encode()).hexdigest()[:16]
    (Path(os.environ[FOLDER]) / f"{name}.json").write_text(json.dumps(scenario))


def _outcome(outcome: Any) -> dict[str, Any] | None:
    """What a server can answer; None for what it cannot."""
    if isinstance(outcome, Response):
        if outcome.status < 200:
            return None
        headers = [[name, value] for name, value in outcome.headers]
        return {"status": outcome.status, "headers": headers, "body": outcome.body.decode("latin-1")}
    if isinstance(outcome, TransportError) and not isinstance(outcome, NotSent):
        return {"status": None}
    return None


def pytest_configure() -> None:
    """Begin."""
    Machine.__init__ = _recording_begin  # type: ignore[method-assign]
    Machine.receive = _recording_receive  # type: ignore[method-assign]
    Machine.next = _recording_next  # type: ignore[method-assign]
