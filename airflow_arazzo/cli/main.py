"""``airflow-arazzo``: the console script. It never imports Airflow, which takes seconds."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from airflow_arazzo.cli import arguments as declared
from airflow_arazzo.cli import ledger_arguments
from airflow_arazzo.cli.output import (
    EXIT_BAD_DOCUMENT,
    EXIT_FAILED,
    EXIT_STATUSES,
    BadArgument,
    complain,
    located,
)
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.version import __version__

Command = Callable[[argparse.Namespace], int]

DEBUG = "ARAZZO_DEBUG"
"""Environment variable: anything in it lets tracebacks of unexpected errors through."""


def _check(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.check import check

    return check(arguments)


def _plan(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.plan import plan

    return plan(arguments)


def _explain(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.explain import explain_command

    return explain_command(arguments)


def _init(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.init import init

    return init(arguments)


def _vendor(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.vendor import vendor

    return vendor(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.run import run

    return run(arguments)


def _ledger(name: str, arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.ledger import ledger

    return ledger(name, arguments)


Declared = tuple[str, tuple[declared.Argument, ...], Command]

COMMANDS: dict[str, Declared] = {
    "check": ("Check Arazzo documents and print what is wrong with them", declared.CHECK, _check),
    "plan": ("Print the plan of a workflow as JSON", declared.PLAN, _plan),
    "explain": ("Explain what the workflows of a document do", declared.EXPLAIN, _explain),
    "init": ("Write a DAG file for a document, and say what it needs", declared.INIT, _init),
    "vendor": ("Keep copies of the remote sources of a document", declared.VENDOR, _vendor),
    "run": ("Run a workflow in this process", declared.RUN, _run),
}
"""Name, help, arguments and function of every command; imports wait until a command is called."""

LEDGER: dict[str, Declared] = {
    name: (summary, arguments, partial(_ledger, name))
    for name, (summary, arguments) in ledger_arguments.COMMANDS.items()
}
"""The same of every command under ``ledger``."""


_EPILOG: dict[str, Any] = {
    "epilog": EXIT_STATUSES,
    "formatter_class": argparse.RawDescriptionHelpFormatter,
}


def parser() -> argparse.ArgumentParser:
    """The parser of the console script."""
    root = argparse.ArgumentParser(
        prog="airflow-arazzo", description="Arazzo workflows on Apache Airflow", **_EPILOG
    )
    root.add_argument("--version", action="version", version=f"airflow-arazzo {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(commands, COMMANDS)
    summary = ledger_arguments.SUMMARY
    ledger = commands.add_parser("ledger", help=summary, description=summary)
    _add(ledger.add_subparsers(dest="ledger_command", required=True, metavar="COMMAND"), LEDGER)
    return root


def _add(commands: Any, table: Mapping[str, Declared]) -> None:
    for name, (summary, arguments, function) in table.items():
        command = commands.add_parser(name, help=summary, description=summary, **_EPILOG)
        command.set_defaults(function=function)
        for argument in arguments:
            command.add_argument(*argument.flags, **argument.options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    :return: the exit status, see :mod:`airflow_arazzo.cli.output`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = parser().parse_args(argv)
    return call(arguments.function, arguments)


def call(command: Command, arguments: argparse.Namespace) -> int:
    """Call a command; what is wrong with a document or an argument becomes lines instead of a traceback."""
    try:
        status = command(arguments)
        sys.stdout.flush()
        return status
    except DocumentError as error:
        path = Path(getattr(arguments, "path", "."))
        for diagnostic in error.diagnostics:
            complain(str(located(diagnostic, path)))
        return EXIT_BAD_DOCUMENT
    except BadArgument as error:
        complain(f"airflow-arazzo: {error}")
        return EXIT_BAD_DOCUMENT
    except BrokenPipeError:
        # Nobody reads on. What is buffered must not be written once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        complain("airflow-arazzo: interrupted; a request under way may have taken effect")
        return EXIT_FAILED
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        # Not its message: nobody knows whether a credential is in it.
        complain(f"airflow-arazzo: a fault of this program, {type(error).__name__}; {DEBUG}=1 shows where")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
