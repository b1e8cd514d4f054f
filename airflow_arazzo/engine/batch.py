"""Many runs of a plan at once: a machine for each row, all over one transport.

A row goes on until it has to wait, so that few rows are under way at a time; new ones begin only as slots
get free. A slot is for a request: a row that waits holds none, and neither does one whose request was
answered while the answer is written down. Nothing that becomes of a row touches another one.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import msgspec

from airflow_arazzo.engine.gates import Gate
from airflow_arazzo.engine.limits import CONCURRENCY
from airflow_arazzo.engine.machine import Done, Machine, Send, Wait
from airflow_arazzo.engine.messages import NotSent, Response, TransportError
from airflow_arazzo.engine.run import Exchange

LONGEST_WAIT = 5.0
"""Seconds for which a batch waits when none of its rows has anything else to do."""

MOST_WAITING = 5000
"""Rows that wait at once, each with its state in memory; while there are so many no other begins."""


class Later(Exception):
    """The request was not sent, because nobody can say yet if it may be; ask again later.

    An exchange raises it. It is no outcome, so the machine does not hear of it.

    :param seconds: after which to ask again.
    """

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


def _nothing() -> None:
    """What happens when nobody waits for a slot."""


class Writing:
    """An exchange of one row that has something to write down when a request is answered, before it returns.

    :ivar on_answer: to be called as soon as nothing more will be sent, once or more often. The row then goes
        on without its slot.
    """

    on_answer: Callable[[], None] = staticmethod(_nothing)

    async def __call__(self, command: Send) -> Response:
        """As :data:`~airflow_arazzo.engine.run.Exchange`."""
        raise NotImplementedError


class Row:
    """A row under way.

    :param key: by which the caller knows it.
    :param machine: at the row's position.
    :param exchange: sends the row's requests.
    :param unsent: whether the request that the machine's state has as under way was in fact never sent.
    :ivar kept_at: since when its next request waits, in seconds since the epoch.
    :ivar passed: whether that may leave as far as its source's gate is concerned.
    :ivar has_slot: whether it may have a request under way.
    :ivar timed: whether the time of the workflow under way is limited.
    """

    __slots__ = ("command", "exchange", "has_slot", "kept_at", "key", "machine", "passed", "timed", "unsent")

    def __init__(self, key: Any, machine: Machine, exchange: Exchange, *, unsent: bool = False) -> None:
        self.key = key
        self.machine = machine
        self.exchange = exchange
        self.unsent = unsent
        self.command: Send | None = None
        self.kept_at = 0.0
        self.passed = False
        self.has_slot = False
        self.timed = False

    def next(self) -> Send | Wait | Done:
        """What the row does next."""
        command: Send | Wait | Done
        command, self.command = self.command or self.machine.next(), None
        if self.unsent and isinstance(command, Send):
            command, self.unsent = msgspec.structs.replace(command, again=False), False
        return command

    def keep(self, command: Send, now: float) -> None:
        """A request has to wait before it is sent."""
        self.command, self.kept_at = command, now
        self.unsent = not command.again  # else an earlier sending is still not known of

    def in_time(self, command: Send, now: float) -> Send | None:
        """A request that may have waited, with the time that is left to it now; None when none is."""
        left, kept_at = command.request.left, self.kept_at
        self.timed, self.kept_at = left is not None, 0.0
        if left is None or not kept_at:
            return command
        waited = now - kept_at
        request = msgspec.structs.replace(command.request, left=left - waited)
        return msgspec.structs.replace(command, request=request) if left > waited else None


class Paused(NamedTuple):
    """All rows under way wait, and none may begin.

    :param seconds: until the first of them goes on.
    """

    seconds: float
    reason: str


@contextmanager
def _all_else_at_rest() -> Iterator[None]:
    """Keep the garbage collector from what was there before: rows come and go, all else stays, and to look
    at it again and again takes a tenth of their time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Batch:
    """Runs rows to their ends.

    :param rows: begins rows, one each time it is asked.
    :param finish: is told of every row that has ended.
    :param gates: how fast sources may be asked, by name; those that are not named are not bounded.
    :param concurrency: requests under way at once.
    :param longest_wait: seconds for which it waits when there is nothing else to do; for longer, it stops.
    :param most_waiting: rows that wait at once.
    :param clock: the time in seconds since the epoch; the machines' clock.
    """

    def __init__(
        self,
        rows: Iterator[Row],
        finish: Callable[[Row, Done], None],
        *,
        gates: Mapping[str, Gate] | None = None,
        concurrency: int = CONCURRENCY,
        longest_wait: float = LONGEST_WAIT,
        most_waiting: int = MOST_WAITING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rows: Iterator[Row] | None = rows
        self._finish = finish
        self._gates = gates or {}
        self._queues: dict[str, deque[Row]] = {name: deque() for name in self._gates}
        self._next_in_line: deque[Row] = deque()
        self._asleep: list[tuple[float, int, Row, str]] = []
        self._order = count()
        self._concurrency = self._free = concurrency
        self._longest_wait = longest_wait
        self._most_waiting = most_waiting
        self._clock = clock
        self._active = 0
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: tuple[float, asyncio.TimerHandle] | None = None
        self._over = False
        self._paused: Paused | None = None

    def stop(self) -> None:
        """Begin no further row; those under way go on."""
        self._rows = None

    def under_way(self) -> list[Row]:
        """Rows that have begun and wait; all that have not ended, once :meth:`run` has returned."""
        queues = (self._next_in_line, *self._queues.values())
        return [row for _, _, row, _ in self._asleep] + [row for queue in queues for row in queue]

    async def run(self) -> Paused | None:
        """Run the rows.

        :return: None when all of them have ended. Otherwise rows wait for longer than ``longest_wait``:
            their machines' states may be stored, and :meth:`run` may also be called again.
        """
        self._over, self._paused = False, None
        with _all_else_at_rest():
            await self._run_all()
        return self._paused

    async def _run_all(self) -> None:
        # As many rows without a slot, whose answers are written down, as with one; but one at a time is one.
        count = 2 * self._concurrency if self._concurrency > 1 else 1
        workers = [asyncio.ensure_future(self._work()) for _ in range(count)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            if self._timer is not None:
                self._timer[1].cancel()
                self._timer = None
            self._idle.clear()

    # --- rows ------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while (row := await self._take()) is not None:
            self._active += 1
            exchange = row.exchange
            if isinstance(exchange, Writing):
                exchange.on_answer = partial(self._answered, row)
            try:
                await self._advance(row)
            finally:
                self._active -= 1
                self._give_back(row)  # for this very worker to take
                if isinstance(exchange, Writing):
                    del exchange.on_answer  # or the two would keep each other in memory

    async def _advance(self, row: Row) -> None:
        """Run a row that has a slot until it ends or has to wait."""
        machine = row.machine
        while True:
            if not row.has_slot and machine.state.done is None:
                # Before the machine is asked: the time of what it begins runs from then on.
                self._next_in_line.append(row)
                return
            command = row.next()
            if isinstance(command, Done):
                self._finish(row, command)
                return
            if isinstance(command, Wait):
                self._sleep(row, command.seconds, command.reason)
                return
            gate = self._gates.get(command.request.source)
            if gate is not None and not self._passes(row, command, gate):
                return
            outcome: Response | TransportError
            timely = row.in_time(command, self._clock())
            if timely is None:
                machine.receive(NotSent("its time was over before it could be sent"))
                continue
            try:
                outcome = await row.exchange(timely)
            except TransportError as error:
                outcome = error
            except Later as later:
                machine.put_off(later.seconds, str(later))
                continue
            if gate is not None and isinstance(outcome, Response):
                gate.heed(outcome, self._clock())
            machine.receive(outcome)

    def _passes(self, row: Row, command: Send, gate: Gate) -> bool:
        """Whether a request may leave now; otherwise its row stands in line."""
        if row.passed:
            row.passed = False
            return True
        now, queue = self._clock(), self._queues[command.request.source]
        if queue or gate.opens() > now:
            row.keep(command, now)
            queue.append(row)
            return False
        gate.take(now)
        return True

    def _sleep(self, row: Row, seconds: float, reason: str) -> None:
        heapq.heappush(self._asleep, (self._clock() + seconds, next(self._order), row, reason))

    # --- slots -----------------------------------------------------------------------------------

    def _give_back(self, row: Row) -> None:
        """A row needs its slot no longer, if it has one."""
        if row.has_slot:
            row.has_slot = False
            self._free += 1

    def _answered(self, row: Row) -> None:
        """A row goes on without its slot, unless its time is limited: others must not use that up."""
        if row.has_slot and not row.timed:
            self._give_back(row)
            self._wake()

    async def _take(self) -> Row | None:
        """The next row that has something to do, with a slot; None at the end."""
        while not self._over:
            if not self._free:
                await self._rest(None)  # until there is a slot
                continue
            row = self._ready()
            if row is not None:
                row.has_slot = True
                self._free -= 1
                if self._free:
                    self._wake()  # there may be more
                return row
            earliest = self._earliest()
            if not self._active and (earliest is None or earliest - self._clock() > self._longest_wait):
                self._end(earliest)
                break
            await self._rest(earliest)
        return None

    def _ready(self) -> Row | None:
        """A row that can go on, or a new one."""
        if self._next_in_line:
            return self._next_in_line.popleft()
        now = self._clock()
        for source, queue in self._queues.items():
            if queue and self._gates[source].opens() <= now:
                row = queue.popleft()
                self._gates[source].take(now)
                row.passed = True
                return row
        if self._asleep and self._asleep[0][0] <= now:
            return heapq.heappop(self._asleep)[2]
        if self._rows is None:
            return None
        held_back = sum(map(len, self._queues.values()))
        if held_back >= self._concurrency or held_back + len(self._asleep) >= self._most_waiting:
            return None
        begun = next(self._rows, None)
        if begun is None:
            self._rows = None
        return begun

    def _earliest(self) -> float | None:
        """When a row goes on that waits; None when none does."""
        times = [self._gates[source].opens() for source, queue in self._queues.items() if queue]
        if self._asleep:
            times.append(self._asleep[0][0])
        return min(times, default=None)

    def _end(self, earliest: float | None) -> None:
        """Nothing is left to do, for the time being or for good."""
        self._over = True
        if earliest is not None:
            self._paused = Paused(max(0.0, earliest - self._clock()), self._why(earliest))
        while self._idle:
            self._wake()

    def _why(self, earliest: float) -> str:
        if self._asleep and self._asleep[0][0] <= earliest:
            return self._asleep[0][3]
        source = min((s for s, q in self._queues.items() if q), key=lambda s: self._gates[s].opens())
        return f"source {source!r} wants no requests for a while"

    async def _rest(self, earliest: float | None) -> None:
        """Wait until something has changed, or it is time for a row."""
        loop = asyncio.get_running_loop()
        if earliest is not None and (self._timer is None or self._timer[0] > earliest):
            if self._timer is not None:
                self._timer[1].cancel()
            # A little late rather than early: clocks of different kinds do not agree to the microsecond.
            seconds = max(0.0, earliest - self._clock()) + 0.0005
            self._timer = (earliest, loop.call_later(seconds, self._ring))
        future: asyncio.Future[None] = loop.create_future()
        self._idle.append(future)
        await future

    def _ring(self) -> None:
        self._timer = None
        self._wake()

    def _wake(self) -> None:
        """Let one idle worker look for something to do."""
        while self._idle:
            future = self._idle.popleft()
            if not future.done():
                future.set_result(None)
                return
