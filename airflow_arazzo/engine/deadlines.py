"""Time limits of many requests at once, over one timer.

What :func:`asyncio.timeout` does, without a timer for each: that costs more than all the rest of waiting.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadlines:
    """The time limits of one event loop."""

    def __init__(self) -> None:
        self._open: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float) -> Deadline:
        """A context in which a task has so many seconds from now. Beyond them it raises ``TimeoutError``."""
        return Deadline(self, asyncio.get_running_loop().time() + seconds)

    def add(self, deadline: Deadline) -> None:
        """A task has begun something."""
        self._open[deadline] = None
        if self._timer is None or deadline.when < self._timer.when():
            self._wait_until(deadline.when)

    def remove(self, deadline: Deadline) -> None:
        """It is done with it."""
        del self._open[deadline]

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait_until(self, when: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        # Not at once: after a time in which the loop was kept from looking, what has come meanwhile counts.
        asyncio.get_running_loop().call_soon(self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        left = []
        for deadline in self._open:
            if deadline.when <= now:
                deadline.expire()
            elif not deadline.expired:
                left.append(deadline.when)
        if left:
            self._wait_until(min(left))


class Deadline:
    """A time limit of the task that enters it; see :meth:`Deadlines.after`.

    :param when: by the event loop's clock, in seconds.
    """

    __slots__ = ("_all", "_cancelling", "_task", "expired", "when")

    def __init__(self, every: Deadlines, when: float) -> None:
        self._all = every
        self.when = when
        self.expired = False

    def __enter__(self) -> Deadline:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline is for a task")
        self._task, self._cancelling = task, task.cancelling()
        self._all.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.remove(self)
        # Somebody else may have cancelled the task, too; that counts for more.
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """The time is over."""
        if not self.expired:
            self.expired = True
            self._task.cancel()
