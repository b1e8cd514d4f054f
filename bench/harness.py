"""What all measurements share: turns, medians, ratios, targets, and how they are shown.

A ratio is one of medians that were taken in the same run, in turns: round by round everyone once, and each
round begun by another, so that a busy moment of the computer does not fall on one of them alone.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from tabulate import tabulate

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = REPOSITORY / ".bench"
"""Other projects that are measured are installed here; Git ignores it."""

VERSIONS = ("airflow-arazzo", "apache-airflow", "apache-airflow-providers-http", "aiohttp", "requests")


Name = TypeVar("Name")


class Summary(TypedDict):
    """Figures of several rounds."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Target:
    """What a figure is meant to be: at most ``limit``."""

    what: str
    value: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{'✓' if self.met else '✗'} {self.what}: {number(self.value)} (at most {number(self.limit)})"


@dataclass(frozen=True)
class Table:
    """Figures beside each other.

    :param rows: a name and its figures, as many as there are columns; None where there is none.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float | None]]]

    def __str__(self) -> str:
        shown = [(name, *("" if each is None else number(each) for each in row)) for name, row in self.rows]
        align = ("left", *("right" for _ in self.columns))
        return str(
            tabulate(shown, headers=(self.title, *self.columns), colalign=align, disable_numparse=True)
        )


@dataclass
class Part:
    """What one module has measured.

    :param skipped: why there is nothing, else empty.
    """

    name: str
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""

    def __str__(self) -> str:
        """The figures for people."""
        if self.skipped:
            return f"{self.name}: skipped, {self.skipped}"
        blocks = [str(table) for table in self.tables]
        blocks += ["\n".join(str(target) for target in self.targets)] if self.targets else []
        blocks += ["\n".join(self.notes)] if self.notes else []
        return "\n\n".join(blocks)

    def as_json(self) -> dict[str, Any]:
        """The figures for programs."""
        if self.skipped:
            return {"skipped": self.skipped}
        return {
            "tables": [
                {
                    "title": table.title,
                    "rows": {name: dict(zip(table.columns, row, strict=True)) for name, row in table.rows},
                }
                for table in self.tables
            ],
            "targets": [
                {"what": each.what, "value": each.value, "limit": each.limit, "met": each.met}
                for each in self.targets
            ],
            "notes": self.notes,
        }


def in_turns(
    contenders: Mapping[Name, Callable[[], float]], rounds: int, *, warm: int = 1
) -> dict[Name, list[float]]:
    """Ask everyone for a figure, round by round, each round begun by another.

    :param contenders: what measures once and gives the figure, by name.
    :param warm: rounds before those that count.
    :return: the figures by name, one for each round that counts.
    """
    taken: dict[Name, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(-warm, rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            figure = contenders[name]()
            if turn >= 0:
                taken[name].append(figure)
    return taken


def summary(figures: Sequence[float]) -> Summary:
    """Median, least and most."""
    return {"median": statistics.median(figures), "least": min(figures), "most": max(figures)}


def compared(title: str, taken: Mapping[str, Sequence[float]], beside: str, factor: float = 1.0) -> Table:
    """Figures of everyone, and the ratio of each median to that of one of them.

    :param beside: whose median the others are divided by.
    :param factor: what figures are multiplied by, such as 1000 for seconds shown as milliseconds.
    """
    base = statistics.median(taken[beside])
    rows: list[tuple[str, Sequence[float | None]]] = []
    for name, figures in taken.items():
        found = summary(figures)
        each = [found["median"] * factor, found["least"] * factor, found["most"] * factor]
        rows.append((name, [*each, found["median"] / base]))
    return Table(title, ("median", "least", "most", f"x {beside}"), rows)


def ratio(taken: Mapping[str, Sequence[float]], of: str, to: str) -> float:
    """The ratio of two medians."""
    return statistics.median(taken[of]) / statistics.median(taken[to])


def number(value: float) -> str:
    """A figure with three digits that count, and no fewer than it has before its point."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONS},
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def show(part: Part) -> int:
    """Print one part alone; what its module does when it is run by itself."""
    print(part)
    return 0 if part.tables or part.skipped else 1


def quick() -> bool:
    """Whether the command line of a part that is run by itself asks for a short run."""
    return "--quick" in sys.argv[1:]
