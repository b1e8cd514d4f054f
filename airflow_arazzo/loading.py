"""Loading plans while Airflow parses a DAG file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.plan.cache import load_with
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.plan.options import Options
from airflow_arazzo.shape import Shape, derivation

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
    overlays: Sequence[Path] = (),
    probes: Mapping[str, Any] | None = None,
    parallel: bool = False,
) -> tuple[Plan, Shape]:
    """The plan of a workflow, and the shape of its tasks.

    :param document: absolute, as :func:`absolute` makes it.
    :param overlays: absolute, as :func:`beside` makes them.
    :param parallel: whether steps that share no data and no declared order run side by side.
    :raises BrokenDocument: when the document does not compile, with everything found, a line each.
    """
    try:
        options = options_of(document, sources, source_path, strict, overlays)
        options = msgspec.structs.replace(options, probes=probes or {})
        return load_with(document, workflow_id, options, derivation(parallel=parallel))
    except DocumentError as error:
        raise broken(document, error) from None


def options_of(
    document: Path,
    sources: Mapping[str, PathLike] | None,
    source_path: Sequence[PathLike],
    strict: bool,
    overlays: Sequence[Path],
) -> Options:
    """How a document is compiled: sources are relative to its folder."""
    base = document.parent
    return Options(
        sources={name: base / file for name, file in (sources or {}).items()},
        source_path=tuple(base / folder for folder in source_path),
        strict=strict,
        overlays=tuple(overlays),
    )


def beside(caller: str, files: Sequence[PathLike]) -> tuple[Path, ...]:
    """Files that a DAG file names; relative paths start from its folder.

    :param caller: the DAG file, as :func:`absolute` finds it.
    """
    return tuple(Path(caller).parent / file for file in files)


def broken(document: Path, error: DocumentError) -> BrokenDocument:
    """The error that Airflow shows for a document that does not compile: everything found, a line each."""
    found = "\n".join(str(diagnostic) for diagnostic in error.diagnostics)
    return BrokenDocument(f"{document.name} does not compile:\n{found}")


def absolute(document: PathLike) -> tuple[Path, str]:
    """The document's path, and the DAG file: the caller outside of this package.

    A relative path starts from the DAG file's folder.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_own(frame.f_code.co_filename):
        frame = frame.f_back
    caller = frame.f_code.co_filename if frame is not None else ""
    path = Path(document)
    return (path if path.is_absolute() else Path(caller).parent / path), caller


def _is_own(file: str) -> bool:
    # The initialiser that attrs generates for a class has a file name like this one.
    return file.startswith(("<attrs generated", _PACKAGE))


_PACKAGE = f"{Path(__file__).parent}{os.sep}"
