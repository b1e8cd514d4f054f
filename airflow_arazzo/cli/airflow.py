"""The commands under ``airflow arazzo``."""

from __future__ import annotations

import sys
from argparse import Namespace
from functools import partial

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

from airflow_arazzo.cli import ledger_arguments
from airflow_arazzo.cli.arguments import Argument
from airflow_arazzo.cli.main import COMMANDS, LEDGER, Command, call
from airflow_arazzo.cli.output import EXIT_STATUSES, BadArgument


def get_commands() -> list[CLICommand]:
    """The provider's commands for Airflow's command line."""
    own = [_command(name, *declared) for name, declared in COMMANDS.items()]
    effects = [
        _command(name, summary, arguments, partial(_with_connection, function))
        for name, (summary, arguments, function) in LEDGER.items()
    ]
    ledger = GroupCommand(name="ledger", help=ledger_arguments.SUMMARY, subcommands=effects)
    return [GroupCommand(name="arazzo", help="Arazzo workflows", subcommands=[*own, ledger])]


def _command(name: str, summary: str, arguments: tuple[Argument, ...], function: Command) -> ActionCommand:
    return ActionCommand(
        name=name,
        help=summary,
        func=partial(_call, function),
        args=[_argument(argument) for argument in arguments],
        epilog=EXIT_STATUSES,
    )


def _with_connection(function: Command, arguments: Namespace) -> int:
    """A command of the ledger; here the ledger may be an Airflow connection, as it is for tasks."""
    # Outside of a task the SDK does not look into Airflow's database.
    from airflow.models.connection import Connection

    from airflow_arazzo.ledger.model import LedgerUnavailable
    from airflow_arazzo.operators.effects import ledger_url

    try:
        arguments.ledger = arguments.ledger or ledger_url(Connection.get_connection_from_secrets)
    except LedgerUnavailable as error:
        raise BadArgument(str(error)) from None
    return function(arguments)


def _argument(declared: Argument) -> Arg:
    return Arg(flags=declared.flags, **declared.options)  # type: ignore[no-untyped-call]


def _call(function: Command, arguments: Namespace) -> None:
    """Call a command as Airflow does: exit statuses other than 0 end the process."""
    status = call(function, arguments)
    if status:
        sys.exit(status)
