"""What came with which version of Arazzo. A document that says an older one is read all the same."""

from __future__ import annotations

from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.fields import Fields

NEWER = {
    "the Arazzo document": ("$self",),
    "a step": ("channelPath", "timeout", "correlationId", "action", "dependsOn"),
    "a success action": ("parameters",),
    "a failure action": ("parameters",),
    "a replacement": ("targetSelectorType",),
}
"""Fields that came with Arazzo 1.1, by object."""


def warn_of_newer_fields(fields: Fields, version: str) -> None:
    """Warn of the fields of an object that the document's version does not have."""
    for name in NEWER.get(fields.kind, ()):
        if name in fields:
            warn_of_newer(f"{name!r} of {fields.kind}", fields.at / name, version, fields.report, key=True)


def warn_of_newer(what: str, at: Location, version: str, report: Report, *, key: bool = False) -> None:
    """Warn of what came with Arazzo 1.1, where the document says 1.0."""
    if version.startswith("1.0"):
        message = f"{what} came with Arazzo 1.1, and this document says {version}; it is read as in 1.1"
        report.warning("newer-version", message, at, "write arazzo: 1.1.0", key=key)
