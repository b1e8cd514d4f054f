"""Answers kept under ``Idempotency-Key``, for as long as keys live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Kept(Generic[Answer]):
    """A key in use.

    :param endpoint: method and path of the request that used it first.
    :param parameters: that request's parameters, in a form that can be compared.
    :param at: when it was first used, in Unix seconds of the services' clock.
    :param answer: the first answer, or None while that request still executes.
    """

    endpoint: str
    parameters: str
    at: float
    answer: Answer | None = None


class KeyStore(Generic[Answer]):
    """Keys of one account. Expired ones are dropped when looked up, and from the oldest on as keys come."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept[Answer]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: str, now: float, lifetime: float) -> Kept[Answer] | None:
        """Return what a key was used for, or None when it is free (again)."""
        kept = self._kept.get(key)
        if kept is not None and kept.answer is not None and now - kept.at >= lifetime:
            del self._kept[key]
            return None
        return kept

    def claim(self, key: str, kept: Kept[Answer], lifetime: float) -> None:
        """Take a free key for a request that begins to execute."""
        self._kept[key] = kept
        # Two a request keep the store from growing for ever, whatever the lifetime was before.
        for _ in range(2):
            oldest = next(iter(self._kept))
            if self._kept[oldest].answer is None or kept.at - self._kept[oldest].at < lifetime:
                break
            del self._kept[oldest]

    def release(self, key: str) -> None:
        """Give a claimed key back, as if the request had never been made."""
        self._kept.pop(key, None)
