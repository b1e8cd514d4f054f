"""The rules, one row each: what an outcome, a declaration, the request and the time allow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from airflow_arazzo.engine import outcomes
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger.book import GRACE, Book, outcome_of
from airflow_arazzo.ledger.database import boot_clock
from airflow_arazzo.ledger.model import (
    AmbiguousEffect,
    Description,
    EffectUnderWay,
    LedgerUnavailable,
    OtherRequest,
    Outcome,
    Permission,
    Replay,
)
from airflow_arazzo.ledger.tables import MAX_RESPONSE

Described = Callable[..., Description]
TIMEOUT, LIFETIME = 30.0, 3600.0
PATIENCE = TIMEOUT + GRACE
OK = Response(200, (), b'{"id":1}')
KEYED = "header idempotency-key"


def ask(
    book: Book, description: Description, lifetime: float | None = None, key: str = "k"
) -> Permission | Replay:
    return book.open(key, description, timeout=TIMEOUT, lifetime=lifetime)


def allowed(book: Book, description: Description, lifetime: float | None = None) -> Permission:
    permission = ask(book, description, lifetime)
    assert isinstance(permission, Permission)
    return permission


def decision(book: Book, description: Description, lifetime: float | None) -> str:
    """What a second attempt is told, in a word."""
    try:
        answer = ask(book, description, lifetime)
    except EffectUnderWay as error:
        return f"later {error.seconds:g}"
    except OtherRequest:
        return "other"
    except AmbiguousEffect:
        return "person"
    if isinstance(answer, Replay):
        return "replay"
    return f"send {answer.generation}{' in doubt' if answer.doubt else ''}"


# outcome of the first attempt, how it is protected, same request?, seconds later → decision
EDGE = LIFETIME - PATIENCE
RULES: list[tuple[str, str, bool, float, str]] = [
    # an intent is under way until its patience ends, whatever is declared and asked
    *(("intent", p, same, 0.0, "later 40") for p in ("none", "key", "method") for same in (True, False)),
    ("intent", "none", True, PATIENCE - 1, "later 1"),
    ("intent", "key", True, PATIENCE - 1, "later 1"),
    ("intent", "none", True, PATIENCE, "person"),
    ("intent", "none", False, PATIENCE, "other"),
    ("intent", "key", True, PATIENCE, "send 0 in doubt"),
    ("intent", "key", False, PATIENCE, "other"),
    ("intent", "key", True, EDGE - 1, "send 0 in doubt"),
    ("intent", "key", True, EDGE, "person"),
    ("intent", "key", True, LIFETIME * 10, "person"),
    ("intent", "method", True, LIFETIME * 10, "send 0 in doubt"),
    ("intent", "method", False, LIFETIME * 10, "other"),
    # unknown: the same, at once
    ("unknown", "none", True, 0.0, "person"),
    ("unknown", "none", False, 0.0, "other"),
    ("unknown", "key", True, 0.0, "send 0 in doubt"),
    ("unknown", "key", False, 0.0, "other"),
    ("unknown", "key", True, EDGE - 1, "send 0 in doubt"),
    ("unknown", "key", True, EDGE, "person"),
    ("unknown", "key", True, LIFETIME, "person"),
    ("unknown", "method", True, LIFETIME * 10, "send 0 in doubt"),
    ("unknown", "method", False, 0.0, "other"),
    # an effect is never repeated
    *(("effect", p, True, t, "replay") for p in ("none", "key", "method") for t in (0.0, LIFETIME * 10)),
    *(("effect", p, False, t, "other") for p in ("none", "key", "method") for t in (0.0, LIFETIME * 10)),
    # what had no effect may be asked for again, also differently
    *(("not-sent", p, same, 0.0, "send 0") for p in ("none", "key", "method") for same in (True, False)),
    *(("refused", p, same, 0.0, "send 1") for p in ("none", "key", "method") for same in (True, False)),
]
PROTECTED: dict[str, tuple[str, float | None]] = {
    "none": ("", None),
    "key": (KEYED, LIFETIME),
    "method": ("method", math.inf),
}


@pytest.mark.parametrize(("outcome", "protected", "same", "age", "expected"), RULES)
def test_the_second_attempt(
    book: Book,
    clock: Any,
    described: Described,
    outcome: str,
    protected: str,
    same: bool,
    age: float,
    expected: str,
) -> None:
    protection, lifetime = PROTECTED[protected]
    first = allowed(book, described("f", protection), lifetime)
    if outcome != "intent":
        book.close(first, Outcome(outcome), OK if outcome == "effect" else None)
    clock.pass_by(age)
    asked = described("f" if same else "g", protection)
    assert decision(book, asked, lifetime) == expected


def test_every_rule_is_there() -> None:
    rows = {(outcome, protected, same) for outcome, protected, same, *_ in RULES}
    assert rows == set(itertools.product(map(str, Outcome), PROTECTED, (True, False)))


def test_statuses_mean_what_the_engine_says() -> None:
    step: Any = None
    for status in [None, *range(100, 600)]:
        assert str(outcome_of(status)) == outcomes._fate(status), (status, step)
    # 303 is what a service answers that has done it; a refusal would be sent anew.
    assert {s: str(outcome_of(s)) for s in (303, 304, 307, 400, 409, 429, 500)} == {
        303: "unknown",
        304: "refused",
        307: "refused",
        400: "refused",
        409: "unknown",
        429: "not-sent",
        500: "unknown",
    }


# --- doubt ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [Outcome.REFUSED, Outcome.NOT_SENT])
def test_no_effect_of_the_second_says_nothing_of_the_first(
    book: Book, clock: Any, described: Described, second: Outcome
) -> None:
    # 401 because the key was rotated, say, or a refused connection: the first one may have billed.
    asked = described("f", KEYED)
    book.close(allowed(book, asked, LIFETIME), Outcome.UNKNOWN)
    clock.pass_by(60)
    again = allowed(book, asked, LIFETIME)
    book.close(again, second, Response(401, (), b"") if second is Outcome.REFUSED else None)
    entry = book.store.get("k")
    assert entry is not None
    assert entry.outcome is Outcome.UNKNOWN
    assert "earlier attempt" in entry.note
    assert decision(book, asked, LIFETIME) == "send 0 in doubt"
    clock.pass_by(LIFETIME)
    assert decision(book, asked, LIFETIME) in ("person", "later 40")
    clock.pass_by(LIFETIME)
    assert decision(book, asked, LIFETIME) == "person"


def test_a_crash_in_doubt_stays_in_doubt(book: Book, clock: Any, described: Described) -> None:
    asked = described("f", KEYED)
    for _ in range(3):
        permission = allowed(book, asked, LIFETIME)
        clock.pass_by(PATIENCE)
    assert permission.doubt
    clock.pass_by(EDGE - 3 * PATIENCE)
    assert decision(book, asked, LIFETIME) == "person"


def test_a_key_declared_later_does_not_protect_what_went_without(book: Book, described: Described) -> None:
    book.close(allowed(book, described("f", "")), Outcome.UNKNOWN)
    assert decision(book, described("f", KEYED), LIFETIME) == "person"
    assert decision(book, described("f", "body uniqueid"), LIFETIME) == "person"


def test_the_lifetime_runs_from_the_first_sending_that_may_have_arrived(
    book: Book, clock: Any, described: Described
) -> None:
    asked = described("f", KEYED)
    book.close(allowed(book, asked, LIFETIME), Outcome.NOT_SENT)
    clock.pass_by(LIFETIME * 5)
    book.close(allowed(book, asked, LIFETIME), Outcome.UNKNOWN)  # the first one that left
    clock.pass_by(EDGE - 10)
    book.close(allowed(book, asked, LIFETIME), Outcome.NOT_SENT)  # does not start it anew
    clock.pass_by(10)
    assert decision(book, asked, LIFETIME) == "person"


def test_a_429_may_have_left_the_key_at_the_service(book: Book, clock: Any, described: Described) -> None:
    asked = described("f", KEYED)
    book.close(allowed(book, asked, LIFETIME), Outcome.NOT_SENT, Response(429, (), b""))
    clock.pass_by(60)
    book.close(allowed(book, asked, LIFETIME), Outcome.NOT_SENT)  # refused connection
    clock.pass_by(60)
    book.close(allowed(book, asked, LIFETIME), Outcome.UNKNOWN)
    clock.pass_by(EDGE - 120)
    assert decision(book, asked, LIFETIME) == "person"


# --- late outcomes -------------------------------------------------------------------------------------


def test_a_late_effect_is_worth_knowing(book: Book, clock: Any, described: Described) -> None:
    asked = described("f", KEYED)
    slow = allowed(book, asked, LIFETIME)
    clock.pass_by(PATIENCE)
    quick = allowed(book, asked, LIFETIME)
    book.close(slow, Outcome.EFFECT, OK)
    book.close(quick, Outcome.UNKNOWN)
    entry = book.store.get("k")
    assert entry is not None
    assert (entry.outcome, entry.response, entry.status) == (Outcome.EFFECT, OK, 200)
    assert "late" in entry.note


@pytest.mark.parametrize("late", [Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.REFUSED])
def test_other_late_outcomes_change_nothing(
    book: Book, clock: Any, described: Described, late: Outcome
) -> None:
    asked = described("f", KEYED)
    slow = allowed(book, asked, LIFETIME)
    clock.pass_by(PATIENCE)
    quick = allowed(book, asked, LIFETIME)
    book.close(slow, late)
    assert book.store.get("k").outcome is Outcome.INTENT  # type: ignore[union-attr]
    book.close(quick, Outcome.EFFECT, OK)
    book.close(slow, late)
    assert book.store.get("k").outcome is Outcome.EFFECT  # type: ignore[union-attr]


def test_a_second_effect_is_never_silent(book: Book, clock: Any, described: Described) -> None:
    slow = allowed(book, described())
    clock.pass_by(PATIENCE)
    entry = book.store.get("k")
    assert entry is not None
    assert book.store.decide(entry, "ops", "not-happened", "looked", outcome=Outcome.NOT_SENT, status=None)
    quick = allowed(book, described())
    book.close(quick, Outcome.EFFECT, OK)
    book.close(slow, Outcome.EFFECT, OK)
    assert [record["action"] for record in book.store.audit("k")] == ["not-happened", "late-effect"]


def test_a_late_effect_of_an_older_generation_settles_nothing(book: Book, described: Described) -> None:
    first = allowed(book, described())
    book.close(first, Outcome.REFUSED, Response(400, (), b""))
    second = allowed(book, described())
    assert second.generation == 1
    book.close(first, Outcome.EFFECT, OK)
    entry = book.store.get("k")
    assert entry is not None
    assert (entry.generation, entry.outcome) == (1, Outcome.INTENT)
    assert [record["action"] for record in book.store.audit("k")] == ["late-effect"]
    book.close(second, Outcome.EFFECT, OK)
    assert book.store.get("k").outcome is Outcome.EFFECT  # type: ignore[union-attr]


def test_a_late_effect_beats_a_person_who_saw_nothing(book: Book, clock: Any, described: Described) -> None:
    slow = allowed(book, described())
    clock.pass_by(PATIENCE)
    entry = book.store.get("k")
    assert entry is not None
    book.store.decide(entry, "ops", "not-happened", "looked", outcome=Outcome.NOT_SENT, status=None)
    book.close(slow, Outcome.EFFECT, OK)
    assert isinstance(ask(book, described()), Replay)


# --- writes whose confirmation is lost -----------------------------------------------------------------


class Flaky:
    """Loses confirmations of commits, or the commits themselves."""

    def __init__(self, book: Book, method: str, *fates: str) -> None:
        self.real, self.fates = getattr(book.store, method), list(fates)
        setattr(book.store, method, self)

    def __call__(self, *given: Any, **named: Any) -> Any:
        fate = self.fates.pop(0) if self.fates else ""
        if fate == "before":
            raise LedgerUnavailable("no connection")
        result = self.real(*given, **named)
        if fate == "after":
            raise LedgerUnavailable("the connection was lost")
        return result


@pytest.mark.parametrize("fates", [["before"], ["after"], ["before", "before"], ["after", "before"]])
def test_a_first_intent_whose_confirmation_is_lost_is_found_again(
    book: Book, described: Described, fates: list[str]
) -> None:
    Flaky(book, "insert", *fates)
    permission = allowed(book, described())
    assert (permission.version, permission.doubt) == (1, False)
    book.close(permission, Outcome.EFFECT, OK)
    assert isinstance(ask(book, described()), Replay)


@pytest.mark.parametrize("fate", ["before", "after"])
def test_a_later_intent_whose_confirmation_is_lost_is_found_again(
    book: Book, described: Described, fate: str
) -> None:
    book.close(allowed(book, described("f", KEYED), LIFETIME), Outcome.UNKNOWN)
    Flaky(book, "replace", fate)
    permission = allowed(book, described("f", KEYED), LIFETIME)
    assert permission.doubt
    book.close(permission, Outcome.EFFECT, OK)
    assert book.store.get("k").outcome is Outcome.EFFECT  # type: ignore[union-attr]


def test_a_ledger_that_cannot_be_used_lets_nothing_through(book: Book, described: Described) -> None:
    Flaky(book, "insert", *["before"] * 9)
    with pytest.raises(LedgerUnavailable):
        allowed(book, described())


def test_an_outcome_whose_confirmation_is_lost_is_no_second_effect(book: Book, described: Described) -> None:
    permission = allowed(book, described())
    Flaky(book, "write", "after")
    with pytest.raises(LedgerUnavailable):
        book.close(permission, Outcome.EFFECT, OK)
    book.close(permission, Outcome.EFFECT, OK)
    assert book.store.audit("k") == []
    assert isinstance(ask(book, described()), Replay)


# --- the rest ------------------------------------------------------------------------------------------


def test_permission_ends_well_before_others_take_the_intent_for_lost(
    book: Book, described: Described
) -> None:
    permission = allowed(book, described())
    assert boot_clock() + GRACE / 2 - 1 < permission.until <= boot_clock() + GRACE / 2


@pytest.mark.parametrize("response", [None, Response(200, (), b"x" * (MAX_RESPONSE + 1))])
def test_an_effect_without_a_response_is_for_a_person(
    book: Book, described: Described, response: Response | None
) -> None:
    book.close(allowed(book, described("f", KEYED), LIFETIME), Outcome.EFFECT, response, "status 200")
    with pytest.raises(AmbiguousEffect, match="--happened --response") as raised:
        ask(book, described("f", KEYED), LIFETIME)
    assert raised.value.key == "k"
    assert ("too large" in str(raised.value)) == (response is not None)


def test_generations_go_on(book: Book, described: Described) -> None:
    for generation in range(4):
        permission = allowed(book, described(str(generation)))
        assert permission.generation == generation
        book.close(permission, Outcome.REFUSED, Response(422, (), b""))


def test_the_difference_is_shown(book: Book, described: Described) -> None:
    book.close(allowed(book, described("f", request="POST https://x\n\n{amount: 10}")), Outcome.EFFECT, OK)
    with pytest.raises(OtherRequest) as raised:
        ask(book, described("g", request="POST https://x\n\n{amount: 12}"))
    said = str(raised.value)
    assert all(text in said for text in ("-{amount: 10}", "+{amount: 12}", "reissue", "nothing was sent"))


def test_a_person_is_told_what_was_asked(book: Book, described: Described) -> None:
    book.close(allowed(book, described()), Outcome.UNKNOWN)
    with pytest.raises(AmbiguousEffect) as raised:
        ask(book, described())
    assert "POST https://x took effect is unknown" in str(raised.value)
    assert "ledger resolve k --happened or --not-happened" in str(raised.value)
