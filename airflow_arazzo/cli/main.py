"""``airflow-arazzo``: the console script. It never imports Airflow, which takes seconds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from airflow_arazzo.cli import arguments as declared
from airflow_arazzo.cli.output import EXIT_BAD_DOCUMENT, complain, located
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.version import __version__

Command = Callable[[argparse.Namespace], int]


def _check(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.check import check

    return check(arguments)


def _plan(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.plan import plan

    return plan(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from airflow_arazzo.cli.run import run

    return run(arguments)


COMMANDS: dict[str, tuple[str, tuple[declared.Argument, ...], Command]] = {
    "check": ("Check Arazzo documents and print what is wrong with them", declared.CHECK, _check),
    "plan": ("Print the plan of a workflow as JSON", declared.PLAN, _plan),
    "run": ("Run a workflow in this process", declared.RUN, _run),
}
"""Name, help, arguments and function of every command; imports wait until a command is called."""


def parser() -> argparse.ArgumentParser:
    """The parser of the console script."""
    root = argparse.ArgumentParser(prog="airflow-arazzo", description="Arazzo workflows on Apache Airflow")
    root.add_argument("--version", action="version", version=f"airflow-arazzo {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, arguments, _) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        for argument in arguments:
            command.add_argument(*argument.flags, **argument.options)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Exit status 0 for success, 1 for a failed run, 2 for documents or arguments."""
    arguments = parser().parse_args(argv)
    return call(COMMANDS[arguments.command][2], arguments)


def call(command: Command, arguments: argparse.Namespace) -> int:
    """Call a command; what is wrong with a document or an argument becomes lines instead of a traceback."""
    try:
        return command(arguments)
    except DocumentError as error:
        path = Path(getattr(arguments, "path", "."))
        for diagnostic in error.diagnostics:
            complain(str(located(diagnostic, path)))
    except ValueError as error:
        complain(f"airflow-arazzo: {error}")
    except BrokenPipeError:
        sys.stderr.close()
    return EXIT_BAD_DOCUMENT


if __name__ == "__main__":
    sys.exit(main())
