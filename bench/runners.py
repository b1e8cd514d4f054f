"""``python -m bench.runners``: the engine beside other ways to make the same three calls.

One workflow (``provision-customer-billing``), by this project, by arazzo-runner, and by loops that know the
calls already. Each contender is a process of its own, and they take turns:

- *alone*: without a network, from the inputs of a run to its outputs. What sends is replaced by something
  that answers at once: the session of arazzo-runner, and our transport. *To the socket*: with our transport
  too, up to the bytes that leave; *all checks*: and with all that ours checks before it sends anything;
- *raw* and *sandbox*: over the loopback interface, to a server that does nothing but answer, and to the
  sandbox, which keeps books; the time that passes, and what of it the contender's own processor time is;
- *flat*: the first runs of many on one engine against the last.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial

from bench.batch import raw_server
from bench.contender import Contender, ContenderFailed
from bench.engine import sandbox
from bench.harness import REPOSITORY, Part, Table, Target, compared, in_turns, quick, ratio, show
from bench.peers import ARAZZO_RUNNER, CannotInstall, arazzo_runner

OURS, THEIRS = "airflow-arazzo", f"arazzo-runner {ARAZZO_RUNNER}"
RUNS = {OURS: 10_000, THEIRS: 500}
"""Runs of the measurement of flatness. Theirs are bounded, because they get slower and slower."""


def measure(short: bool = False) -> Part:
    """All figures."""
    part = Part("runners")
    rounds, runs = (5, 20) if short else (15, 30)
    with ExitStack() as stack:
        ours = _start(stack, sys.executable, "ours")
        by_hand = _start(stack, sys.executable, "by_hand")
        theirs: Contender | None = None
        try:
            theirs = _start(stack, str(arazzo_runner()), "jentic")
        except CannotInstall as error:
            part.notes.append(f"{THEIRS}: skipped, {error}")
        _alone(part, ours, theirs, rounds, runs)
        for name, server in (("raw", raw_server), ("sandbox", sandbox)):
            with server() as url:
                for processor in (False, True):
                    _over_http(part, name, url, (ours, by_hand, theirs), rounds, runs, processor)
        _flat(part, ours, theirs, 10 if short else 1)
    return part


def _start(stack: ExitStack, python: str, name: str) -> Contender:
    command = [python, "-m", f"bench.contenders.{name}"]
    return stack.enter_context(Contender(command, REPOSITORY))


def _alone(part: Part, ours: Contender, theirs: Contender | None, rounds: int, runs: int) -> None:
    contenders = {
        OURS: partial(ours.ask, "alone", times=runs),
        f"{OURS}, to the socket": partial(ours.ask, "wire", times=runs),
        f"{OURS}, with all checks": partial(ours.ask, "wire", times=runs, checks=True),
    }
    if theirs is not None:
        contenders[THEIRS] = partial(theirs.ask, "alone", times=runs)
    taken = in_turns(contenders, rounds)
    beside = THEIRS if theirs is not None else OURS
    part.tables.append(compared("engine alone, processor's ms per step", taken, beside))
    if theirs is not None:
        part.targets.append(Target("engine alone / arazzo-runner", ratio(taken, OURS, THEIRS), 1 / 3))


def _over_http(
    part: Part,
    server: str,
    url: str,
    contenders: tuple[Contender, Contender, Contender | None],
    rounds: int,
    runs: int,
    processor: bool,
) -> None:
    ours, by_hand, theirs = contenders
    how = {"url": url, "times": runs, "processor": processor}
    asked = {
        OURS: partial(ours.ask, "http", **how),
        "aiohttp": partial(by_hand.ask, "aiohttp", **how),
        "requests": partial(by_hand.ask, "requests", **how),
    }
    if theirs is not None:
        asked[THEIRS] = partial(theirs.ask, "http", **how)
    taken = in_turns(asked, rounds)
    what = "processor's ms" if processor else "ms"
    part.tables.append(compared(f"over HTTP, {server} server, {what} per step", taken, "aiohttp"))
    part.targets.append(
        Target(f"over HTTP, {server} server, {what} / aiohttp", ratio(taken, OURS, "aiohttp"), 1.15)
    )


def _flat(part: Part, ours: Contender, theirs: Contender | None, divided: int) -> None:
    """First and last tenth of many runs."""
    rows: list[tuple[str, list[float | None]]] = []
    for name, contender in ((OURS, ours), (THEIRS, theirs)):
        if contender is None:
            continue
        runs = RUNS[name] // divided
        first, last = contender.ask("flat", times=runs, part=runs // 10)
        rows.append((f"{name}, {runs:,} runs", [first, last, last / first]))
        if name == OURS:
            part.targets.append(Target("last tenth of the runs / first tenth", last / first, 1.15))
    part.tables.append(
        Table("as runs go by, processor's ms per step", ("first tenth", "last tenth", "last / first"), rows)
    )


if __name__ == "__main__":
    try:
        sys.exit(show(measure(quick())))
    except ContenderFailed as failed:
        sys.exit(str(failed))
