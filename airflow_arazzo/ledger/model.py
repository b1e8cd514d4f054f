"""What the ledger knows of an effect, and what it decides about sending."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response


class Outcome(StrEnum):
    """What is known of a request's effect.

    ``intent``: it is about to be sent, or was, and nothing has been heard. ``effect``: it took effect.
    ``refused``: the service said no. ``not-sent``: it certainly had no effect. ``unknown``: it may have.
    """

    INTENT = "intent"
    EFFECT = "effect"
    REFUSED = "refused"
    NOT_SENT = "not-sent"
    UNKNOWN = "unknown"


class Description(msgspec.Struct, frozen=True):
    """What is asked, for people: nothing of it decides anything but the fingerprint.

    :param request: method and URL without credentials, a blank line, and the body as text, bounded.
    :param run: which run asked: namespace and run as in the identity.
    :param step: workflow and step path, dots between.
    """

    fingerprint: str
    request: str
    source: str
    run: str
    step: str
    attempt: str = ""


class Entry(msgspec.Struct, frozen=True):
    """An effect as the ledger has it. Times are seconds since the epoch.

    :param version: changes with every write; what was read is only written back at the same version.
    :param first_sent: when its generation was first sent; keys are honoured from then on.
    :param patience: seconds after which an intent without outcome counts as unknown.
    :param response: the stored exchange, where it took effect.
    """

    key: str
    generation: int
    version: int
    outcome: Outcome
    description: Description
    first_sent: float
    changed: float
    patience: float
    attempts: int
    status: int | None = None
    response: Response | None = None
    note: str = ""


class Permission(msgspec.Struct, frozen=True):
    """The request may be sent now, by whoever holds this, and by nobody else."""

    key: str
    generation: int
    version: int


class Replay(msgspec.Struct, frozen=True):
    """The request took effect already; this is what came back then."""

    entry: Entry
    response: Response


class LedgerUnavailable(NotSent):
    """The ledger cannot be reached or written; nothing was sent."""

    code = "ledger-unavailable"


class EffectUnderWay(Exception):
    """Another attempt at the same effect is under way; nothing was sent by this one.

    No outcome of a request, so no :class:`~airflow_arazzo.engine.messages.TransportError`: the machine must
    not hear of it, and whoever drives it comes back later.

    :param seconds: after which to look again.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class OtherRequest(NotSent):
    """The same effect was asked for before with another request; nothing was sent."""

    code = "other-request"


class AmbiguousEffect(OutcomeUnknown):
    """An earlier request for this effect may have taken effect, and repeating it is not safe."""

    code = "outcome-unknown"

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


def as_row(entry: Entry) -> dict[str, Any]:
    """An entry as plain values, for people and for JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(entry)
    plain["description"] = msgspec.to_builtins(entry.description)
    if entry.response is not None:
        plain["response"] = {
            "status": entry.response.status,
            "body": entry.response.body.decode(errors="replace"),
        }
    return plain
