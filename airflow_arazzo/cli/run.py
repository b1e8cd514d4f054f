"""``run``: execute a workflow in this process, with the engine that Airflow's tasks use."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from airflow_arazzo.cli.arguments import options_of, pairs
from airflow_arazzo.cli.output import EXIT_FAILED, EXIT_OK, BadArgument, complain, located, say, say_json
from airflow_arazzo.description.diagnostics import Severity, did_you_mean
from airflow_arazzo.engine.connection import BadConnection, Connection, connection_from_environment
from airflow_arazzo.engine.inputs import InvalidInputs
from airflow_arazzo.engine.journal import Failure, StepRecord
from airflow_arazzo.engine.run import RunResult, run_plan
from airflow_arazzo.expression.jsonvalue import decode_json, encode_json
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import Plan


def run(arguments: argparse.Namespace) -> int:
    """Run the command. Exit status 0 when the workflow succeeded, 1 when it failed.

    :raises DocumentError: when the document does not compile; nothing was sent then.
    :raises BadArgument: when inputs or connections cannot be read; nothing was sent then.
    """
    path = Path(arguments.path)
    plan, _ = compile_workflow(path, arguments.workflow, options_of(arguments))
    inputs = read_inputs(arguments.inputs)
    connections = connections_of(plan, pairs(arguments.connection, "--connection", "SOURCE=JSON"))
    for diagnostic in plan.diagnostics:
        if diagnostic.severity is Severity.WARNING:
            complain(str(located(diagnostic, path)))
    result = _run(plan, inputs, connections)
    if arguments.format == "json":
        say_json(encode_json(_report(result)).decode())
    else:
        _print(result)
    return EXIT_OK if result.status == "succeeded" else EXIT_FAILED


def _run(plan: Plan, inputs: dict[str, Any], connections: Mapping[str, Connection]) -> RunResult:
    try:
        return asyncio.run(run_plan(plan, inputs, connections))
    except InvalidInputs as error:
        found = "; ".join(d.message + (f" ({d.hint})" if d.hint else "") for d in error.diagnostics)
        return RunResult("failed", {}, (), Failure(error.diagnostics[0].code, found, fate="not-sent"))


def read_inputs(argument: str) -> dict[str, Any]:
    """Inputs from the command line: a JSON object, or ``@FILE`` with one.

    :raises BadArgument: when there is no such file, or it holds no JSON object.
    """
    text = argument
    if argument.startswith("@"):
        try:
            text = Path(argument[1:]).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise BadArgument(f"--inputs: {argument[1:]} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadArgument(f"--inputs: {argument[1:]} is not UTF-8 text") from None
    try:
        value = decode_json(text)
    except ValueError as error:
        raise BadArgument(f"--inputs: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadArgument('--inputs: expected a JSON object such as {"name": "value"}')
    return value


def connections_of(plan: Plan, given: Mapping[str, str]) -> dict[str, Connection]:
    """A connection for every source of a plan: as given, else from the environment, else an empty one.

    :raises BadArgument: for one that cannot be used, and for a name that is no source.
    """
    for name in given:
        if name not in plan.sources:
            hint = did_you_mean(name, plan.sources)
            raise BadArgument(f"--connection: there is no source {name!r}{f'; {hint}' if hint else ''}")
    return {name: _connection(name, given.get(name)) for name in plan.sources}


def _connection(name: str, text: str | None) -> Connection:
    try:
        if text is None:
            return connection_from_environment(name, os.environ) or Connection(id=name)
        is_json = text.lstrip().startswith("{")
        return Connection.from_json(name, text) if is_json else Connection.from_uri(name, text)
    except BadConnection as error:
        raise BadArgument(str(error)) from None


def _report(result: RunResult) -> dict[str, Any]:
    return {
        "status": result.status,
        "outputs": result.outputs,
        "steps": [_plain(record) for record in result.steps],
        "error": _plain(result.error) if result.error else None,
    }


def _plain(record: StepRecord | Failure) -> dict[str, Any]:
    fields = msgspec.structs.asdict(record)
    return {
        name: _plain(value) if isinstance(value, Failure) else _seconds(name, value)
        for name, value in fields.items()
        if value not in (None, "")
    }


def _seconds(name: str, value: Any) -> Any:
    """Durations with a sensible number of digits; floats are not part of the engine's values."""
    return Decimal(f"{value:.4f}") if name == "elapsed" else value


def _print(result: RunResult) -> None:
    for record in result.steps:
        asked = f"  {record.method} {record.url}" if record.method else ""
        came = f" → {record.status_code}" if record.status_code is not None else ""
        took = f" in {record.elapsed * 1000:.0f} ms" if record.elapsed is not None else ""
        say(f"{'✓' if record.status == 'succeeded' else '✗'} {record.step}{asked}{came}{took}")
    for name, value in result.outputs.items():
        say(f"{name} = {encode_json(value).decode()}")
    say(result.status if result.error is None else f"{result.status}: {result.error}")
