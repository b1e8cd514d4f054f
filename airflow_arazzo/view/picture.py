"""A workflow as a drawing: SVG inside one HTML page, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

BOX, LEFT, LINE, GAP = 300, 130, 17, 26
"""Pixels: width of a step's box, room for arcs left of it, height of a line of text, room below a box."""

LONGEST = 90
"""Characters of a line."""

COLORS = {
    "success": "#b2f2bb",
    "failed": "#ffc9c9",
    "upstream_failed": "#ffd8a8",
    "skipped": "#f1f3f5",
    "running": "#d0ebff",
    "up_for_retry": "#ffec99",
    "up_for_reschedule": "#d0ebff",
}
"""Fill of a box by the state of its task."""


@dataclass(frozen=True)
class Drawn:
    """A step of the drawing.

    :param ways: as :func:`~airflow_arazzo.view.ways.steps_as_json` has them.
    :param state: of its task in a run; empty outside of one.
    :param told: the position that its task said would follow; None when it said nothing.
    """

    id: str
    calls: str
    ways: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    state: str = ""
    told: str | None = None


def page(title: str, steps: Sequence[Drawn]) -> str:
    """The page. Everything in it that somebody else wrote is escaped."""
    body = _svg(steps) if steps else "<p>This DAG was not made of an Arazzo workflow that can be drawn.</p>"
    return (
        "<!doctype html><html><head><meta charset='utf-8'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


_STYLE = """
body{font:13px system-ui,sans-serif;margin:16px;background:#fff;color:#212529}
text{font:13px system-ui,sans-serif}.small{font-size:12px;fill:#495057}.failed{fill:#c92a2a}
.taken{font-weight:600;fill:#1864ab}path{fill:none;stroke:#adb5bd;stroke-width:1.4}
path.failed{stroke:#e03131;stroke-dasharray:5 4;fill:none}
path.taken{stroke:#1864ab;stroke-width:2.6;fill:none}
rect{stroke:#495057;rx:6}
"""


def _svg(steps: Sequence[Drawn]) -> str:
    tops, y = [], 10
    for step in steps:
        tops.append(y)
        y += max(44, LINE * len(step.ways) + 8) + GAP
    places = {step.id: index for index, step in enumerate(steps)} | {"": len(steps)}
    tops.append(y)
    ran = {step.id for step in steps if step.state not in ("", "skipped", "none", "upstream_failed")}
    parts: list[str] = []
    for index, step in enumerate(steps):
        parts.append(_box(step, tops[index]))
        taken = [way for way in step.ways if _is_taken(step, way, ran)]
        for line, way in enumerate(step.ways):
            failed = "failed" if way.get("failed") else ""
            mark = "taken" if way in taken else failed
            # Where several ways lead to the same step, nobody knows which of them it was.
            kind = f"small {mark if len(taken) == 1 else failed}".strip()
            at = tops[index] + 16 + LINE * line
            before = "otherwise " if line and not failed and not way.get("when") else ""
            parts.append(_text(LEFT + BOX + 16, at, before + _described(way), kind))
            target = places.get(str(way.get("to", "")))
            if target is not None and "retry" not in way and "workflow" not in way:
                parts.append(_arc(index, target, tops, mark))
    parts.append(f"<rect x='{LEFT}' y='{y}' width='60' height='26' fill='#f8f9fa'/>")
    parts.append(_text(LEFT + 18, y + 17, "end", ""))
    width, height = LEFT + BOX + 640, y + 40
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'>"
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='9' markerHeight='9' "
        "markerUnits='userSpaceOnUse' orient='auto'>"
        "<polygon points='0,0 8,4 0,8' fill='#868e96'/></marker></defs>"
        f"{''.join(parts)}</svg>"
    )


def _is_taken(step: Drawn, way: Mapping[str, Any], ran: set[str]) -> bool:
    """Whether a run went this way, as far as its tasks tell; inside a loop they do not."""
    if step.state != "success" or "retry" in way or "workflow" in way:
        return False
    to = str(way.get("to", ""))
    if step.told is not None:
        return step.told == to
    return len({str(each.get("to", "")) for each in step.ways if "retry" not in each}) == 1 and (
        not to or to in ran
    )


def _box(step: Drawn, top: int) -> str:
    color = COLORS.get(step.state, "#f8f9fa")
    name = step.id + (f"  ({step.state})" if step.state else "")
    return (
        f"<rect x='{LEFT}' y='{top}' width='{BOX}' height='44' fill='{color}'>"
        f"<title>{escape(step.id)}</title></rect>"
        + _text(LEFT + 10, top + 18, name, "", 42)
        + _text(LEFT + 10, top + 35, step.calls, "small", 40)
    )


def _text(x: int, y: int, text: str, kind: str, longest: int = LONGEST) -> str:
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return f"<text x='{x}' y='{y}' class='{kind}'><title>{escape(text)}</title>{escape(shown)}</text>"


def _arc(start: int, target: int, tops: Sequence[int], mark: str) -> str:
    """An arrow between two boxes: straight down to the next one, else a bow at the left."""
    if target == start + 1:
        x = LEFT + 30
        line = f"M{x} {tops[start] + 44} L{x} {tops[target] - 2}"
    else:
        bow = min(LEFT - 12, 26 + 14 * abs(target - start))
        begin, stop = tops[start] + 26, tops[target] + (14 if target != start else 8)
        line = f"M{LEFT} {begin} C{LEFT - bow} {begin} {LEFT - bow} {stop} {LEFT - 2} {stop}"
    return f"<path class='{mark}' d='{line}' marker-end='url(#tip)'/>"


def _described(way: Mapping[str, Any]) -> str:
    """A way in words."""
    if "retry" in way:
        what = f"retry, at most {way['retry']}"
    elif "workflow" in way:
        what = f"go to workflow {way['workflow']}"
    else:
        what = f"→ {way['to']}" if way.get("to") else "→ end"
    before = "failed: " if way.get("failed") else ""
    when = f" if {way['when']}" if way.get("when") else ""
    return f"{before}{what}{when}"
