"""Arguments of the commands, declared once for both command lines."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_arazzo.cli.output import BadArgument
from airflow_arazzo.plan.options import Options

SOURCE_PATH = "ARAZZO_SOURCE_PATH"
"""Environment variable: folders that are searched for sources, separated as in ``PATH``."""


@dataclass(frozen=True)
class Argument:
    """An argument as :mod:`argparse` wants it."""

    flags: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


SOURCES = (
    Argument(
        ("--source",),
        {
            "action": "append",
            "default": [],
            "metavar": "NAME=FILE",
            "help": "the file of a source description; may be given several times",
        },
    ),
    Argument(
        ("--source-path",),
        {
            "action": "append",
            "default": [],
            "metavar": "FOLDER",
            "help": f"a folder to search for sources by file name (also: {SOURCE_PATH})",
        },
    ),
    Argument(
        ("--overlay",),
        {
            "action": "append",
            "default": [],
            "metavar": "FILE",
            "help": "an OpenAPI Overlay that changes the document or a source; may be given several times",
        },
    ),
)
STRICT = Argument(("--strict",), {"action": "store_true", "help": "treat warnings as errors"})

CHECK = (
    Argument(("paths",), {"nargs": "+", "metavar": "PATH", "help": "documents, or folders of documents"}),
    STRICT,
    Argument(
        ("--format",),
        {
            "choices": ("text", "line", "json", "sarif", "github"),
            "default": "text",
            "help": "text shows the source line of each finding, line does not; sarif is for code scanning, "
            "github for the log of a workflow there",
        },
    ),
    Argument(
        ("--skip-others",),
        {"action": "store_true", "help": "pass over files that are no Arazzo documents, as in folders"},
    ),
    *SOURCES,
)
PLAN = (
    Argument(("path",), {"metavar": "PATH", "help": "the Arazzo document"}),
    Argument(("--workflow",), {"default": "", "metavar": "ID", "help": "needed when there are several"}),
    STRICT,
    *SOURCES,
)
EXPLAIN = (
    Argument(("path",), {"metavar": "PATH", "help": "the Arazzo document"}),
    Argument(("--workflow",), {"default": "", "metavar": "ID", "help": "only this one"}),
    Argument(
        ("--format",),
        {
            "choices": ("text", "mermaid", "json"),
            "default": "text",
            "help": "how to print; mermaid is a flowchart for Markdown, of one workflow",
        },
    ),
    *SOURCES,
)
INIT = (
    Argument(("path",), {"metavar": "PATH", "help": "the Arazzo document"}),
    Argument(("--workflow",), {"default": "", "metavar": "ID", "help": "only this one"}),
    Argument(
        ("--output",),
        {
            "default": "",
            "metavar": "FILE",
            "help": "the DAG file to write, or the folder for it; else here; - prints it",
        },
    ),
    Argument(
        ("--schedule",),
        {"default": "", "metavar": "CRON", "help": "a cron expression, or a preset such as @daily"},
    ),
    Argument(("--force",), {"action": "store_true", "help": "overwrite the file if it exists"}),
    STRICT,
    *SOURCES,
)
VENDOR = (
    Argument(("path",), {"metavar": "PATH", "help": "the Arazzo document"}),
    Argument(
        ("--into",),
        {
            "default": "",
            "metavar": "FOLDER",
            "help": "where copies are; else the folder that has some already, or vendor beside the document",
        },
    ),
    Argument(
        ("--check",),
        {"action": "store_true", "help": "fetch nothing: are all copies there and the same?"},
    ),
    Argument(
        ("--update",),
        {"action": "store_true", "help": "fetch all again, and show which operations have changed"},
    ),
)
RUN = (
    Argument(("path",), {"metavar": "PATH", "help": "the Arazzo document"}),
    Argument(("workflow",), {"metavar": "WORKFLOW", "help": "the workflowId"}),
    Argument(
        ("--inputs",), {"default": "{}", "metavar": "JSON|@FILE", "help": "the inputs as a JSON object"}
    ),
    Argument(
        ("--connection",),
        {
            "action": "append",
            "default": [],
            "metavar": "SOURCE=JSON",
            "help": "a source's connection as Airflow writes it in JSON (else AIRFLOW_CONN_<SOURCE>)",
        },
    ),
    Argument(("--format",), {"choices": ("text", "json"), "default": "text", "help": "how to print"}),
    Argument(
        ("--airflow",),
        {"action": "store_true", "help": "run it as a DAG, with an Airflow that is thrown away afterwards"},
    ),
    Argument(("--verbose",), {"action": "store_true", "help": "with --airflow: what Airflow writes, too"}),
    Argument(
        ("--record",),
        {
            "default": "",
            "metavar": "FILE",
            "help": "write all requests and responses to a file, YAML or .json, without credentials",
        },
    ),
    Argument(
        ("--replay",),
        {
            "default": "",
            "metavar": "FILE",
            "help": "send nothing; take responses from a recorded file, and inputs where none are given",
        },
    ),
    *SOURCES,
)


def options_of(arguments: argparse.Namespace) -> Options:
    """Compile options from parsed arguments.

    :raises BadArgument: for a ``--source`` that is not ``NAME=FILE`` or names no file.
    """
    folders = [*arguments.source_path, *filter(None, os.environ.get(SOURCE_PATH, "").split(os.pathsep))]
    sources = {name: Path(file) for name, file in pairs(arguments.source, "--source", "NAME=FILE").items()}
    for name, file in sources.items():
        if not file.is_file():
            raise BadArgument(f"--source {name}: there is no file {file}")
    strict = bool(getattr(arguments, "strict", False))
    overlays = tuple(Path(file) for file in arguments.overlay)
    return Options(sources, tuple(Path(folder) for folder in folders), strict, overlays)


def pairs(given: Sequence[str], flag: str, form: str) -> dict[str, str]:
    """Arguments of the form ``NAME=VALUE`` as a mapping.

    :raises BadArgument: for one that has another form, without repeating its value.
    """
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise BadArgument(f"{flag}: expected {form}")
        found[name] = value
    return found
