"""What came of a run, as ``airflow-arazzo run`` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from airflow_arazzo.cli.advice import what_to_do
from airflow_arazzo.cli.output import say, say_json
from airflow_arazzo.engine.journal import Failure, StepRecord
from airflow_arazzo.engine.run import RunResult
from airflow_arazzo.expression.jsonvalue import decode_json, encode_json

_NEVER_BEGUN = frozenset({"skipped", "upstream_failed", "removed"})


class Report(msgspec.Struct, frozen=True):
    """What came of a run.

    :param tasks: states of Airflow's tasks by task id, in the order of the workflow; empty for a run
        without Airflow.
    """

    result: RunResult
    tasks: dict[str, str] = {}

    def as_json(self) -> str:
        """The report for programs, with all digits of its numbers."""
        result = self.result
        report: dict[str, Any] = {
            "status": result.status,
            "outputs": result.outputs,
            "steps": [_plain(record) for record in result.steps],
            "error": _plain(result.error) if result.error else None,
        }
        return encode_json(report | ({"tasks": self.tasks} if self.tasks else {})).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """The report of a JSON text.

        :raises ValueError: when it is none.
        """
        plain = decode_json(text)
        if not isinstance(plain, dict):
            raise ValueError("a report is an object")
        tasks = plain.pop("tasks", {})
        for step in plain.get("steps", ()):
            if "elapsed" in step:
                step["elapsed"] = float(step["elapsed"])
        return cls(msgspec.convert(plain, RunResult, builtin_types=(Decimal,)), tasks)

    def print(self, form: str, *, advise: bool = True) -> None:
        """Print it: ``json``, or ``text`` for people.

        :param advise: whether to say what to do about a failure.
        """
        if form == "json":
            say_json(self.as_json())
            return
        for record in self.result.steps:
            say(_line(record))
        for task, state in self.tasks.items():
            if state in _NEVER_BEGUN:
                say(f"- {task}  {state.replace('_', ' ')}")
        for name, value in self.result.outputs.items():
            say(f"{name} = {encode_json(value).decode()}")
        error = self.result.error
        say(self.result.status if error is None else f"{self.result.status}: {error}")
        if error is not None and advise and (advice := what_to_do(error, self.result.steps)):
            say(f"What to do: {advice}")


def _line(record: StepRecord) -> str:
    asked = f"  {record.method} {record.url}".rstrip() if record.method else ""
    came = f" → {record.status_code}" if record.status_code is not None else ""
    took = f" in {record.elapsed * 1000:.0f} ms" if record.elapsed is not None else ""
    return f"{'✓' if record.status == 'succeeded' else '✗'} {record.step}{asked}{came}{took}"


def _plain(record: StepRecord | Failure) -> dict[str, Any]:
    fields: Mapping[str, Any] = msgspec.structs.asdict(record)
    return {
        name: _plain(value) if isinstance(value, Failure) else _seconds(name, value)
        for name, value in fields.items()
        if value not in (None, "") and value is not False
    }


def _seconds(name: str, value: Any) -> Any:
    """Durations with a sensible number of digits; floats are not part of the engine's values."""
    return Decimal(f"{value:.4f}") if name in ("elapsed", "retry_after") else value
