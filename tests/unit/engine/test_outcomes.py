from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.engine import outcomes
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response
from airflow_arazzo.engine.scope import Exchange
from airflow_arazzo.plan.model import Action, Idempotency, OperationCall, Step, WorkflowCall

NOW = 1_700_000_000.0


def step(method: str) -> Step:
    return Step("s", OperationCall("api", "op", method, "/x"))


CALL = Step("s", WorkflowCall("w"))
SAFE, IDEMPOTENT, ONCE = ("GET", "HEAD", "OPTIONS", "TRACE"), ("PUT", "DELETE"), ("POST", "PATCH", "PURGE")


def of_status(one: Step, status: int | None) -> Failure:
    return outcomes.response_failure(one, status, "criteria", "no", effect=False)


@pytest.mark.parametrize("method", [*SAFE, *IDEMPOTENT])
def test_what_may_be_repeated_never_ends_in_an_unknown_outcome(method: str) -> None:
    one = step(method)
    assert outcomes.is_repeatable(one)
    assert outcomes.may_resend(one)
    for status in (None, 100, 302, 408, 409, 425, 500, 599):
        assert of_status(one, status).code == "criteria"
    assert outcomes.transport_failure(one, OutcomeUnknown("reset")).code == "no-response"
    assert not outcomes.leaves_effect(one, None)


@pytest.mark.parametrize("method", ONCE)
@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (None, "unknown"), (101, "unknown"), (200, "effect"), (299, "effect"), (300, "unknown"),
        (301, "unknown"), (302, "unknown"), (303, "unknown"), (304, "refused"), (307, "refused"),
        (308, "refused"), (400, "refused"), (401, "refused"), (404, "refused"), (408, "unknown"),
        (409, "unknown"), (422, "refused"), (425, "unknown"), (429, "not-sent"), (500, "unknown"),
        (503, "unknown"), (599, "unknown"),
    ],
)  # fmt: skip
def test_a_status_says_whether_a_request_took_effect(method: str, status: int | None, fate: str) -> None:
    one = step(method)
    failure = of_status(one, status)
    assert (failure.fate, failure.status) == (fate, status)
    assert (failure.code == outcomes.OUTCOME_UNKNOWN) is (fate == "unknown")
    assert outcomes.leaves_effect(one, failure) is (fate in ("effect", "unknown"))
    lost = outcomes.transport_failure(one, OutcomeUnknown("truncated", status=status))
    assert lost.fate == fate


def test_with_a_key_that_the_service_honours_an_unknown_outcome_may_be_sent_again() -> None:
    """Only where requests carry one; and what took effect is not to be sent again at all."""
    one = Step("s", OperationCall("api", "op", "POST", "/x", idempotency=Idempotency("header", "Key")))
    assert not outcomes.may_resend(one)
    assert outcomes.may_resend(one, keyed=True)
    assert not outcomes.may_resend(step("POST"), keyed=True)
    assert not outcomes.is_repeatable(one)
    lost = outcomes.transport_failure(one, OutcomeUnknown("reset"), keyed=True)
    assert (lost.code, lost.fate) == ("no-response", "unknown")
    assert outcomes.transport_failure(one, OutcomeUnknown("reset")).code == outcomes.OUTCOME_UNKNOWN


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_what_the_ledger_will_not_have_sent_is_final(method: str) -> None:
    ambiguous, other = OutcomeUnknown("ambiguous"), NotSent("other")
    ambiguous.code, other.code = "outcome-unknown", "other-request"  # type: ignore[attr-defined]
    for error, fate in ((ambiguous, "unknown"), (other, "not-sent")):
        failure = outcomes.transport_failure(step(method), error, keyed=True)
        assert failure.code in outcomes.FINAL
        assert failure.fate == fate
        assert outcomes.called_failure("s", "w", failure, effect=True).fate == fate


def test_what_was_not_sent_had_no_effect() -> None:
    failure = outcomes.transport_failure(step("POST"), NotSent("refused"))
    assert (failure.code, failure.fate) == ("not-sent", "not-sent")
    assert not outcomes.leaves_effect(step("POST"), failure)


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("fate", ["", "not-sent", "refused", "effect", "unknown"])
def test_a_called_workflow_has_an_effect_only_if_something_in_it_had(effect: bool, fate: str) -> None:
    """A GET whose criteria fail is an ``effect`` of its own, which nobody minds repeating."""
    inner = Failure("criteria", "no", "i", fate=fate)  # type: ignore[arg-type]
    outer = outcomes.called_failure("s", "w", inner, effect=effect)
    assert outer.step == "s"
    assert outer.message == "workflow 'w', step 'i': no"
    assert (outer.fate == "effect") is effect
    lost = Failure(outcomes.OUTCOME_UNKNOWN, "no", fate="unknown")
    unknown = outcomes.called_failure("s", "w", lost, effect=effect)
    assert (unknown.code, unknown.fate) == (outcomes.OUTCOME_UNKNOWN, "unknown")


@given(st.integers(min_value=-400_000, max_value=86_400))
def test_a_date_in_retry_after_is_waited_for(seconds: int) -> None:
    when = format_datetime(datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds), usegmt=True)
    response = Response(503, (("retry-after", when),), b"")
    assert outcomes.retry_delay(None, Exchange(None, response), NOW) == max(0, seconds)


@given(st.text())
def test_no_retry_after_header_breaks_anything_or_waits_for_ever(text: str) -> None:
    response = Response(503, (("Retry-After", text),), b"")
    action = Action("a", "retry", retry_after="3.5")
    assert 0 <= outcomes.retry_delay(action, Exchange(None, response), NOW) <= outcomes.LONGEST_RETRY_AFTER


def test_without_a_header_the_action_decides_and_without_it_the_default() -> None:
    action = Action("a", "retry", retry_after="3.5")
    nothing = Exchange(None, Response(503, (), b""))
    assert outcomes.retry_delay(action, nothing, NOW, 9.0) == 3.5
    assert outcomes.retry_delay(action, None, NOW, 9.0) == 3.5
    assert outcomes.retry_delay(Action("a", "retry"), nothing, NOW, 9.0) == 9.0
    assert outcomes.retry_delay(None, None, NOW) == 0.0
