"""The death of a worker that is sending: it and all below it end at once, in the middle of a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from airflow_arazzo.ledger.model import Entry, Outcome
from airflow_arazzo.ledger.store import Store
from cluster.cuts import tasks_of
from cluster.local import Cluster

MIDDLE = (0.25, 0.75)
"""Between which shares of a batch's effects a worker has to die."""

PAUSE = 4.0
"""Seconds between a worker's death and the start of another in its place."""

MOST_OPEN = 100_000
"""Intents that are read at once."""


class NotInTheMiddle(Exception):
    """The worker did not die, or died at another moment than it was to; what was shown is something else."""


@dataclass(frozen=True)
class Death:
    """What a worker's death left behind.

    :param share: of the batch's effects that the service had when the worker was dead, from 0 to 1.
    :param processes: how many ended, the worker's own included.
    :param sending: how many of those were tasks with a connection to the service.
    :param left: effects whose request was under way: what the ledger has are intents that get no outcome.
    """

    instance: str
    share: float
    processes: int
    sending: int
    left: tuple[Entry, ...]

    @property
    def keyed(self) -> int:
        """How many of those may be sent again, with their key."""
        return sum(bool(entry.description.protection) for entry in self.left)


class Reaper:
    """Lets workers die, and starts others in their place.

    :param service: address of what the tasks send to.
    :param share: how much of the batch's effects the service has now, from 0 to 1.
    """

    def __init__(self, cluster: Cluster, service: str, share: Callable[[], float]) -> None:
        self._cluster = cluster
        self._port = urlsplit(service).port
        self._share = share
        self.deaths: list[Death] = []

    @property
    def left(self) -> set[str]:
        """Keys of the effects that all deaths so far have left."""
        return {entry.key for death in self.deaths for entry in death.left}

    def kill(self, least: float, *, seconds: float = 600) -> Death:
        """Kill the worker that has most tasks at sending, once the service has enough of the batch.

        :param least: the share of effects to wait for.
        :param seconds: how long to wait for it.
        :raises NotInTheMiddle: when it was too late, or nothing was under way.
        """
        instance, sending = self._wait(least, seconds)
        processes = self._cluster.kill(instance)
        share = self._share()
        left = self._no_longer_written()
        self._cluster.revive(instance)
        self.deaths.append(Death(instance, share, processes, sending, left))
        if share > MIDDLE[1]:
            raise NotInTheMiddle(_too_late(share))
        if not left:
            raise NotInTheMiddle(f"{instance} had no request under way when it was killed")
        return self.deaths[-1]

    def _wait(self, least: float, seconds: float) -> tuple[str, int]:
        """Wait until there is a worker to kill: which, and how many of its tasks are sending."""
        deadline = time.monotonic() + seconds
        while True:
            share = self._share()
            if share > MIDDLE[1]:
                raise NotInTheMiddle(_too_late(share))
            if share >= least:
                killed = [death.instance for death in self.deaths]
                workers = self._cluster.instances("worker")
                busy = {name: self._sending(name) for name in workers}
                instance = max(workers, key=lambda name: (busy[name], -killed.count(name)))
                if sending := busy[instance]:
                    return instance, sending
            if time.monotonic() > deadline:
                raise NotInTheMiddle(
                    f"no worker was killed: the service had {share:.0%} of the effects after {seconds:g} s"
                )
            time.sleep(0.05)

    def _sending(self, instance: str) -> int:
        return sum(_is_connected(task, self._port) for task in tasks_of(self._cluster, instance))

    def _no_longer_written(self) -> tuple[Entry, ...]:
        """Intents that the dead worker has left: those of the others get their outcome in the meantime."""
        store = Store(self._cluster.ledger_url)
        try:
            before = store.entries(outcome=Outcome.INTENT, limit=MOST_OPEN)
            time.sleep(PAUSE)
            after = {
                entry.key: entry.version for entry in store.entries(outcome=Outcome.INTENT, limit=MOST_OPEN)
            }
        finally:
            store.close()
        return tuple(e for e in before if after.get(e.key) == e.version and e.key not in self.left)


def _too_late(share: float) -> str:
    return (
        f"it was too late to kill a worker in the middle of the batch: the service had {share:.0%} of its "
        f"effects already, not {MIDDLE[0]:.0%} to {MIDDLE[1]:.0%}; more rows (--rows) are needed"
    )


def _is_connected(process: psutil.Process, port: int | None) -> bool:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(
        each.status == psutil.CONN_ESTABLISHED and each.raddr and each.raddr.port == port
        for each in connections
    )
