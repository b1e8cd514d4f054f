"""The DAG file that ``init`` writes. It repeats nothing that documents say; what they leave out is a hint."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from airflow_arazzo.cli.connections import connection_id
from airflow_arazzo.plan.model import OperationCall, Plan
from airflow_arazzo.plan.options import Options
from airflow_arazzo.plan.outline import one_line, repetition

LONGEST = 110
"""Characters of a line, where it can be broken."""


@dataclass(frozen=True)
class Stub:
    """What a DAG file is written for.

    :param document: the Arazzo document.
    :param plans: of its workflows, or of the chosen one.
    :param workflow: the chosen one's id; empty for all.
    :param options: how the document is compiled.
    :param schedule: cron text or preset; empty for none.
    :param today: the day from which a schedule counts.
    :param folder: where the file will be.
    """

    document: Path
    plans: Sequence[Plan]
    workflow: str
    options: Options
    schedule: str
    today: date
    folder: Path

    def text(self) -> str:
        """The file."""
        single = bool(self.workflow or self.schedule)
        function = "ArazzoDag" if single else "arazzo_dags"
        imports = [f"from airflow_arazzo import {function}"]
        imports += ["from pendulum import datetime"] if self.schedule else []
        arguments = list(self._arguments())
        head = [quoted(_relative(self.document, self.folder)) + ","]
        head += [quoted(self.workflow) + ","] if self.workflow else []
        call = [f"{function}({' '.join(head).rstrip(',')})"]
        if arguments or len(call[0]) > LONGEST:
            call = [f"{function}(", *(f"    {line}".rstrip() for line in (*head, *arguments)), ")"]
        return "\n".join([self._docstring(), "", *imports, "", *call]) + "\n"

    def variables(self) -> list[str]:
        """Airflow variables that the file's templates read."""
        return [_variable(name) for name, _ in self._required()] if self.schedule else []

    def _docstring(self) -> str:
        name = one_line(_relative(self.document, self.folder)).replace("\\", "/").replace('"', "'")
        several = len(self.plans) > 1
        what = f"Workflow {one_line(self.workflow)}" if self.workflow else f"The DAG{'s' if several else ''}"
        what = what.replace("\\", "/").replace('"', "'")
        return f'"""{what} of ``{name}``."""'

    def _arguments(self) -> Iterator[str]:
        base = self.document.parent
        if self.schedule:
            yield f"schedule={quoted(self.schedule)},"
            yield "# Periods are counted in this time zone, and none before this day is billed."
            day = self.today
            yield f'start_date=datetime({day.year}, {day.month}, {day.day}, tz="UTC"),'
            yield from self._inputs()
        renamed = {name: connection_id(name) for plan in self.plans for name in plan.sources}
        yield from _mapping("connections", {a: b for a, b in renamed.items() if a != b})
        yield from _mapping("sources", {n: _relative(f, base) for n, f in self.options.sources.items()})
        for argument, files, start in (
            ("source_path", self.options.source_path, base),
            ("overlays", self.options.overlays, self.folder),
        ):
            if files:
                yield f"{argument}=[{', '.join(quoted(_relative(file, start)) for file in files)}],"
        if self.options.strict:
            yield "strict=True,"
        yield from self._idempotency()

    def _required(self) -> list[tuple[str, Any]]:
        schema = self.plans[0].root.inputs
        properties = schema.get("properties") or {}
        return [
            (name, properties.get(name))
            for name in schema.get("required") or ()
            if "default" not in (properties.get(name) or {})
        ]

    def _inputs(self) -> Iterator[str]:
        """Inputs of a scheduled run, for which nobody is asked; optional ones as a comment."""
        properties = self.plans[0].root.inputs.get("properties") or {}
        required = dict(self._required())
        if not properties and not required:
            return
        yield "# Values of each run: templates, cast to the types of the document. They know the period"
        yield "# that a run is for: {{ period.start_ms }}, {{ period.end_ms }}, {{ period.id }}."
        mark = "" if required else "# "
        yield f"{mark}inputs={{"
        for name, schema in {**required, **properties}.items():
            comment = _type(schema) or "any type"
            before = "    " if name in required else f"{mark}    " if mark else "    # "
            optional = "" if name in required else ", optional"
            template = "{{ var.value." + _variable(name) + " }}"
            yield f"{before}{quoted(name)}: {quoted(template)},  # {comment}{optional}"
        yield f"{mark}}},"

    def _idempotency(self) -> Iterator[str]:
        """A hint for what is sent once only. Nothing is claimed that no document says."""
        once = {
            f"{call.source}.{call.operation}": call
            for plan in self.plans
            for workflow in plan.workflows.values()
            for step in workflow.steps
            if isinstance(call := step.call, OperationCall) and repetition(call) == "once"
        }
        if not once:
            return
        yield "# Sent once only, since nothing says that the service recognises a repeated request:"
        for call in once.values():
            yield f"#   {one_line(f'{call.method} {call.path}')}"
        yield '# If it does, say by which header, or by which field of the JSON body: {"body": …}.'
        yield "# idempotency={"
        for name in once:
            yield f'#     {quoted(name)}: {{"header": "<name of the header>"}},'
        yield "# },"


def quoted(text: str) -> str:
    """A text as a Python literal, in ASCII where it could not be read otherwise."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _mapping(argument: str, values: dict[str, str]) -> Iterator[str]:
    if values:
        inner = ", ".join(f"{quoted(name)}: {quoted(value)}" for name, value in values.items())
        yield f"{argument}={{{inner}}},"


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()


def _variable(name: str) -> str:
    """The name of the Airflow variable for an input: one that a template can have after a dot."""
    text = re.sub(r"[^A-Za-z0-9_]+", "_", name) or "input"
    return f"_{text}" if text[0].isdigit() else text


def _type(schema: Any) -> str:
    kind = schema.get("type", "") if isinstance(schema, dict) else ""
    return one_line(kind if isinstance(kind, str) else " or ".join(map(str, kind)))
