"""How fast a source may be asked: a token bucket, and the pauses that the service itself asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.outcomes import LONGEST_RETRY_AFTER, seconds_asked

BURST = 0.05
"""Seconds' worth of requests that may leave at once: timers are not exact, and the rate should be reached."""

_LIMITING = frozenset({429, 503})
"""Statuses whose ``Retry-After`` is for everyone who asks, and not for the one request."""

_EPOCH = 1_000_000_000
"""A ``Reset`` beyond this is a time and not a number of seconds; a thousand times as much, milliseconds."""

_INITIALS = frozenset("xXrR")
_MEMBER = re.compile(r';\s*(r|t)\s*=\s*"?(\d+)')


class Gate:
    """Lets requests to one source leave.

    :param rate: requests per second; None for no bound.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._ahead = max(0.0, BURST - self._interval)
        self._next = 0.0
        self.closed_until = 0.0

    def opens(self) -> float:
        """When the next request may leave, in seconds since the epoch; in the past for at once."""
        return max(self.closed_until, self._next - self._ahead)

    def take(self, now: float) -> None:
        """A request leaves."""
        if self._interval:
            self._next = max(self._next, now) + self._interval

    def heed(self, response: Response, now: float) -> None:
        """Close the gate for as long as a response asks for (RFC 9110, 10.2.3, and the RateLimit fields)."""
        seconds = pause_of(response, now)
        if seconds > 0:
            self.closed_until = max(self.closed_until, now + min(seconds, LONGEST_RETRY_AFTER))


def pause_of(response: Response, now: float) -> float:
    """Seconds for which a service wants no further request; 0 when it does not say so.

    ``Retry-After`` counts with 429 and 503. The fields ``RateLimit``, ``RateLimit-Remaining`` and
    ``RateLimit-Reset``, also with ``X-`` before them, count once nothing remains.
    """
    limits = _limits(response.headers)
    asked = 0.0
    if response.status in _LIMITING:
        header = response.header("Retry-After")
        asked = (seconds_asked(header, now) if header else None) or 0.0
    if not limits:
        return asked
    return max(asked, _structured(limits.get("ratelimit", "")), _remaining(limits, now))


def _limits(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name[:1] in _INITIALS:
            plain = name.casefold().removeprefix("x-").replace("rate-limit", "ratelimit")
            if plain.startswith("ratelimit"):
                found.setdefault(plain, value)
    return found


def _structured(value: str) -> float:
    """Seconds that ``RateLimit: "name";r=0;t=30`` asks for: the longest of those with nothing left."""
    longest = 0.0
    for item in value.split(","):
        members = {name: float(number) for name, number in _MEMBER.findall(item)}
        if members.get("r") == 0:
            longest = max(longest, members.get("t", 0.0))
    return longest


def _remaining(limits: dict[str, str], now: float) -> float:
    remaining = _number(limits.get("ratelimit-remaining", ""))
    reset = _number(limits.get("ratelimit-reset", ""))
    if remaining is None or remaining > 0 or reset is None:
        return 0.0
    if reset > _EPOCH * 1000:
        reset /= 1000
    return max(0.0, reset - now if reset > _EPOCH else reset)


def _number(text: str) -> float | None:
    """The number that a field begins with; some services write several, the nearest first."""
    try:
        number = float(re.split(r"[,;]", text, maxsplit=1)[0])
    except ValueError:
        return None
    return number if math.isfinite(number) else None
