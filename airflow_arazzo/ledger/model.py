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
    """What is asked. Fingerprint and protection decide, the rest is for people.

    :param request: method and URL without credentials, a blank line, and the body as text, bounded.
    :param run: which run asked: namespace and run as in the identity.
    :param step: workflow and step path, dots between.
    :param protection: what keeps a second sending from having a second effect: ``method``, or place and
        name of the key that goes with it; empty for nothing. A request that went without a key is not
        protected by one that was declared later.
    """

    fingerprint: str
    request: str
    source: str
    run: str
    step: str
    attempt: str = ""
    protection: str = ""


class Entry(msgspec.Struct, frozen=True):
    """An effect as the ledger has it. Times are seconds since the epoch, by the database's clock.

    :param version: changes with every write; what was read is only written back at the same version.
    :param owner: the attempt that wrote last; empty after a person's word on what became of it.
    :param first_sent: when its generation was first sent; keys are honoured from then on.
    :param patience: seconds after which an intent without outcome counts as unknown.
    :param status: the last status in this generation.
    :param response: the stored exchange, where it took effect.
    """

    key: str
    generation: int
    version: int
    owner: str
    outcome: Outcome
    description: Description
    first_sent: float
    changed: float
    patience: float
    attempts: int
    status: int | None = None
    response: Response | None = None
    note: str = ""

    def seconds_left(self, now: float) -> float:
        """How long an attempt may still wait for its response; 0 when none does."""
        if self.outcome is not Outcome.INTENT:
            return 0.0
        return max(0.0, self.changed + self.patience - now)

    def known(self, now: float) -> Outcome:
        """The outcome, an intent that nobody can be waiting for any more being unknown."""
        lost = self.outcome is Outcome.INTENT and not self.seconds_left(now)
        return Outcome.UNKNOWN if lost else self.outcome


class Permission(msgspec.Struct, frozen=True):
    """The request may be sent now, by whoever holds this, and by nobody else.

    :param doubt: whether an earlier request with the same key may have had its effect, so that a refusal of
        this one does not mean that there is none.
    :param until: :data:`~airflow_arazzo.ledger.database.boot_clock` after which it is too late to send:
        others would take the intent for lost while the request is still under way.
    :param keyed: whether a key goes with it by which the service tells a repetition, also much later.
    """

    key: str
    generation: int
    version: int
    owner: str = ""
    doubt: bool = False
    until: float = float("inf")
    keyed: bool = False

    def counts(self, outcome: Outcome) -> Outcome:
        """What this request's outcome says of the effect, given those before it."""
        unsure = self.doubt and outcome in (Outcome.REFUSED, Outcome.NOT_SENT)
        return Outcome.UNKNOWN if unsure else outcome


class Replay(msgspec.Struct, frozen=True):
    """The request took effect already; this is what came back then."""

    entry: Entry
    response: Response


class LedgerUnavailable(NotSent):
    """The ledger cannot be reached, read or written; nothing was sent."""

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
    if entry.response is not None:
        plain["response"] = {
            "status": entry.response.status,
            "body": entry.response.body.decode(errors="replace"),
        }
    return plain
