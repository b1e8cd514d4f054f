"""Documents that were opened to compile a workflow, for the next workflow of the same document."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from airflow_arazzo.description.arazzo import ArazzoDocument
from airflow_arazzo.description.arazzo_reader import read_arazzo
from airflow_arazzo.description.diagnostics import Diagnostic, DocumentError
from airflow_arazzo.description.digests import file_digest
from airflow_arazzo.description.documents import Report
from airflow_arazzo.description.sources import Library
from airflow_arazzo.plan.options import Options
from airflow_arazzo.plan.overlays import apply_overlays


@dataclass(frozen=True)
class Opened:
    """A document that was read, with the sources that its workflows have needed so far.

    :param asked: the document and how it was to be read.
    :param diagnostics: what was found in its shape.
    """

    asked: tuple[object, ...]
    library: Library
    arazzo: ArazzoDocument
    diagnostics: list[Diagnostic]

    def is_current(self) -> bool:
        """Whether no file has changed since."""
        known = self.library.dependencies()
        return all(file_digest(name) == digest for name, digest in known.items())


_last: list[Opened] = []
"""The document that was opened last. A DAG file asks for all workflows of a document, one after the other."""


def forget_opened() -> None:
    """Read the next document from its file, whatever is known of it."""
    _last.clear()


def opened(path: Path, options: Options) -> Opened:
    """A document, read again only when it is another one, or has changed.

    :raises DocumentError: when it cannot be read, or an overlay cannot be applied.
    """
    sources = sorted((name, os.path.abspath(file)) for name, file in options.sources.items())
    folders = [os.path.abspath(folder) for folder in options.source_path]
    overlays = [os.path.abspath(file) for file in options.overlays]
    asked = (os.path.abspath(path), repr((sources, folders, overlays)))
    known = next(iter(_last), None)
    if known is not None and known.asked == asked and known.is_current():
        return known
    library, report = Library(path, options.sources, options.source_path), Report()
    arazzo = read_entry(library, options, report)
    if arazzo is None:
        raise DocumentError(report.diagnostics)
    found = Opened(asked, library, arazzo, report.diagnostics)
    _last[:] = [found]  # in one go, since several threads may ask
    return found


def read_entry(library: Library, options: Options, report: Report) -> ArazzoDocument | None:
    """The entry document with its overlays applied; None (reported) when nothing can be made of it.

    :raises DocumentError: when it cannot be read, or an overlay cannot be applied.
    """
    apply_overlays(library, options.overlays, report)
    if report.failed:
        raise DocumentError(report.diagnostics)
    return read_arazzo(library.load(library.entry), report)
