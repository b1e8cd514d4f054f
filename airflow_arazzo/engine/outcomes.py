"""What a response, or its absence, means for the step that asked."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.messages import NotSent, TransportError
from airflow_arazzo.engine.scope import Exchange
from airflow_arazzo.expression.criteria import Verdict
from airflow_arazzo.plan.model import Action, OperationCall, Step

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that ask for nothing to be changed (RFC 9110, 9.2.1)."""

IDEMPOTENT_METHODS = SAFE_METHODS | {"PUT", "DELETE"}
"""Methods that may be sent again when the outcome is unknown (RFC 9110, 9.2.2)."""

UNKNOWN_STATUSES = frozenset({408, 409, 425})
"""Statuses below 500 that do not say whether an unsafe request took effect."""


def may_resend(step: Step) -> bool:
    """Whether a step's request may be sent again although it may have taken effect already."""
    return not isinstance(step.call, OperationCall) or step.call.method in IDEMPOTENT_METHODS


def transport_failure(step: Step, error: TransportError) -> Failure:
    """The failure of a step that got no response."""
    code = getattr(error, "code", "") or ("not-sent" if isinstance(error, NotSent) else "no-response")
    if isinstance(error, NotSent):
        return Failure(code, str(error), step.id, fate="not-sent")
    if may_resend(step):
        return Failure(code, str(error), step.id, fate="unknown")
    return Failure(
        "outcome-unknown",
        f"{error}; whether the request took effect is unknown",
        step.id,
        "look it up at the service before anything is sent again",
        fate="unknown",
    )


def default_verdict(exchange: Exchange) -> tuple[bool, list[Verdict]]:
    """Success without success criteria: any status of the 2xx class."""
    status = exchange.response.status if exchange.response else 0
    passed = 200 <= status < 300
    return passed, [Verdict(passed, f"status {status} is {'' if passed else 'not '}2xx (no successCriteria)")]


def criteria_failure(step: Step, exchange: Exchange, reasons: list[str]) -> Failure:
    """The failure of a step whose response does not meet its success criteria."""
    status = exchange.response.status if exchange.response else None
    message = "; ".join(reasons) or "the success criteria are not met"
    if status is None:
        return Failure("criteria", message, step.id)
    if 200 <= status < 300:
        hint = "" if may_resend(step) else "the request took effect; it is not sent again"
        return Failure("criteria", message, step.id, hint, fate="effect", status=status)
    if not may_resend(step) and (status >= 500 or status in UNKNOWN_STATUSES):
        hint = "look it up at the service before anything is sent again"
        unknown = f"{message}; whether the request took effect is unknown"
        return Failure("outcome-unknown", unknown, step.id, hint, fate="unknown", status=status)
    fate = "not-sent" if status == 429 else "refused"
    return Failure("criteria", message, step.id, fate=fate, status=status)  # type: ignore[arg-type]


def retry_delay(action: Action | None, exchange: Exchange | None, now: float, default: float = 0.0) -> float:
    """Seconds to wait: the response's ``Retry-After``, else the action's ``retryAfter``, else a default."""
    header = exchange.response.header("Retry-After") if exchange and exchange.response else None
    asked = _retry_after(header, now) if header else None
    if asked is not None:
        return asked
    return float(action.retry_after) if action and action.retry_after else default


def _retry_after(header: str, now: float) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3); None when it makes no sense."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now)
