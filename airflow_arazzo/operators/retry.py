"""When Airflow runs a task again, and after how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException

from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.ledger.model import LedgerUnavailable

RETRIES = 3
"""Retries of a task whose worker died, whose request could not be sent, or may safely be sent again."""

LONGEST_DELAY = 300.0
"""Seconds between two attempts, at most, where the service does not ask for more."""

_PASSING = frozenset({"not-sent", "no-response", "criteria"})
"""Codes of failures that may pass by themselves, as far as the request's fate allows a repetition."""


def with_retries(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of an operator whose requests go through the ledger: with retries, unless somebody chose.

    A killed worker is nobody's fault: its task comes back by itself, and the ledger knows what it had sent.
    """
    chosen = arguments.get("default_args", {})
    usual = {"retries": RETRIES, "retry_policy": ArazzoRetryPolicy()}
    return {name: value for name, value in usual.items() if name not in chosen} | arguments


class StepFailed(AirflowException):
    """A step failed, and repeating it is safe.

    :param failure: what happened.
    """

    def __init__(self, message: str, failure: Failure | None = None) -> None:
        super().__init__(message)
        self.failure = failure


def may_retry(failure: Failure, *, only_safe: bool, ledger: bool) -> bool:
    """Whether Airflow may run a task again: what may pass by itself, where a repetition cannot harm.

    What the service has refused, or answered as the document does not want it, would fail again; whether to
    ask again all the same is for the document's own ``retry`` actions to say.

    :param only_safe: whether all requests of the task are safe to repeat.
    :param ledger: whether the ledger keeps effects from being repeated.
    """
    if not (only_safe or ledger):
        return False
    if failure.code == LedgerUnavailable.code:
        return True
    return failure.code in _PASSING and failure.fate in ("not-sent", "unknown")


class ArazzoRetryPolicy(RetryPolicy):
    """Retries what may pass, later each time; anything unforeseen goes by the task's own settings.

    Failures that must not be repeated never come here: they end the task at once.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
    ) -> RetryDecision:
        """How to go on after an exception. Never raises: Airflow would then retry as if nothing was said."""
        try:
            if not isinstance(exception, StepFailed):
                return RetryDecision.default()
            delay = min(LONGEST_DELAY, 2.0 ** min(try_number, 12))
            if exception.failure is not None:
                delay = max(delay, exception.failure.retry_after or 0.0)
            return RetryDecision.retry(delay=timedelta(seconds=delay), reason="the step may be repeated")
        except Exception:
            return RetryDecision.fail()

    def serialize(self) -> dict[str, Any]:
        """The policy for the serialised DAG: it has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ArazzoRetryPolicy:
        """The policy out of a serialised DAG."""
        return cls()
