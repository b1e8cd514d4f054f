"""``explain``: print what a workflow does, for people who have not written it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from tabulate import tabulate

from airflow_arazzo.cli.arguments import options_of
from airflow_arazzo.cli.drawing import ascii_drawing, draw
from airflow_arazzo.cli.output import EXIT_OK, BadArgument, say, say_json
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.plan.compiler import compile_document, compile_workflow
from airflow_arazzo.plan.diagram import mermaid
from airflow_arazzo.plan.explanation import (
    Explanation,
    InputFact,
    SourceFact,
    StepFact,
    WorkflowFact,
    explain,
)
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.plan.outline import Way, one_line

_WIDTHS = {"step": 28, "calls": 44, "after": 24, "may go to": 22, "retries": 22, "credentials": 44}
_CONTENT = 60
_ONCE_ONLY = (
    "Once only: nothing says that the service recognises a repeated request. While nobody knows whether it",
    "took effect, it is not sent again, and a person decides. If the service honours a key, say so:",
    "x-idempotency in the document, or idempotency= in the DAG file.",
)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def explain_command(arguments: argparse.Namespace) -> int:
    """Run the command: all workflows of a document, or one.

    :raises DocumentError: when the document does not compile.
    :raises BadArgument: for a diagram of several workflows.
    """
    plans = plans_of(arguments)
    if arguments.format == "mermaid":
        if len(plans) > 1:
            known = ", ".join(plan.workflow for plan in plans)
            raise BadArgument(f"--format mermaid draws one workflow; choose it with --workflow: {known}")
        _say_drawn(mermaid(plans[0]).rstrip("\n"))
        return EXIT_OK
    explained = [explain(plan) for plan in plans]
    if arguments.format == "json":
        say_json(msgspec.json.format(_ENCODER.encode(explained), indent=2).decode())
        return EXIT_OK
    for number, each in enumerate(explained):
        _say_drawn(("\n\n" if number else "") + "\n".join(_lines(each)))
    return EXIT_OK


def plans_of(arguments: argparse.Namespace) -> list[Plan]:
    """Plans of the workflow that was asked for, or of all of a document.

    :raises DocumentError: when the document, or the one workflow, does not compile.
    """
    path, options = Path(arguments.path), options_of(arguments)
    if arguments.workflow:
        return [compile_workflow(path, arguments.workflow, options)[0]]
    compilation = compile_document(path, options)
    if compilation.failed:
        raise DocumentError(compilation.diagnostics)
    return list(compilation.plans.values())


def _say_drawn(text: str) -> None:
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    say(text if unicode else ascii_drawing(text))


def _lines(explained: Explanation) -> Iterator[str]:
    """An explanation as text."""
    for number, workflow in enumerate(explained.workflows):
        yield from ["", ""] if number else []
        yield from _workflow(workflow)
    yield from _section("Connections", _connections(explained.sources))
    if any(step.repetition == "once" for w in explained.workflows for step in w.steps):
        yield ""
        yield from _ONCE_ONLY


def _workflow(workflow: WorkflowFact) -> Iterator[str]:
    yield one_line(f"{workflow.workflow}: {workflow.summary}" if workflow.summary else workflow.workflow)
    if workflow.depends_on:
        yield f"runs after workflow {', '.join(map(one_line, workflow.depends_on))}"
    yield ""
    yield from draw(workflow)
    yield from _section("Steps", _steps(workflow.steps))
    yield from _section("Inputs", _inputs(workflow.inputs))
    taken = [
        [step.step, each.into, each.expression + (" (secret)" if each.secret else "")]
        for step in workflow.steps
        for each in step.takes
    ]
    yield from _section(
        "What steps take", _table(["step", "for", "value"], _once(taken), {"value": _CONTENT})
    )
    outputs = [[name, ", ".join(origins) or "fixed"] for name, origins in workflow.outputs.items()]
    yield from _section("Outputs", _table(["output", "value"], outputs, {"value": _CONTENT}))


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ["", title, *lines]


def _steps(steps: Sequence[StepFact]) -> list[str]:
    rows = [
        [
            step.step,
            f"{step.method} {step.path}" if step.method else f"workflow {step.workflow}",
            ", ".join(step.after) if step.reached else "(nothing leads here)",
            ", ".join(dict.fromkeys(filter(None, map(_target, step.ways)))),
            "; ".join(_retry(way) for way in step.ways if way.type == "retry"),
            _credentials(step),
            _again(step),
        ]
        for step in steps
    ]
    return _table(["step", "calls", "after", "may go to", "retries", "credentials", "sent again"], rows)


def _target(way: Way) -> str:
    """Where an action may lead; empty for a retry and for what merely comes next."""
    if way.type == "goto":
        return way.step or f"workflow {way.workflow}"
    if way.type == "end":
        return "end" if way.on == "success" else "failed"
    return ""


def _retry(way: Way) -> str:
    first = way.step or (f"workflow {way.workflow}" if way.workflow else "")
    return f"≤ {way.limit}" + (f", after {way.after} s" if way.after else "") + (first and f", {first} first")


def _credentials(step: StepFact) -> str:
    """The connection and the schemes whose credentials it holds."""
    if not any(step.credentials):
        return ""
    return f"{step.source}: " + " or ".join(" + ".join(names) or "none" for names in step.credentials)


def _again(step: StepFact) -> str:
    if step.idempotency is not None and step.idempotency.name:
        place = "header" if step.idempotency.place == "header" else "body field"
        return f"by {place} {step.idempotency.name}, for {_hours(step.idempotency.lifetime)}"
    return {"safe": "yes, reads only", "repeatable": "yes", "once": "no, once only"}.get(
        step.repetition or "", ""
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"


def _inputs(inputs: Sequence[InputFact]) -> list[str]:
    rows = [[each.name, each.type, _origin(each), each.description] for each in inputs]
    return _table(["input", "type", "value", ""], rows, {"value": _CONTENT, "": _CONTENT})


def _origin(given: InputFact) -> str:
    if given.origin == "default":
        return f"default {_ENCODER.encode(given.default).decode()}"
    if given.origin == "credential":
        return f"from connection {given.source}, {given.scheme}"
    if given.origin == "secret":
        return f"from connection {given.source}, extra secrets.{given.name}"
    return given.origin


def _connections(sources: Sequence[SourceFact]) -> list[str]:
    rows = [
        [
            source.source,
            ", ".join(source.servers) or "(its description names no host)",
            "; ".join(f"{name}: {text}" for name, text in source.schemes.items()),
        ]
        for source in sources
    ]
    return _table(["connection", "host", "credentials"], rows, {"host": _CONTENT, "credentials": _CONTENT})


def _once(rows: Sequence[list[str]]) -> list[list[str]]:
    """Rows whose first cell is empty where it is that of the row before."""
    before = [""] + [row[0] for row in rows]
    return [["" if row[0] == last else row[0], *row[1:]] for row, last in zip(rows, before, strict=False)]


def _table(head: list[str], rows: Sequence[list[str]], widths: dict[str, int] | None = None) -> list[str]:
    """A table without the columns in which nothing stands; no lines where there are no rows."""
    if not rows:
        return []
    kept = [at for at in range(len(head)) if any(row[at] for row in rows)]
    table = tabulate(
        [[one_line(row[at]) for at in kept] for row in rows],
        headers=[head[at] for at in kept],
        tablefmt="simple",
        disable_numparse=True,
        maxcolwidths=[(widths or _WIDTHS).get(head[at]) for at in kept],
    )
    return [line.rstrip() for line in table.splitlines()]
