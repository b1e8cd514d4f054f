"""``plan``: print the plan of a workflow as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from airflow_arazzo.cli.arguments import options_of
from airflow_arazzo.cli.output import EXIT_OK, say_json
from airflow_arazzo.plan.codec import encode_plan
from airflow_arazzo.plan.compiler import compile_workflow


def plan(arguments: argparse.Namespace) -> int:
    """Run the command.

    :raises DocumentError: when the document does not compile.
    """
    compiled, _ = compile_workflow(Path(arguments.path), arguments.workflow, options_of(arguments))
    say_json(msgspec.json.format(encode_plan(compiled), indent=2).decode())
    return EXIT_OK
