"""A plan as a Mermaid flowchart, which GitHub and mkdocs-material render.

Ids of nodes are our own, and every text of the document is a quoted label in which all that Mermaid or its
Markdown could read as more than text is written as a character reference: no document can add to, break or
restyle the drawing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from airflow_arazzo.plan.flow import StepGraph
from airflow_arazzo.plan.model import OperationCall, Plan, Step, Workflow, WorkflowCall
from airflow_arazzo.plan.outline import Way, one_line, repetition, repetition_text, ways_on

LONGEST = 90
"""Characters of a line in a label."""

_PLAIN = re.compile(
    r"""[\w \-/.,=!?'(){}] # what means itself, but
        |\$(?!\$)          # not two in a row, which begin a formula""",
    re.VERBOSE,
)
_LEADING = re.compile(r"(?P<number>\d+)(?=[.)])|-")
_EDGE_OF_WORD = re.compile(r"(?<![^\W_])_|_(?![^\W_])")


def mermaid(plan: Plan) -> str:
    """The plan's workflow, and each that it calls or jumps to, as a Mermaid flowchart.

    Solid arrows lead on from success, dotted ones from failure. A failure from which no arrow leads on ends
    the run. Steps that change something say whether they may be sent twice.

    :return: lines that begin with ``flowchart``, without a fence, and end in a line break.
    """
    workflows = {plan.workflow: plan.root, **plan.workflows}
    names = {key: f"w{number}" for number, key in enumerate(workflows)}
    lines = ["flowchart TD"]
    for key, workflow in workflows.items():
        inner = list(_workflow(workflow, names[key]))
        if key == plan.workflow:
            lines += inner
        else:
            lines.append(f'  subgraph {names[key]} ["{label(f"workflow {key}")}"]')
            lines += [f"  {line}" for line in inner]
            lines.append("  end")
    for key, workflow in workflows.items():
        lines += _between(workflow, names[key], names)
    return "\n".join(lines) + "\n"


def label(text: str) -> str:
    """A text as one line of a quoted label.

    >>> label('say "#1" to <b>')
    'say #34;#35;1#34; to #60;b#62;'
    """
    line = one_line(text)
    line = line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
    edges = {match.start() for match in _EDGE_OF_WORD.finditer(line)}
    leading = _LEADING.match(line)
    if leading is not None:  # a list to Markdown
        edges.add(leading.end() if leading["number"] else 0)
    edges |= {match.end() for match in re.finditer("www", line, re.IGNORECASE)}  # a link
    return "".join(
        character if index not in edges and _is_plain(line, index) else f"#{ord(character)};"
        for index, character in enumerate(line)
    )


def _is_plain(line: str, index: int) -> bool:
    character = line[index]
    if character == "$" and index and line[index - 1] == "$":
        return False
    return character in "…≤" or _PLAIN.match(line, index) is not None


def _node(name: str, step: Step) -> str:
    """A step; one that calls a workflow has a border of two lines."""
    call = step.call
    if isinstance(call, WorkflowCall):
        return f'  {name}[["{label(step.id)}<br/>{label(f"workflow {call.workflow}")}"]]'
    lines = [label(step.id), label(f"{call.method} {call.path}")]
    if repetition(call) != "safe":
        lines.append(label(repetition_text(call)))
    return f'  {name}["{"<br/>".join(lines)}"]'


def _workflow(workflow: Workflow, prefix: str) -> Iterator[str]:
    """Nodes of a workflow, and the arrows that stay in it."""
    names = _step_names(workflow, prefix)
    running = StepGraph.of(workflow.steps).running
    ways = [(step, way) for step in workflow.steps for way in ways_on(workflow, step)]
    yield f'  {prefix}start(["{label(workflow.id)}"])'
    for step in workflow.steps:
        yield _node(names[step.id], step)
    for on, text in (("success", "end"), ("failure", "failed")):
        if any(_is_end(way) and way.on == on for _, way in ways):
            yield f'  {prefix}{on}(["{text}"])'
    for step in workflow.steps[:1]:
        yield f"  {prefix}start --> {names[step.id]}"
    for step, way in ways:
        if way.workflow or (way.type == "next" and step.id not in running):
            continue
        target = f"{prefix}{way.on}" if _is_end(way) else names.get(way.step or step.id)
        if target:
            yield _arrow(names[step.id], way, target)


def _is_end(way: Way) -> bool:
    return way.type == "end" or (way.type == "next" and not way.step)


def _step_names(workflow: Workflow, prefix: str) -> dict[str, str]:
    return {step.id: f"{prefix}s{number}" for number, step in enumerate(workflow.steps, 1)}


def _between(workflow: Workflow, prefix: str, names: Mapping[str, str]) -> Iterator[str]:
    """Arrows that lead from a workflow to others, and to it from those that run before."""
    own = _step_names(workflow, prefix)
    for key in workflow.depends_on:
        if key in names:
            yield f'  {prefix}start -->|"runs first"| {names[key]}start'
    for step in workflow.steps:
        if not isinstance(step.call, OperationCall) and step.call.workflow in names:
            yield f'  {own[step.id]} ==>|"calls"| {names[step.call.workflow]}start'
        for way in ways_on(workflow, step):
            if way.workflow in names:
                yield _arrow(own[step.id], way, f"{names[way.workflow]}start")


def _arrow(start: str, way: Way, target: str) -> str:
    line = "-->" if way.on == "success" else "-.->"
    text = way_text(way)
    return f'  {start} {line}|"{label(text)}"| {target}' if text else f"  {start} {line} {target}"


def way_text(way: Way) -> str:
    """What stands at an arrow: what is repeated how often, and under which criteria; nothing for the rule."""
    words = ""
    if way.type == "retry":
        words = f"retry ≤ {way.limit}" + (f", after {way.after} s" if way.after else "")
        words += ", this first" if way.step or way.workflow else ""
    when = " and ".join(way.when)
    return f"{words} if {when}" if words and when else words or when
