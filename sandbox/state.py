"""Everything one sandbox remembers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sandbox.amberflo_books import AmberfloBooks
from sandbox.faults import FaultBook
from sandbox.ledger import Ledger, RequestLog
from sandbox.settings import Settings
from sandbox.stripe_books import StripeBooks


class State:
    """The books of both services, the ledger, the request log and the faults of one sandbox.

    :param settings: settings to start with, and to return to on a reset.
    """

    def __init__(self, settings: Settings) -> None:
        self._initial = settings
        self.refuse_connections: Callable[[float], None] | None = None
        """Stops listening for some seconds; set by whoever owns the listening socket."""
        self.reset()

    def reset(self) -> None:
        """Forget everything, and return to the settings of the start."""
        self.settings = self._initial
        self.ledger = Ledger()
        self.requests = RequestLog(self.settings.request_log_size)
        self.faults = FaultBook()
        self.amberflo = AmberfloBooks()
        self.stripe = StripeBooks()
        self.setup: list[dict[str, Any]] = []

    def now(self) -> float:
        """Return the services' clock in Unix seconds."""
        return time.time() + self.settings.clock_offset

    def now_millis(self) -> int:
        """Return the services' clock in Unix milliseconds."""
        return int(self.now() * 1000)
