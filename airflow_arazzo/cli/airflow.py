"""The commands under ``airflow arazzo``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

from airflow_arazzo.cli.arguments import Argument
from airflow_arazzo.cli.main import COMMANDS, Command, call


def get_commands() -> list[CLICommand]:
    """The provider's commands for Airflow's command line."""
    commands = [
        ActionCommand(
            name=name,
            help=summary,
            func=_exiting(function),
            args=[_argument(argument) for argument in arguments],
        )
        for name, (summary, arguments, function) in COMMANDS.items()
    ]
    return [GroupCommand(name="arazzo", help="Arazzo workflows", subcommands=commands)]


def _argument(declared: Argument) -> Arg:
    return Arg(flags=declared.flags, **declared.options)  # type: ignore[no-untyped-call]


def _exiting(function: Command) -> Callable[[Namespace], None]:
    """The command as Airflow calls it: exit statuses other than 0 end the process."""
    return partial(_call, function)


def _call(function: Command, arguments: Namespace) -> None:
    status = call(function, arguments)
    if status:
        sys.exit(status)
