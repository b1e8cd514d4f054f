"""The exchange: intent, request, outcome, in this order, and what is written down."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response
from airflow_arazzo.ledger.group import GroupBook
from airflow_arazzo.ledger.model import (
    AmbiguousEffect,
    EffectUnderWay,
    LedgerUnavailable,
    OtherRequest,
)
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.plan.model import Idempotency, Parameter, SchemeUse

HEADER = Idempotency("header", "Idempotency-Key", 3600.0)
BODY = Idempotency("body", "uniqueId", 3600.0)
REPEATABLE = Idempotency("header", "")
OK = Response(200, (("Content-Type", "application/json"),), b'{"id":1}', "https://api.test/charges")


def respond(status: int, *headers: tuple[str, str], body: bytes = b"{}") -> Response:
    return Response(status, headers, body)


def test_the_intent_is_written_before_the_request_leaves(bench: Any, scripted: Any) -> None:
    send = scripted(OK)
    seen: list[str] = []
    send.before = lambda: seen.append(bench.outcome())
    assert bench.attempt(send) is OK
    assert seen == ["intent"]
    assert bench.outcome() == "effect"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_safe_methods_pass_by(bench: Any, scripted: Any, method: str) -> None:
    bench.attempt(scripted(OK), request=bench.request(method=method))
    assert bench.store.entries() == []


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (respond(200), "effect"),
        (respond(201), "effect"),
        (respond(303), "unknown"),
        (respond(307), "refused"),
        (respond(400), "refused"),
        (respond(409), "unknown"),
        (respond(429), "not-sent"),
        (respond(500), "unknown"),
        (NotSent("refused connection"), "not-sent"),
        (OutcomeUnknown("reset"), "unknown"),
        (OutcomeUnknown("truncated", status=200), "effect"),
        (OutcomeUnknown("truncated", status=400), "refused"),
        (OutcomeUnknown("truncated", status=500), "unknown"),
        (asyncio.CancelledError(), "intent"),
        (RuntimeError("a fault below"), "intent"),
    ],
)
def test_what_each_result_is_written_as(bench: Any, scripted: Any, result: Any, outcome: str) -> None:
    if isinstance(result, Response):
        assert msgspec.structs.replace(bench.attempt(scripted(result)), key="") == result
    else:
        with pytest.raises(type(result)):
            bench.attempt(scripted(result))
    assert bench.outcome() == outcome


@pytest.mark.parametrize("bench", ["grouped"], indirect=True)
@pytest.mark.parametrize(
    ("result", "leaves"),
    [
        (respond(200), True),
        (respond(400), True),
        (NotSent("refused connection"), True),
        (respond(500), False),
        (OutcomeUnknown("reset"), False),
        (OutcomeUnknown("truncated", status=200), False),
        (OutcomeUnknown("truncated", status=400), False),
    ],
)
def test_who_may_have_to_ask_or_send_again_keeps_the_slot(
    bench: Any, scripted: Any, result: Any, leaves: bool
) -> None:
    """Of a batch: a known answer leaves its slot to another row before it is written down."""
    exchange = bench.exchange(scripted(result))
    left: list[str] = []
    exchange.on_answer = lambda: left.append(bench.outcome())
    with suppress(NotSent, OutcomeUnknown):
        asyncio.run(exchange(bench.send()))
    assert left == (["intent"] if leaves else [])
    assert bench.outcome() != "intent"


def test_what_took_effect_is_read_again_and_never_sent(bench: Any, scripted: Any) -> None:
    bench.attempt(scripted(OK))
    again = scripted()
    assert bench.attempt(again, again=True) == OK
    assert again.requests == []


def test_an_unknown_outcome_without_a_key_is_not_sent_again(bench: Any, scripted: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        bench.attempt(scripted(OutcomeUnknown("reset")))
    again = scripted()
    with pytest.raises(AmbiguousEffect):
        bench.attempt(again)
    assert again.requests == []


def test_a_killed_attempt_is_waited_for_and_then_unknown(bench: Any, scripted: Any) -> None:
    with pytest.raises(RuntimeError):
        bench.attempt(scripted(RuntimeError("killed")))
    with pytest.raises(EffectUnderWay) as raised:
        bench.attempt(scripted())
    assert raised.value.seconds == 40
    bench.clock.pass_by(40)
    with pytest.raises(AmbiguousEffect):
        bench.attempt(scripted())


@pytest.mark.parametrize(("key", "place"), [(HEADER, "header"), (BODY, "body")])
def test_a_keyed_request_is_sent_again_with_the_same_key(
    bench: Any, scripted: Any, key: Idempotency, place: str
) -> None:
    with pytest.raises(OutcomeUnknown):
        bench.attempt(first := scripted(OutcomeUnknown("reset")), key=key)
    bench.attempt(second := scripted(OK), key=key, again=True)
    [one], [two] = first.requests, second.requests
    assert (one.headers, one.body) == (two.headers, two.body)
    assert (place == "body") == (b"uniqueId" in one.body)
    assert (place == "header") == ("Idempotency-Key" in dict(one.headers))


def test_a_refusal_opens_a_new_generation_with_a_new_key(bench: Any, scripted: Any) -> None:
    send = scripted(respond(402), respond(402), OK)
    for _ in range(3):
        bench.attempt(send, key=HEADER)
    keys = [dict(request.headers)["Idempotency-Key"] for request in send.requests]
    assert keys == [keys[0], f"{keys[0]}-1", f"{keys[0]}-2"]


def test_the_key_is_no_part_of_the_fingerprint(bench: Any, scripted: Any) -> None:
    bench.attempt(scripted(respond(402)), key=BODY)
    bench.attempt(scripted(OK), key=BODY)
    assert bench.attempt(scripted(), key=BODY) == OK


def test_another_request_for_the_same_effect_is_not_sent(bench: Any, scripted: Any) -> None:
    bench.attempt(scripted(OK))
    with pytest.raises(OtherRequest):
        bench.attempt(scripted(), request=bench.request(b'{"amount":11}'))


# --- doubt ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "second", [respond(401), respond(429), NotSent("refused"), OutcomeUnknown("x", status=404)]
)
def test_the_workflow_does_not_hear_of_a_refusal_that_proves_nothing(
    bench: Any, scripted: Any, second: Any
) -> None:
    # It would go on with its failure actions, and bill in another way what was billed already.
    with pytest.raises(OutcomeUnknown):
        bench.attempt(scripted(OutcomeUnknown("reset")), key=HEADER)
    with pytest.raises(OutcomeUnknown, match="earlier attempt"):
        bench.attempt(scripted(second), key=HEADER)
    assert bench.outcome() == "unknown"
    bench.attempt(third := scripted(OK), key=HEADER)
    assert "-" not in dict(third.requests[0].headers)["Idempotency-Key"]


def test_a_replayed_refusal_is_the_first_ones(bench: Any, scripted: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        bench.attempt(scripted(OutcomeUnknown("reset")), key=HEADER)
    response = respond(402, ("Idempotent-Replayed", "true"))
    assert bench.attempt(scripted(response), key=HEADER) is response
    assert bench.outcome() == "refused"


def test_put_and_delete_are_refused_plainly(bench: Any, scripted: Any) -> None:
    request = bench.request(None, method="DELETE")
    with pytest.raises(OutcomeUnknown):
        bench.attempt(scripted(OutcomeUnknown("reset")), request=request)
    assert bench.attempt(scripted(gone := respond(404)), request=request) is gone


# --- an author's own key -------------------------------------------------------------------------------


def test_an_authors_own_key_wins(bench: Any, scripted: Any) -> None:
    request = bench.request(b"{}", ("idempotency-key", "mine"))
    bench.attempt(send := scripted(OK), key=HEADER, request=request)
    assert send.requests[0].headers == request.headers


def test_another_key_of_the_authors_does_not_protect(bench: Any, scripted: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        bench.attempt(
            scripted(OutcomeUnknown("reset")),
            key=HEADER,
            request=bench.request(b"{}", ("Idempotency-Key", "1")),
        )
    with pytest.raises(AmbiguousEffect, match="without this key"):
        bench.attempt(scripted(), key=HEADER, request=bench.request(b"{}", ("Idempotency-Key", "2")))


def test_a_body_that_takes_no_key_leaves_no_intent(bench: Any, scripted: Any) -> None:
    with pytest.raises(NotSent, match="uniqueId"):
        bench.attempt(scripted(), key=BODY, request=bench.request(b'"text"'))
    assert bench.store.entries() == []


# --- what may be repeated ------------------------------------------------------------------------------


def test_what_is_declared_repeatable_passes_by(bench: Any, scripted: Any) -> None:
    send = scripted(OK, OK)
    bench.attempt(send, key=REPEATABLE)
    bench.attempt(send, key=REPEATABLE, again=True)
    assert len(send.requests) == 2
    assert [name for name, _ in send.requests[0].headers] == ["Content-Type"]


def test_signing_in_is_repeated(bench: Any, scripted: Any) -> None:
    step = bench.step(secret_outputs=("token",))
    send = scripted(OK, OK)
    for _ in range(2):
        bench.attempt(send, step=step)
    assert len(send.requests) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"security": ((SchemeUse("key"),),)},
        {"security": ((), (SchemeUse("key"),))},
        {"credentials": ("key",)},
        {"parameters": (Parameter("X-Key", "header", "", credential="key"),)},
    ],
)
def test_what_carries_a_credential_may_bill_and_is_not_repeated(
    bench: Any, scripted: Any, changes: dict[str, Any]
) -> None:
    # A payment whose client secret is sent later looks like signing in, but for its own credential.
    step = bench.step(bench.call(**changes), secret_outputs=("client_secret",))
    bench.attempt(scripted(OK), step=step)
    with pytest.raises(AmbiguousEffect, match="holds a credential"):
        bench.attempt(scripted(), step=step)
    [entry] = bench.store.entries()
    assert (entry.outcome, entry.response, entry.status) == ("effect", None, 200)


# --- secrets -------------------------------------------------------------------------------------------


def test_nothing_secret_is_written(bench: Any, scripted: Any) -> None:
    secret = "s3cret/+=ü key"
    bench.secrets.append("not yet known")
    send = scripted(
        Response(
            200,
            (("Set-Cookie", "a=b"), ("X-Echo", f"Bearer {secret}"), ("WWW-Authenticate", "x")),
            f'{{"echo":"{secret}"}}'.encode() + b"\xff",
            f"https://api.test/charges?k={secret}",
        )
    )
    send.before = lambda: bench.secrets.append(secret)  # a token that is fetched along the way
    bench.attempt(send)
    [entry] = bench.store.entries()
    assert entry.response == Response(
        200, (("X-Echo", "Bearer ***"),), b'{"echo":"***"}\xff', "https://api.test/charges?k=***"
    )
    bench.clock.pass_by(1)
    other = bench.request(f'{{"password":"{secret}"}}'.encode(), target=f"/charges?k={secret}")
    with pytest.raises(NotSent):
        bench.attempt(scripted(NotSent(f"no route for {secret}")), request=other, visit=2)
    newest = bench.store.entries()[0]
    assert newest.description.request == 'POST https://api.test/charges?k=***\n\n{"password":"***"}'
    assert newest.note == "no route for ***"


def test_a_rotated_secret_is_no_other_request(bench: Any, scripted: Any) -> None:
    bench.secrets.append("old-password")
    bench.attempt(scripted(OK), request=bench.request(b'{"password":"old-password"}'))
    bench.secrets[:] = ["new-password"]
    assert bench.attempt(scripted(), request=bench.request(b'{"password":"new-password"}')) == OK


def test_the_request_is_kept_for_people_only_so_far(bench: Any, scripted: Any) -> None:
    bench.attempt(scripted(OK), request=bench.request(b'"' + b"x" * 100_000 + b'"'))
    with pytest.raises(OtherRequest, match="beyond what is kept"):
        bench.attempt(scripted(), request=bench.request(b'"' + b"x" * 99_999 + b'y"'))


# --- a ledger in trouble -------------------------------------------------------------------------------


def fail(bench: Any, what: str, times: int) -> list[int]:
    """Let so many writes of intents fail, or of outcomes."""
    left, real = [times], Store.write

    def write(self: Store, intents: Any, changes: Any, **named: Any) -> Any:
        if left[0] and (intents if what == "intents" else changes):
            left[0] -= 1
            raise LedgerUnavailable("gone")
        return real(self, intents, changes, **named)

    bench.monkeypatch.setattr(Store, "write", write)
    return left


def test_without_a_ledger_nothing_is_sent(bench: Any, scripted: Any) -> None:
    fail(bench, "intents", 99)
    with pytest.raises(LedgerUnavailable):
        bench.attempt(send := scripted())
    assert send.requests == []


def test_an_outcome_is_written_in_the_end(bench: Any, scripted: Any) -> None:
    fail(bench, "outcomes", 1)
    bench.attempt(scripted(OK))
    assert bench.outcome() == "effect"


def test_an_outcome_that_cannot_be_written_is_told(
    bench: Any, scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    left = fail(bench, "outcomes", 99)
    with caplog.at_level(logging.ERROR):
        assert bench.attempt(scripted(OK)) is OK
    assert "ledger resolve" in caplog.text
    assert "--happened" in caplog.text
    left[0] = 0
    bench.clock.pass_by(40)
    with pytest.raises(AmbiguousEffect):
        bench.attempt(scripted())


def test_who_comes_too_late_does_not_send(bench: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # The process was stopped between its intent and its request, and others may have looked meanwhile.
    monkeypatch.setattr("airflow_arazzo.ledger.exchange.boot_clock", lambda: float("inf"))
    with pytest.raises(NotSent, match="too late"):
        bench.attempt(send := scripted())
    assert send.requests == []
    assert bench.outcome() == "not-sent"


@pytest.mark.parametrize("thread", [False, True], ids=["in the loop", "in a thread"])
def test_who_is_cancelled_while_asking_takes_the_intent_back(bench: Any, scripted: Any, thread: bool) -> None:
    async def cancelled(moment: str) -> None:
        exchange = bench.exchange(scripted())
        task = asyncio.ensure_future(exchange(bench.send()))
        real, loop, here = Store.write, asyncio.get_running_loop(), threading.get_ident()

        def write(*given: Any, **named: Any) -> Any:
            if moment == "before":
                cancel()
            result = real(*given, **named)
            if moment == "after":
                cancel()
            return result

        def cancel() -> None:
            if threading.get_ident() == here:
                task.cancel()
            else:
                asyncio.run_coroutine_threadsafe(cancelling(), loop).result(5)

        async def cancelling() -> None:
            task.cancel()
            await asyncio.sleep(0)

        bench.monkeypatch.setattr(Store, "write", write)
        if thread:
            bench.monkeypatch.setattr(GroupBook, "_written_here", lambda *given: {})
        with pytest.raises(asyncio.CancelledError):
            await task
        bench.monkeypatch.setattr(Store, "write", real)

    for moment in ("before", "after"):
        asyncio.run(cancelled(moment))  # waits for the thread
        assert bench.outcome() == "not-sent", moment
        bench.attempt(scripted(respond(400)))


def test_who_is_cancelled_after_the_response_still_writes(bench: Any, scripted: Any) -> None:
    async def cancelled() -> None:
        send = scripted(OK)
        task = asyncio.ensure_future(bench.exchange(send)(bench.send()))
        send.before = lambda: asyncio.get_running_loop().call_soon(task.cancel)
        with suppress(asyncio.CancelledError):  # it may have been done before it heard of that
            await task

    asyncio.run(cancelled())
    assert bench.outcome() == "effect"


class Interrupted(BaseException):
    """As Airflow's when a task has run for too long: raised by a signal, wherever the process is."""


def test_who_is_interrupted_while_the_outcome_is_written_writes_it(bench: Any, scripted: Any) -> None:
    real, left = Store.write, [1]

    def write(self: Store, intents: Any, changes: Any, **named: Any) -> Any:
        if changes and left:
            left.pop()
            raise Interrupted
        return real(self, intents, changes, **named)

    bench.monkeypatch.setattr(Store, "write", write)
    with pytest.raises(Interrupted):
        bench.attempt(scripted(OK))
    assert bench.outcome() == "effect"


def test_who_is_cancelled_while_the_ledger_is_away_still_writes(
    bench: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(bench, "outcomes", 4 if bench.grouped else 1)  # a group tries again by itself

    async def cancelled() -> None:
        exchange = bench.exchange(scripted(OK))
        exchange._pauses = (30.0,)
        task = asyncio.ensure_future(exchange(bench.send()))
        real = asyncio.sleep

        async def sleep(seconds: float) -> None:
            if seconds:
                task.cancel()
            await real(seconds)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert bench.outcome() == "effect"
