"""What a response, or its absence, means for the step that asked."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.messages import NotSent, TransportError
from airflow_arazzo.engine.scope import Exchange
from airflow_arazzo.expression.criteria import Verdict
from airflow_arazzo.plan.model import IDEMPOTENT_METHODS, Action, OperationCall, Step

UNKNOWN_STATUSES = frozenset({408, 409, 425})
"""Statuses below 500 that do not say whether an unsafe request took effect."""

NOT_FOLLOWED = frozenset({304, 307, 308})
"""Redirections that leave the request to be made elsewhere, or not at all; after others it may have been."""

Fate = Literal["effect", "not-sent", "refused", "unknown"]

OUTCOME_UNKNOWN = "outcome-unknown"
"""Code of the failure after which nothing more is sent: a request that must not be repeated has a fate that
nobody knows."""

LEDGER_UNAVAILABLE = "ledger-unavailable"
"""Code of the failure where nobody can say what was sent before, so that nothing is."""

FINAL = frozenset({OUTCOME_UNKNOWN, "other-request", LEDGER_UNAVAILABLE})
"""Codes of failures after which no action of the document runs: it would act without knowing what was
billed. The last two are the ledger's: the same effect was asked for with another request before, or nobody
can say because the ledger cannot be reached."""

LONGEST_RETRY_AFTER = 24 * 3600.0
"""Seconds. A service that asks for more is asked again after a day."""

_LOOK_IT_UP = "look it up at the service before anything is sent again"
_TOOK_EFFECT = "the request took effect; it is not sent again"
_TOOK_EFFECT_BEFORE = "requests that the workflow sent took effect; they are not sent again"


def is_repeatable(step: Step) -> bool:
    """Whether a step's request does the same when it is sent twice, whatever became of the first.

    A step that calls a workflow has no request; what it called says for itself whether it had an effect.
    """
    return isinstance(step.call, OperationCall) and step.call.method in IDEMPOTENT_METHODS


def may_resend(step: Step, *, keyed: bool = False) -> bool:
    """Whether a step's request may be sent again while it is not known what became of it.

    :param keyed: whether requests carry an idempotency key where the service honours one.
    """
    honoured = keyed and isinstance(step.call, OperationCall) and step.call.idempotency is not None
    return honoured or is_repeatable(step)


def leaves_effect(step: Step, failure: Failure | None) -> bool:
    """Whether a step's operation may have changed something that a repetition would change again."""
    once_only = isinstance(step.call, OperationCall) and not is_repeatable(step)
    return once_only and (failure is None or failure.fate in ("effect", "unknown"))


def transport_failure(step: Step, error: TransportError, *, keyed: bool = False) -> Failure:
    """The failure of a step that got no response, or not all of it.

    :param keyed: as for :func:`may_resend`.
    """
    code = getattr(error, "code", "")
    if isinstance(error, NotSent):
        return Failure(code or "not-sent", _not_sent(error, code), step.id, fate="not-sent", key=error.key)
    if code == OUTCOME_UNKNOWN:
        return Failure(code, str(error), step.id, _LOOK_IT_UP, fate="unknown", key=error.key)
    status = getattr(error, "status", None)
    failure = response_failure(step, status, "no-response", str(error), effect=False, keyed=keyed)
    return msgspec.structs.replace(failure, key=error.key)


def _not_sent(error: NotSent, code: str) -> str:
    """A reason that says for itself that nothing was sent."""
    return f"{error}; nothing was sent" if code == LEDGER_UNAVAILABLE else str(error)


def _fate(status: int | None) -> Fate:
    """What a status says about the request's effect; without one nothing is known."""
    if status is None or status >= 500 or status < 200 or status in UNKNOWN_STATUSES:
        return "unknown"
    if status < 300:
        return "effect"
    if status < 400 and status not in NOT_FOLLOWED:
        return "unknown"
    return "not-sent" if status == 429 else "refused"


def called_failure(step_id: str, workflow: str, failure: Failure, *, effect: bool) -> Failure:
    """The failure of a step whose called workflow failed.

    :param effect: whether something was sent in the called workflow that must not be repeated.
    """
    inner = f", step {failure.step!r}" if failure.step else ""
    message = f"workflow {workflow!r}{inner}: {failure.message}"
    outer = msgspec.structs.replace(failure, message=message, step=step_id)
    if failure.code in FINAL:
        return outer
    if effect:
        hint = failure.hint if failure.fate == "effect" else _TOOK_EFFECT_BEFORE
        return msgspec.structs.replace(outer, hint=hint, fate="effect")
    fate = failure.fate if failure.fate in ("not-sent", "refused", "unknown") else ""
    return msgspec.structs.replace(outer, fate=fate)


def interrupted(step: Step, failure: Failure, *, keyed: bool) -> Failure:
    """The failure where a request that must not be repeated was under way, and nobody waits for it any more.

    :param keyed: as for :func:`may_resend`.
    """
    if may_resend(step, keyed=keyed):
        return msgspec.structs.replace(failure, fate="unknown")
    message = f"{failure.message}; whether the request took effect is unknown"
    return Failure(OUTCOME_UNKNOWN, message, failure.step, _LOOK_IT_UP, fate="unknown", key=failure.key)


def ended(failure: Failure, ended_by: str) -> Failure:
    """The failure with the name of the action that ended the workflow."""
    if not ended_by:
        return failure
    return msgspec.structs.replace(failure, message=f"{failure.message}; ended by action {ended_by!r}")


def default_verdict(exchange: Exchange) -> tuple[bool, list[Verdict]]:
    """Success without success criteria: any status of the 2xx class."""
    status = exchange.response.status if exchange.response else 0
    passed = 200 <= status < 300
    return passed, [Verdict(passed, f"status {status} is {'' if passed else 'not '}2xx (no successCriteria)")]


def response_failure(
    step: Step, status: int | None, code: str, message: str, *, effect: bool, keyed: bool = False
) -> Failure:
    """The failure of a step whose response, or called workflow, is not what it should be.

    :param status: of the response; None when there was none.
    :param code: of the failure, unless the request's outcome is unknown.
    :param effect: whether something was sent in the called workflow that must not be repeated.
    :param keyed: as for :func:`may_resend`.
    """
    if not isinstance(step.call, OperationCall):
        hint = _TOOK_EFFECT_BEFORE if effect else ""
        return Failure(code, message, step.id, hint, fate="effect" if effect else "", status=status)
    fate = _fate(status)
    if fate == "unknown" and not may_resend(step, keyed=keyed):
        unknown = f"{message}; whether the request took effect is unknown"
        return Failure(OUTCOME_UNKNOWN, unknown, step.id, _LOOK_IT_UP, fate=fate, status=status)
    hint = _TOOK_EFFECT if fate == "effect" and not is_repeatable(step) else ""
    return Failure(code, message, step.id, hint, fate=fate, status=status)


def retry_delay(action: Action | None, exchange: Exchange | None, now: float, default: float = 0.0) -> float:
    """Seconds to wait: the response's ``Retry-After``, else the action's ``retryAfter``, else a default."""
    header = exchange.response.header("Retry-After") if exchange and exchange.response else None
    asked = seconds_asked(header, now) if header else None
    if asked is not None:
        return min(asked, LONGEST_RETRY_AFTER)
    return float(action.retry_after) if action and action.retry_after else default


def seconds_asked(header: str, now: float) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3); None when it makes no sense."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, when.timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):  # what parsing a date can come to
        return None
