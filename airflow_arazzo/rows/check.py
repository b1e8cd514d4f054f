"""Rows checked against the inputs of the workflow, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from airflow_arazzo.engine.inputs import InvalidInputs, cast_text, exact, prepare_inputs
from airflow_arazzo.engine.preflight import CannotRun, check_requests
from airflow_arazzo.expression.jsonvalue import encode_json, to_text
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.rows.source import Found


class Row(NamedTuple):
    """A row that can be run.

    :param line: where it was found.
    :param key: its business key.
    :param inputs: prepared.
    """

    line: int
    key: str
    inputs: dict[str, Any]


class BadRow(NamedTuple):
    """A row that cannot be run.

    :param key: its business key, where it has one.
    """

    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}{f' ({self.key})' if self.key else ''}: {self.reason}"


class Checker:
    """Makes runs' inputs of rows.

    :param row_key: names of the inputs, or of further columns, that make the business key.
    :param shared: values of inputs that are the same for all rows.
    :param secrets: values of secret inputs, by workflow key and input name.
    :param absent_text: what an absent value inside text does.
    """

    def __init__(
        self,
        plan: Plan,
        row_key: Sequence[str],
        shared: Mapping[str, Any],
        secrets: Mapping[tuple[str, str], str],
        absent_text: Literal["fail", "empty"] = "fail",
    ) -> None:
        self._plan = plan
        self._row_key = tuple(row_key)
        self._shared = shared
        self._secrets = secrets
        self._absent_text = absent_text
        self._properties: Mapping[str, Any] = plan.root.inputs.get("properties") or {}
        known = {*self._properties, *plan.root.credentials}
        takes_any = plan.root.inputs.get("additionalProperties", False) is not False
        # A key that the workflow does not ask for is ours alone.
        self._extra = frozenset() if takes_any else frozenset(n for n in self._row_key if n not in known)

    def check(self, found: Found) -> Row | BadRow:
        """A row, or why it is none. Everything that is wrong with it is said at once."""
        key = ""
        try:
            if found.problem:
                raise ValueError(found.problem)
            values = self._cast(found.values)
            key = self._key(values)
            given = {name: value for name, value in values.items() if name not in self._extra}
            inputs = prepare_inputs(self._plan.root, {**self._shared, **given}, null_is_absent=True)
            check_requests(self._plan, inputs, self._secrets, absent_text=self._absent_text)
        except InvalidInputs as error:
            return BadRow(found.line, key, error.line)
        except CannotRun as error:
            return BadRow(found.line, key, str(error.failure))
        except ValueError as error:
            return BadRow(found.line, key, str(error))
        return Row(found.line, key, inputs)

    def _cast(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values with texts cast to the types of their inputs."""
        cast: dict[str, Any] = {}
        problems = []
        for name, value in values.items():
            if name in self._shared:
                problems.append(f"input {name!r} is the same for all rows: the DAG gives it")
            try:
                schema = self._properties.get(name)
                cast[name] = cast_text(value, schema) if isinstance(value, str) else value
            except ValueError as error:
                problems.append(f"input {name!r} {error}")
        if problems:
            raise ValueError("; ".join(problems))
        return cast

    def _key(self, values: Mapping[str, Any]) -> str:
        parts = []
        for name in self._row_key:
            value = values.get(name, self._shared.get(name))
            if value is None or value == "" or isinstance(value, dict | list):
                raise ValueError(f"it has no value for {name!r}, which is its row_key")
            parts.append(to_text(exact(value, self._properties.get(name))))
        return parts[0] if len(parts) == 1 else encode_json(parts).decode()
