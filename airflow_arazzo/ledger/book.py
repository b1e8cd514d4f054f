"""The rules: when an effect may be sent, and what each outcome allows afterwards."""

from __future__ import annotations

import difflib
from typing import Any

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger.model import (
    AmbiguousEffect,
    Description,
    EffectUnderWay,
    Entry,
    LedgerUnavailable,
    OtherRequest,
    Outcome,
    Permission,
    Replay,
)
from airflow_arazzo.ledger.store import Store, encode_response

GRACE = 10.0
"""Seconds beyond a request's own time limit before an intent without outcome counts as unknown."""

_NO_OUTCOME = frozenset({408, 409, 425})


def outcome_of(status: int) -> Outcome:
    """What a status says of an unsafe request's effect."""
    if 200 <= status < 300:
        return Outcome.EFFECT
    if status == 429:
        return Outcome.NOT_SENT
    if 400 <= status < 500 and status not in _NO_OUTCOME:
        return Outcome.REFUSED
    if 300 <= status < 400:
        return Outcome.REFUSED
    return Outcome.UNKNOWN


class Book:
    """The ledger as the engine uses it.

    :param store: the table.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def open(
        self,
        key: str,
        description: Description,
        *,
        timeout: float,
        lifetime: float | None,
        repeatable: bool = False,
    ) -> Permission | Replay:
        """Ask to send a request, and write down that it will be sent.

        :param timeout: seconds that the request may take.
        :param lifetime: seconds from its first sending for which it may be sent again with the same key;
            None when it may not, infinite for methods that are idempotent by themselves.
        :param repeatable: the effect may be repeated at will (signing in): an earlier effect counts for
            nothing.
        :raises LedgerUnavailable: when the ledger cannot be used.
        :raises EffectUnderWay: when another attempt may still be waiting for its response.
        :raises OtherRequest: when the effect was asked for with another request.
        :raises AmbiguousEffect: when an earlier attempt may have had its effect.
        """
        patience = timeout + GRACE
        for _ in range(8):
            if self.store.insert(key, description, patience):
                return Permission(key, 0, 1)
            entry = self.store.get(key)
            if entry is None:
                continue
            decision = self._decide(entry, description, lifetime, repeatable)
            if isinstance(decision, Replay):
                return decision
            if self._take(entry, description, patience, decision):
                return Permission(key, decision, entry.version + 1)
        raise LedgerUnavailable("other attempts keep changing the ledger's entry")

    def _decide(
        self, entry: Entry, wanted: Description, lifetime: float | None, repeatable: bool
    ) -> Replay | int:
        """The stored exchange, or the generation to send."""
        now = self.store.clock()
        if entry.outcome is Outcome.INTENT and now < entry.changed + entry.patience:
            seconds = entry.changed + entry.patience - now
            raise EffectUnderWay(f"another attempt at this effect is under way ({_short(entry)})", seconds)
        if entry.outcome is Outcome.NOT_SENT:
            return entry.generation
        if entry.outcome is Outcome.REFUSED or repeatable:
            return entry.generation + 1
        if entry.description.fingerprint != wanted.fingerprint:
            raise OtherRequest(_difference(entry, wanted))
        if entry.outcome is Outcome.EFFECT:
            return self._replay(entry)
        if lifetime is not None and now < entry.first_sent + lifetime:
            return entry.generation
        raise AmbiguousEffect(_ambiguous(entry, expired=lifetime is not None), entry.key)

    @staticmethod
    def _replay(entry: Entry) -> Replay:
        if entry.response is None:
            message = f"the effect happened, but its response is not kept ({entry.note or 'too large'})"
            raise AmbiguousEffect(
                f"{message}; give its outputs with: ledger resolve {entry.key[:12]}", entry.key
            )
        return Replay(entry, entry.response)

    def _take(self, entry: Entry, wanted: Description, patience: float, generation: int) -> bool:
        """Write the intent of another attempt; False when somebody else was quicker."""
        values: dict[str, Any] = {
            "outcome": Outcome.INTENT,
            "generation": generation,
            "patience": patience,
            "attempts": entry.attempts + 1,
            "attempt": wanted.attempt,
            "fingerprint": wanted.fingerprint,
            "request": wanted.request,
            "status": None,
        }
        if generation != entry.generation or entry.outcome is Outcome.NOT_SENT:
            values["first_sent"] = self.store.clock()
        return self.store.replace(entry.key, entry.version, **values)

    def close(
        self, permission: Permission, outcome: Outcome, response: Response | None = None, note: str = ""
    ) -> None:
        """Write what became of a request.

        A write that comes too late, because somebody else has taken the effect over meanwhile, is dropped,
        unless this is an effect: that is always worth knowing.

        :param response: kept for effects; without credentials.
        """
        values: dict[str, Any] = {"outcome": outcome, "note": note}
        if response is not None:
            values["status"] = response.status
            if outcome is Outcome.EFFECT:
                values["response"] = encode_response(response)
        if self.store.replace(permission.key, permission.version, **values) or outcome is not Outcome.EFFECT:
            return
        entry = self.store.get(permission.key)
        if entry is not None and entry.outcome is not Outcome.EFFECT:
            values["note"] = "a late response of an earlier attempt"
            self.store.replace(permission.key, entry.version, **values)


def _short(entry: Entry) -> str:
    return f"{entry.description.step} of {entry.description.run}, key {entry.key[:12]}"


def _ambiguous(entry: Entry, *, expired: bool) -> str:
    why = "the service no longer honours its key" if expired else "the service promises no idempotency"
    asked = entry.description.request.split("\n", 1)[0]
    return (
        f"whether {asked} took effect is unknown (sent {entry.attempts} time(s)), and it is not sent again: "
        f"{why}. Look it up at the service, then: airflow-arazzo ledger resolve {entry.key[:12]} "
        f"--happened or --not-happened"
    )


def _difference(entry: Entry, wanted: Description) -> str:
    """How a request differs from the one that the same effect was asked for with."""
    lines = difflib.unified_diff(
        entry.description.request.splitlines(), wanted.request.splitlines(), "before", "now", lineterm="", n=0
    )
    shown = "\n".join(list(lines)[:20]) or "(the difference lies beyond what is kept)"
    return (
        f"this effect was asked for before with another request, and its outcome is {entry.outcome}; nothing "
        f"was sent ({_short(entry)}). To send it anew: airflow-arazzo ledger reissue {entry.key[:12]} "
        f"--reason TEXT\n{shown}"
    )
