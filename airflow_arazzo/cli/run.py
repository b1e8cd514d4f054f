"""``run``: execute a workflow in this process, or as a DAG through Airflow."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from airflow_arazzo.cli.advice import without_connection
from airflow_arazzo.cli.airflow_run import Order, run_in_airflow
from airflow_arazzo.cli.arguments import options_of, pairs
from airflow_arazzo.cli.bodies import run_here
from airflow_arazzo.cli.output import EXIT_FAILED, EXIT_OK, BadArgument, complain, located
from airflow_arazzo.cli.report import Report
from airflow_arazzo.description.diagnostics import Severity, did_you_mean
from airflow_arazzo.engine.connection import (
    BadConnection,
    Connection,
    connection_from_text,
    environment_text,
)
from airflow_arazzo.engine.inputs import InvalidInputs, prepare_inputs
from airflow_arazzo.engine.run import RunResult, refused_inputs
from airflow_arazzo.expression.jsonvalue import decode_json
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import Plan


def run(arguments: argparse.Namespace) -> int:
    """Run the command. Exit status 0 when the workflow succeeded, 1 when it failed.

    :raises DocumentError: when the document does not compile; nothing was sent then.
    :raises BadArgument: when inputs, connections or a recording cannot be read; nothing was sent then.
    """
    path, options = Path(arguments.path), options_of(arguments)
    _check_together(arguments)
    plan, _ = compile_workflow(path, arguments.workflow, options)
    inputs = read_inputs(arguments.inputs)
    texts = connection_texts(plan, pairs(arguments.connection, "--connection", "SOURCE=JSON"), os.environ)
    connections = read_connections(texts)
    for diagnostic in plan.diagnostics:
        if diagnostic.severity is Severity.WARNING:
            complain(str(located(diagnostic, path)))
    try:
        if arguments.replay:
            held = {name: connection for name, connection in connections.items() if texts[name]}
            return _replay(arguments, plan, inputs, held)
        prepare_inputs(plan.root, inputs)
        if arguments.airflow:
            report = run_in_airflow(
                Order.of(path, plan.root.id, options, inputs, texts), verbose=arguments.verbose
            )
        elif arguments.record:
            report = _record(Path(arguments.record), plan, inputs, connections)
        else:
            report = Report(asyncio.run(run_here(plan, inputs, connections)))
    except InvalidInputs as error:
        report = Report(refused_inputs(error))
    report = _explained(report, plan, texts)
    report.print(arguments.format)
    return EXIT_OK if report.result.status == "succeeded" else EXIT_FAILED


def _explained(report: Report, plan: Plan, texts: Mapping[str, str]) -> Report:
    """The report; where a connection is wanting, its error says how to give one."""
    result = report.result
    if result.error is None:
        return report
    error = without_connection(result.error, plan, texts)
    return msgspec.structs.replace(report, result=msgspec.structs.replace(result, error=error))


def _check_together(arguments: argparse.Namespace) -> None:
    """Make sure that options go together.

    :raises BadArgument: when they do not.
    """
    if arguments.verbose and not arguments.airflow:
        raise BadArgument("--verbose shows what Airflow writes; it goes with --airflow")
    ways = [flag for flag in ("airflow", "record", "replay") if getattr(arguments, flag)]
    if len(ways) > 1:
        raise BadArgument(f"--{ways[0]} and --{ways[1]} do not go together")


def _record(file: Path, plan: Plan, inputs: dict[str, Any], connections: dict[str, Connection]) -> Report:
    """Run a workflow and write down its exchanges, also when it fails.

    :raises BadArgument: when the file cannot be written; nothing was sent then.
    """
    from airflow_arazzo.testing.recording import Recorder

    try:
        file.open("ab").close()  # rather found out before anything is billed
    except OSError as error:
        raise BadArgument(f"--record: {file} cannot be written: {error.strerror}") from None
    return Report(asyncio.run(Recorder().run(file, plan, inputs, connections)))


def _replay(
    arguments: argparse.Namespace, plan: Plan, inputs: dict[str, Any], connections: dict[str, Connection]
) -> int:
    """Run a workflow against a recorded file.

    :raises BadArgument: when it cannot be read, or is of another workflow.
    """
    from airflow_arazzo.testing.exchanges import (
        BadExchange,
        UnexpectedRequest,
        UnusedExchanges,
        read_recording,
        script_of,
    )
    from airflow_arazzo.testing.workflow import run_script

    file = Path(arguments.replay)
    try:
        recording = read_recording(file)
        script = script_of(recording, plan, file)
    except BadExchange as error:
        raise BadArgument(f"--replay: {error}") from None
    try:
        came = run_script(plan, connections, inputs or recording.inputs, script)
    except (UnexpectedRequest, UnusedExchanges) as error:
        complain(f"airflow-arazzo: --replay: {error}")
        return EXIT_FAILED
    Report(RunResult(came.status, came.outputs, came.steps, came.failure)).print(
        arguments.format, advise=False
    )
    return EXIT_OK if came.status == "succeeded" else EXIT_FAILED


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


def connection_texts(plan: Plan, given: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Connections of a plan's sources as they are written: as given, else as the environment has them.

    :raises BadArgument: for a name that is no source.
    """
    for name in given:
        if name not in plan.sources:
            hint = did_you_mean(name, plan.sources)
            raise BadArgument(f"--connection: there is no source {name!r}{f'; {hint}' if hint else ''}")
    return {name: given.get(name, "") or environment_text(name, environ) for name in plan.sources}


def read_connections(texts: Mapping[str, str]) -> dict[str, Connection]:
    """The connections that texts describe, by source name.

    :raises BadArgument: for one that cannot be used.
    """
    try:
        return {name: connection_from_text(name, text) for name, text in texts.items()}
    except BadConnection as error:
        raise BadArgument(str(error)) from None
