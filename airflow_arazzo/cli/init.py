"""``init``: write a DAG file for a document, and say which connections it needs."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path

from croniter import croniter

from airflow_arazzo.cli.arguments import options_of
from airflow_arazzo.cli.connections import connection_commands
from airflow_arazzo.cli.explain import plans_of
from airflow_arazzo.cli.output import EXIT_OK, BadArgument, complain, located, say
from airflow_arazzo.cli.stub import Stub
from airflow_arazzo.description.diagnostics import Severity

PRESETS = ("@once", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""Names of schedules that Airflow knows and a workflow can have without further arguments."""

_CRON_FIELDS = 5


def init(arguments: argparse.Namespace) -> int:
    """Run the command.

    :raises DocumentError: when the document does not compile; nothing is written then.
    :raises BadArgument: for a file that exists, or cannot be written, and for a schedule that is none.
    """
    document, schedule = Path(arguments.path), arguments.schedule.strip()
    _check_schedule(schedule)
    plans = plans_of(arguments)
    if schedule and len(plans) > 1:
        known = ", ".join(plan.workflow for plan in plans)
        raise BadArgument(f"--schedule is for one workflow; choose it with --workflow: {known}")
    if not plans:
        raise BadArgument(f"{document} has no workflows")
    to_screen = arguments.output == "-"
    target = None if to_screen else _target(arguments.output, document, arguments.workflow)
    stub = Stub(
        document=document,
        plans=plans,
        workflow=arguments.workflow,
        options=options_of(arguments),
        schedule=schedule,
        today=datetime.now(UTC).date(),
        folder=target.parent if target else Path(),
    )
    for diagnostic in dict.fromkeys(d for plan in plans for d in plan.diagnostics):
        if diagnostic.severity is Severity.WARNING:
            complain(str(located(diagnostic, document)))
    tell = complain if to_screen else say
    if target is None:
        say(stub.text().rstrip("\n"))
    else:
        _write(target, stub.text(), force=arguments.force)
        say(f"wrote {target}")
    if stub.variables():
        tell("\n# Its templates read Airflow variables:")
        for name in stub.variables():
            tell(f"airflow variables set {name} VALUE")
    tell("\n# It needs these connections; put the keys into the environment first:")
    for line in connection_commands(plans):
        tell(line)
    return EXIT_OK


def _check_schedule(schedule: str) -> None:
    """
    :raises BadArgument: for a text that is no cron expression and no preset.
    """
    if not schedule or schedule in PRESETS:
        return
    if len(schedule.split()) != _CRON_FIELDS or not croniter.is_valid(schedule):
        presets = ", ".join(PRESETS)
        raise BadArgument(f"--schedule: expected a cron expression such as '0 6 * * *', or one of {presets}")


def _target(output: str, document: Path, workflow: str) -> Path:
    """The file to write; in a folder, or where none is named, a file named after what it runs."""
    path = Path(output)
    if output and not path.is_dir():
        return path
    name = workflow or re.sub(r"([._-](arazzo|workflows?))+\Z", "", document.stem, flags=re.IGNORECASE)
    return path / ((re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "workflow") + ".py")


def _write(target: Path, text: str, *, force: bool) -> None:
    """
    :raises BadArgument: when the file is there and must not be overwritten, or cannot be written.
    """
    try:
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadArgument(f"{target} exists; --force overwrites it, --output names another file") from None
    except OSError as error:
        raise BadArgument(f"{target} cannot be written: {error.strerror}") from None
