"""The rules: when an effect may be sent, and what each outcome allows afterwards."""

from __future__ import annotations

import difflib
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.outcomes import NOT_FOLLOWED, UNKNOWN_STATUSES
from airflow_arazzo.ledger.database import boot_clock
from airflow_arazzo.ledger.keys import BY_METHOD
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
from airflow_arazzo.ledger.store import Seen, Store
from airflow_arazzo.ledger.tables import Change, FirstIntent, encode_response

GRACE = 10.0
"""Seconds beyond a request's own time limit before an intent without outcome counts as unknown. Half of them
may pass before the request is sent: later than that it is not sent at all."""

LASTING = 3600.0
"""Seconds for which a key must be honoured, at least, for an effect to count as one to be asked for again."""

PAUSES = (0.2, 1.0)
"""Seconds between attempts to write an intent."""

log = logging.getLogger(__name__)


def outcome_of(status: int | None) -> Outcome:
    """What a status says of an unsafe request's effect; None is no status at all.

    The same as the engine says of it: a step must not fail as refused while the ledger has it as unknown.
    """
    if status is None or status < 200 or status >= 500 or status in UNKNOWN_STATUSES:
        return Outcome.UNKNOWN
    if status < 300:
        return Outcome.EFFECT
    if status < 400 and status not in NOT_FOLLOWED:
        # 303 is what services answer that have done what a form asked for.
        return Outcome.UNKNOWN
    return Outcome.NOT_SENT if status == 429 else Outcome.REFUSED


class Asked(NamedTuple):
    """What :meth:`Book.open` was asked for."""

    description: Description
    lifetime: float | None
    patience: float
    owner: str
    begun: float


class Closing(NamedTuple):
    """What :meth:`Book.close` is told."""

    permission: Permission
    outcome: Outcome
    response: Response | None
    note: str
    keep: bool


class Book:
    """The ledger as the engine uses it.

    :param store: the tables.
    :param grace: seconds, see :data:`GRACE`.
    :param sleep: lets seconds pass.
    """

    def __init__(
        self, store: Store, *, grace: float = GRACE, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.store = store
        self._grace = grace
        self._sleep = sleep

    def at(self, store: Store) -> Book:
        """The same rules over another store."""
        return Book(store, grace=self._grace, sleep=self._sleep)

    def open(
        self, key: str, description: Description, *, timeout: float, lifetime: float | None
    ) -> Permission | Replay:
        """Ask to send a request, and write down that it will be sent.

        :param timeout: seconds that the request may take.
        :param lifetime: seconds from its first sending for which it may be sent again with the same key;
            None when it may not, infinite for methods that are idempotent by themselves.
        :raises LedgerUnavailable: when the ledger cannot be used.
        :raises EffectUnderWay: when another attempt may still be waiting for its response.
        :raises OtherRequest: when the effect was asked for with another request.
        :raises AmbiguousEffect: when an earlier attempt may have had its effect.
        """
        asked = self.asked(description, timeout=timeout, lifetime=lifetime)
        for pause in PAUSES:
            try:
                return self.open_once(key, asked)
            except LedgerUnavailable:
                # Its commit may have been lost, or only the confirmation; the next attempt finds out.
                self._sleep(pause)
        return self.open_once(key, asked)

    def asked(
        self, description: Description, *, timeout: float, lifetime: float | None, owner: str = ""
    ) -> Asked:
        """What :meth:`open_once` takes, for a question that begins now; the rest as :meth:`open`.

        :param owner: no other question has the same.
        """
        owner = owner or secrets.token_hex(8)
        return Asked(description, lifetime, timeout + self._grace, owner, boot_clock())

    def open_once(self, key: str, asked: Asked) -> Permission | Replay:
        """As :meth:`open`, without trying again when the ledger cannot be used."""
        for _ in range(8):
            ticks = self.store.insert(key, asked.description, asked.patience, asked.owner)
            if ticks is not None:
                return self._permission(key, 0, 1, asked, ticks, doubt=False)
            entry, now = self.store.look(key)
            if entry is None:
                continue
            own = self._own(entry, asked)
            if own is not None:
                return own
            generation = _decide(entry, now, asked)
            if isinstance(generation, Replay):
                return generation
            ticks = self._take(entry, generation, asked)
            if ticks is not None:
                doubt = entry.outcome in (Outcome.INTENT, Outcome.UNKNOWN)
                return self._permission(key, generation, entry.version + 1, asked, ticks, doubt=doubt)
        raise LedgerUnavailable("other attempts keep changing the ledger's entry")

    def _own(self, entry: Entry, asked: Asked) -> Permission | None:
        """The permission of an intent that was written for this very question; None for another's."""
        if entry.owner != asked.owner or entry.outcome is not Outcome.INTENT:
            return None
        doubt = entry.attempts > 1
        return self._permission(entry.key, entry.generation, entry.version, asked, asked.begun, doubt=doubt)

    def _permission(
        self, key: str, generation: int, version: int, asked: Asked, ticks: float, *, doubt: bool
    ) -> Permission:
        lasts = asked.lifetime is not None and asked.lifetime >= LASTING
        keyed = lasts and asked.description.protection not in ("", BY_METHOD)
        until = ticks + self._grace / 2
        return Permission(key, generation, version, asked.owner, doubt, until, keyed)

    def _take(self, entry: Entry, generation: int, asked: Asked) -> float | None:
        """Write the intent of another attempt; None when somebody else was quicker."""
        # A 429 has arrived at the service, which may have kept the key since; and where a person says that
        # nothing happened, something may have arrived all the same.
        arrived = entry.outcome is not Outcome.NOT_SENT or entry.status is not None or not entry.owner
        fresh = generation != entry.generation or not arrived
        values: dict[str, Any] = {
            "outcome": Outcome.INTENT,
            "generation": generation,
            "owner": asked.owner,
            "patience": asked.patience,
            "attempts": entry.attempts + 1,
            "attempt": asked.description.attempt,
            "fingerprint": asked.description.fingerprint,
            "protection": asked.description.protection,
            "request": asked.description.request,
            "status": None if fresh else entry.status,
        }
        return self.store.replace(entry.key, entry.version, first_sent=fresh, **values)

    def close(
        self,
        permission: Permission,
        outcome: Outcome,
        response: Response | None = None,
        note: str = "",
        *,
        keep: bool = True,
    ) -> None:
        """Write what became of a request.

        A write that comes too late, because somebody else has taken the effect over meanwhile, is dropped,
        unless this is an effect: that is always worth knowing.

        :param response: its status is noted; of an effect it is kept, so it must be without credentials.
        :param keep: whether to keep it.
        :raises LedgerUnavailable: when the ledger cannot be used; it may be called again.
        """
        change = _change(Closing(permission, outcome, response, note, keep))
        while not self.store.write((), [change]).changed:
            effect = change.values["outcome"] is Outcome.EFFECT
            entry = self.store.get(permission.key)
            if entry is None or not effect or not self._is_news(entry, permission):
                return
            values = {**change.values, "note": "a late response of an earlier attempt"}
            change = change._replace(version=entry.version, values=values)

    def write(
        self, several: Mapping[str, Asked], closings: Sequence[Closing], *, wait: float | None = None
    ) -> tuple[dict[str, Permission], set[str]]:
        """Write intents and outcomes, those that concern nobody else, in one transaction.

        :param several: what is asked for, by the keys of the effects.
        :param closings: outcomes of other effects than those.
        :param wait: seconds to wait for other writers of an SQLite file; None for the usual time.
        :return: permissions by key for the effects that were not known, and the keys of the outcomes that
            were written. For the other effects :meth:`open_once` says what is known, and :meth:`close` what
            is to be done with the other outcomes.
        """
        intents = [FirstIntent(key, a.description, a.patience, a.owner) for key, a in several.items()]
        changes = [_change(each) for each in closings]
        first, changed, ticks = self.store.write(intents, changes, wait=wait)
        return {key: self._permission(key, 0, 1, several[key], ticks, doubt=False) for key in first}, changed

    def look(self, key: str) -> Seen:
        """What is known of an effect, and the ledger's time.

        :raises LedgerUnavailable: when the ledger cannot be used.
        """
        return self.store.look(key)

    def take_back(self, given: Permission) -> None:
        """Nobody will send what was permitted. When that cannot be written, the log says so."""
        try:
            self.close(given, Outcome.NOT_SENT, note="interrupted before it was sent")
        except LedgerUnavailable as error:
            log.warning("the intent of effect %s could not be taken back: %s", given.key[:12], error)

    def withdraw(self, key: str, asked: Asked) -> None:
        """As :meth:`take_back`, for somebody who was interrupted before he heard whether he may send."""
        try:
            entry = self.store.get(key)
        except LedgerUnavailable as error:
            log.warning("an intent of effect %s could not be looked for: %s", key[:12], error)
            return
        own = self._own(entry, asked) if entry is not None else None
        if own is not None:
            self.take_back(own)

    def settle(self, entry: Entry, happened: bool, reason: str, response: Response | None = None) -> bool:
        """Write what a lookup has found out about a request whose outcome was unknown, and audit it.

        :param response: kept with the effect, so it must be without credentials.
        :return: False when somebody has written since the entry was read.
        :raises LedgerUnavailable: when the ledger cannot be used.
        """
        stored = encode_response(response) if response else None
        values: dict[str, Any] = {"outcome": Outcome.NOT_SENT, "status": None, "note": reason}
        if happened:
            status = response.status if response else None
            values |= {"outcome": Outcome.EFFECT, "status": status, "response": stored}
        action = "probe-happened" if happened else "probe-not-happened"
        return self.store.decide(entry, "airflow-arazzo", action, reason, **values)

    def _is_news(self, entry: Entry, permission: Permission) -> bool:
        """Whether an effect that comes too late is to be written over what is there."""
        if entry.owner == permission.owner and entry.outcome is not Outcome.INTENT:
            return False  # our own write; only its confirmation was lost
        same = entry.generation == permission.generation
        if same and entry.outcome is not Outcome.EFFECT:
            return True
        # Never silently: with a key the service has made one effect of both, without one there are two.
        what = f"a request of generation {permission.generation} also took effect"
        log.error("effect %s: %s, beside %s", permission.key[:12], what, entry.outcome)
        self.store.remark(entry, "airflow-arazzo", "late-effect", what)
        return False


def _change(closing: Closing) -> Change:
    """What is written of an outcome.

    An effect that has a key need not be on the disk at once: should the power fail before it is, the intent
    is there, its outcome unknown, and who asks again sends the same key again. What became of a request
    without a key nobody but a person could say, and after a refusal another request may be the right one.
    """
    permission, outcome, response, note, keep = closing
    counts = permission.counts(outcome)
    if counts is not outcome:
        note = f"{note}; an earlier attempt with the same key may have had its effect".lstrip("; ")
    values: dict[str, Any] = {"outcome": counts, "note": note, "owner": permission.owner}
    if response is not None:
        values["status"] = response.status
        if counts is Outcome.EFFECT and keep:
            values["response"] = encode_response(response)
            values["note"] += "" if values["response"] else "; the response is too large"
    return Change(
        permission.key,
        permission.version,
        values,
        forced=counts is not Outcome.EFFECT or not permission.keyed,
    )


def _decide(entry: Entry, now: float, asked: Asked) -> Replay | int:
    """The stored exchange, or the generation to send."""
    if entry.seconds_left(now):
        message = f"another attempt at this effect is under way ({_short(entry)})"
        raise EffectUnderWay(message, entry.seconds_left(now))
    if entry.outcome is Outcome.NOT_SENT:
        return entry.generation
    if entry.outcome is Outcome.REFUSED:
        return entry.generation + 1
    wanted = asked.description
    if entry.description.fingerprint != wanted.fingerprint:
        raise OtherRequest(_difference(entry, now, wanted))
    if entry.outcome is Outcome.EFFECT:
        return _replay(entry)
    if asked.lifetime is None:
        raise AmbiguousEffect(_ambiguous(entry, "the service promises no idempotency"), entry.key)
    if not wanted.protection or entry.description.protection != wanted.protection:
        raise AmbiguousEffect(_ambiguous(entry, "it was sent before without this key"), entry.key)
    # The key must still be honoured when the request arrives, which takes as long as it may.
    if now + asked.patience >= entry.first_sent + asked.lifetime:
        raise AmbiguousEffect(_ambiguous(entry, "the service no longer honours its key"), entry.key)
    return entry.generation


def _replay(entry: Entry) -> Replay:
    if entry.response is not None:
        return Replay(entry, entry.response)
    raise AmbiguousEffect(
        f"the effect happened and is not repeated, but its response is not kept ({entry.note}). Give it "
        f"with: airflow-arazzo ledger resolve {entry.key[:12]} --happened --response JSON --reason TEXT",
        entry.key,
    )


def _short(entry: Entry) -> str:
    return f"{entry.description.step} of {entry.description.run}, key {entry.key[:12]}"


def _ambiguous(entry: Entry, why: str) -> str:
    asked = entry.description.request.split("\n", 1)[0]
    return (
        f"whether {asked} took effect is unknown (sent {entry.attempts} time(s)), and it is not sent again: "
        f"{why}. Look it up at the service, then: airflow-arazzo ledger resolve {entry.key[:12]} "
        f"--happened or --not-happened, with --reason TEXT"
    )


def _difference(entry: Entry, now: float, wanted: Description) -> str:
    """How a request differs from the one that the same effect was asked for with."""
    lines = difflib.unified_diff(
        entry.description.request.splitlines(), wanted.request.splitlines(), "before", "now", lineterm="", n=0
    )
    shown = "\n".join(line[:500] for line in list(lines)[:20]) or "(the difference lies beyond what is kept)"
    known, key = entry.known(now), entry.key[:12]
    how = f"To send it anew: airflow-arazzo ledger reissue {key} --reason TEXT"
    if known is Outcome.UNKNOWN:
        how = f"Look up what became of it, then: airflow-arazzo ledger resolve {key}"
    return (
        f"this effect was asked for before with another request, and its outcome is {known}; nothing "
        f"was sent ({_short(entry)}). {how}\n{shown}"
    )
