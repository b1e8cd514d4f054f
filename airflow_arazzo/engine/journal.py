"""What a run tells about itself: failures, step records, and the events that make its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a step or a run failed.

    :param code: kebab-case name of the kind of failure.
    :param message: what was expected and what came, one sentence.
    :param step: id of the step that failed, where it was one.
    :param hint: what to do about it.
    :param fate: what is known of the request: that it had no effect (``not-sent``), that the service
        refused it (``refused``), that it took effect (``effect``), or nothing (``unknown``).
    :param repeatable: of an unknown fate inside a called workflow: whether the request may be sent again
        whatever became of it.
    :param status: the response's status code, if there was a response.
    :param key: under which the ledger has the effect that the failure is about, where that is known.
    :param retry_after: seconds that the service asks to wait before the next request; None when it does not.
    """

    code: str
    message: str
    step: str = ""
    hint: str = ""
    fate: Literal["", "not-sent", "refused", "effect", "unknown"] = ""
    status: int | None = None
    retry_after: float | None = None
    repeatable: bool = False
    key: str = ""

    def __str__(self) -> str:
        where = f"step {self.step!r}: " if self.step else ""
        return f"{where}{self.message} [{self.code}]{f' ({self.hint})' if self.hint else ''}"


class StepRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt at a step, for reports.

    :param url: the URL that was asked, also in vain, without credentials; empty when it never was.
    :param elapsed: seconds from sending to the last byte.
    :param outputs: names and values, those that are credentials masked.
    """

    workflow: str
    step: str
    status: Literal["succeeded", "failed"]
    method: str = ""
    url: str = ""
    status_code: int | None = None
    elapsed: float | None = None
    outputs: dict[str, Any] = {}
    error: Failure | None = None


class Event:
    """Something worth a line in the log.

    :param text: or what gives it, which is asked only where somebody reads it.
    """

    __slots__ = ("_text", "level", "step")

    def __init__(
        self, step: str, text: str | Callable[[], str], level: Literal["info", "warning"] = "info"
    ) -> None:
        self.step = step
        self.level = level
        self._text = text

    @property
    def text(self) -> str:
        """The line, without its step."""
        return self._text if isinstance(self._text, str) else self._text()

    def __repr__(self) -> str:
        return f"Event({self.step!r}, {self.text!r}, {self.level!r})"
