"""How far a batch has come, for its log."""

from __future__ import annotations

import logging
import time
from typing import Any

INTERVAL = 10.0
"""Seconds between two lines."""


class Progress:
    """Counts rows and tells now and then.

    :param log: where the lines go.
    :param total: rows to run.
    """

    def __init__(self, log: Any, total: int) -> None:
        self._log: logging.Logger = log
        self._total = total
        self._began = self._told = time.monotonic()
        self.done = self.failed = 0

    def count(self, *, failed: bool) -> None:
        """A row is done."""
        self.done += 1
        self.failed += failed
        now = time.monotonic()
        if now - self._told >= INTERVAL:
            self._told = now
            self._log.info("%s", self.line(now))

    def line(self, now: float | None = None) -> str:
        """Rows done, failed, per second, and the time left at that pace."""
        passed = max((now or time.monotonic()) - self._began, 1e-6)
        pace = self.done / passed
        text = f"rows: {self.done} of {self._total} done, {self.failed} failed, {pace:.1f} per second"
        left = self._total - self.done
        return f"{text}, {_duration(left / pace)} left" if left and pace else text


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
