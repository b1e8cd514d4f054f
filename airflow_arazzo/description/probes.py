"""The argument ``probes``: lookups that a deployment names, in Arazzo's own terms.

It is read like a document, so what is wrong with it is a diagnostic whose place is the way into the argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from airflow_arazzo.description.arazzo import ProbeObject
from airflow_arazzo.description.arazzo_reader import read_probe
from airflow_arazzo.description.diagnostics import Diagnostic, DocumentError, Position, Severity
from airflow_arazzo.description.documents import Document, Pointer, Report, parse_document

ARGUMENT = "probes"


@dataclass(frozen=True, eq=False)
class _Argument(Document):
    """An argument as a document: places in it are ways into the argument, not lines of a file."""

    def position(self, pointer: Pointer, *, key: bool = False, offset: int | None = None) -> Position:
        way = "".join(f"[{token!r}]" for token in pointer)
        return Position(f"{self.name}{way}", 1, 1 + (offset or 0))


def read_probes(given: Mapping[str, Any], report: Report) -> dict[str, ProbeObject]:
    """Read the argument; findings go into ``report``.

    :param given: by step: an object with ``operationId`` or ``operationPath``, ``parameters``, ``happened``
        and ``not_happened`` (lists of Criterion Objects, or of texts for simple conditions), ``wait`` in
        seconds and ``response``.
    :raises DocumentError: for a value that JSON cannot hold.
    """
    try:
        text = json.dumps({name: _whole(probe) for name, probe in given.items()})
    except (TypeError, ValueError) as error:
        problem = f"{ARGUMENT} must be made of what JSON can hold: {error}"
        place = Position(ARGUMENT, 1, 1)
        raise DocumentError([Diagnostic("wrong-type", Severity.ERROR, problem, place)]) from None
    parsed = parse_document(text.encode(), Path(f"{ARGUMENT}.json"), ARGUMENT)
    document = _Argument(**{each.name: getattr(parsed, each.name) for each in fields(parsed)})
    found = {name: read_probe(at, name, report) for name, at in document.root.members()}
    return {name: probe for name, probe in found.items() if probe is not None}


def _whole(probe: Any) -> Any:
    """A probe whose conditions are Criterion Objects."""
    if not isinstance(probe, Mapping):
        return probe
    whole = dict(probe)
    for name in ("happened", "not_happened"):
        if isinstance(whole.get(name), list | tuple):
            whole[name] = [{"condition": each} if isinstance(each, str) else each for each in whole[name]]
    return whole
