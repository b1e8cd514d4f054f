"""A workflow drawn for a terminal: a line from step to step, and jumps beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_arazzo.plan.diagram import way_text
from airflow_arazzo.plan.explanation import StepFact, WorkflowFact
from airflow_arazzo.plan.outline import Way, one_line

LONGEST = 100
"""Characters of the text beside the line."""

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = dict(
    zip(
        range(16),
        (" ", "│", "│", "│", "─", "╯", "╮", "┤", "─", "╰", "╭", "├", "─", "┴", "┬", "┼"),
        strict=True,
    )
)
_ASCII = str.maketrans(
    {
        **dict.fromkeys("╯╮┤╰╭├┴┬┼", "+"),
        **{"│": "|", "─": "-", "▶": ">", "●": "*", "○": "o", "■": "#", "✗": "x", "↻": "@"},
        **{"≤": "<=", "…": "...", "←": "<-"},
    }
)


@dataclass
class _Row:
    """A row of the drawing.

    :param lines: where the line through the steps goes from here.
    :param mark: stands in place of the line.
    """

    text: str = ""
    lines: int = 0
    mark: str = ""


@dataclass
class _Lane:
    """Jumps to one step: the rows where they begin, and the row of that step."""

    target: int
    sources: list[int] = field(default_factory=list)

    @property
    def rows(self) -> range:
        """All rows that it passes."""
        return range(min([self.target, *self.sources]), max([self.target, *self.sources]) + 1)


def draw(workflow: WorkflowFact) -> list[str]:
    """The lines of a drawing.

    A dot is a step, a square the end. What branches off says when. Where nothing branches off for a failure,
    it ends the run.
    """
    rows: list[_Row] = []
    step_rows: dict[str, int] = {}
    jumps: list[tuple[int, str]] = []
    width = max((len(one_line(step.step)) for step in workflow.steps), default=0)
    for step in workflow.steps:
        step_rows[step.step] = len(rows)
        goes_on = any(way.type == "next" for way in step.ways)
        branches = [way for way in step.ways if way.type != "next"]
        below = _DOWN if goes_on or branches else 0
        rows.append(_Row(_shortened(_title(step, width)), below, "●" if step.reached else "○"))
        for number, way in enumerate(branches, 1):
            if way.type == "goto" and way.step:
                jumps.append((len(rows), way.step))
            down = _DOWN if goes_on or number < len(branches) else 0
            rows.append(_Row(_shortened(_branch(way)), _UP | _RIGHT | down))
        if goes_on:
            rows.append(_Row(lines=_UP | _DOWN))
        elif step is not workflow.steps[-1]:
            rows.append(_Row())
    if any(way.type == "next" for step in workflow.steps[-1:] for way in step.ways):
        rows.append(_Row("end", mark="■"))
    return _painted(rows, _lanes(jumps, step_rows))


def ascii_drawing(text: str) -> str:
    """The same with characters that every terminal has."""
    return text.translate(_ASCII)


def _title(step: StepFact, width: int) -> str:
    called = f"{step.method} {step.path}" if step.method else f"workflow {step.workflow}"
    never = "" if step.reached else "  (nothing leads to this step)"
    return f"{one_line(step.step):{width}}  {one_line(called)}{never}"


def _branch(way: Way) -> str:
    when = f" if {' and '.join(way.when)}" if way.when else ""
    if way.type == "retry":
        first = f", {way.step or f'workflow {way.workflow}'} first" if way.step or way.workflow else ""
        return "on failure ↻ " + way_text(way).replace(", this first", first, 1)
    if way.type == "end":
        return f"on failure ✗ failed{when}" if way.on == "failure" else f"■ end{when}"
    target = way.step or f"workflow {way.workflow}"
    return f"{'on failure ' if way.on == 'failure' else ''}to {target}{when}"


def _shortened(text: str) -> str:
    line = one_line(text) if "  " not in text else text
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _lanes(jumps: Sequence[tuple[int, str]], step_rows: dict[str, int]) -> list[list[_Lane]]:
    """Columns of lanes, from the line outwards; lanes that share no row share a column."""
    by_target: dict[str, _Lane] = {}
    for row, step in jumps:
        if step in step_rows:
            by_target.setdefault(step, _Lane(step_rows[step])).sources.append(row)
    columns: list[list[_Lane]] = []
    for lane in sorted(by_target.values(), key=lambda each: len(each.rows)):
        for column in columns:
            if not any(set(lane.rows) & set(other.rows) for other in column):
                column.append(lane)
                break
        else:
            columns.append([lane])
    return columns


def _painted(rows: Sequence[_Row], columns: Sequence[Sequence[_Lane]]) -> list[str]:
    spine = 2 * len(columns)
    cells = [[0] * spine + [row.lines] for row in rows]
    marks = {(index, spine): row.mark for index, row in enumerate(rows) if row.mark}
    for number, column in enumerate(columns):
        at = spine - 2 * (number + 1)
        for lane in column:
            first, last = lane.rows[0], lane.rows[-1]
            for index in lane.rows:
                cells[index][at] |= (_UP if index > first else 0) | (_DOWN if index < last else 0)
            for index in (*lane.sources, lane.target):
                cells[index][at] |= _RIGHT
                for between in range(at + 1, spine):
                    cells[index][between] |= _LEFT | _RIGHT
                cells[index][spine] |= _LEFT
            marks[lane.target, spine - 1] = "▶"
    painted = []
    for index, row in enumerate(rows):
        line = "".join(marks.get((index, at)) or _LINES[bits] for at, bits in enumerate(cells[index]))
        joint = "─ " if row.lines & _RIGHT else " "
        painted.append((line + (joint + row.text if row.text else "")).rstrip())
    return painted
