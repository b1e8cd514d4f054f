"""Loading plans while Airflow parses a DAG file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.plan.cache import load_plan
from airflow_arazzo.plan.compiler import Options
from airflow_arazzo.plan.model import Plan

PathLike = str | Path


class BrokenDocument(Exception):
    """A document that does not compile, as Airflow shows it in the list of DAG import errors."""


def load(
    document: Path,
    workflow_id: str,
    *,
    sources: Mapping[str, PathLike] | None,
    source_path: Sequence[PathLike],
    strict: bool,
) -> Plan:
    """The plan of a workflow.

    :param document: absolute, as :func:`absolute` makes it.
    :raises BrokenDocument: when the document does not compile, with everything found, a line each.
    """
    base = document.parent
    options = Options(
        sources={name: base / file for name, file in (sources or {}).items()},
        source_path=tuple(base / folder for folder in source_path),
        strict=strict,
    )
    try:
        return load_plan(document, workflow_id, options)
    except DocumentError as error:
        found = "\n".join(str(diagnostic) for diagnostic in error.diagnostics)
    raise BrokenDocument(f"{document.name} does not compile:\n{found}")


def absolute(document: PathLike, *, depth: int) -> tuple[Path, str]:
    """The document's path, and the file of the caller, which a relative path starts from.

    :param depth: how many calls lie between this one and the DAG file.
    """
    caller = sys._getframe(depth + 1).f_code.co_filename
    path = Path(document)
    return (path if path.is_absolute() else Path(caller).parent / path), caller
