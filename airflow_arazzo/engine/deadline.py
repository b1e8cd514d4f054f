"""Called workflows whose time is over (Arazzo 1.1, ``timeout`` of a step that calls a workflow)."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_arazzo.engine import outcomes
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.stack import Stack
from airflow_arazzo.engine.state import Frame


def first_late(frames: Sequence[Frame], now: float) -> int | None:
    """Where the outermost activation stands whose time is over; None when there is none."""
    for index, frame in enumerate(frames):
        if 0 < frame.deadline <= now:
            return index
    return None


def too_late(stack: Stack, index: int, cause: Failure | None, *, keyed: bool) -> Failure:
    """Why a called workflow is given up; unknown where a request of it may have had an effect.

    :param index: of its activation; those behind it are given up with it.
    :param cause: why the request that was under way has no response, where one was.
    :param keyed: whether requests carry an idempotency key where the service honours one.
    """
    caller = stack.state.frames[index - 1]
    steps = stack.plan.workflows[caller.workflow].steps
    seconds = next(step.timeout_ms or 0 for step in steps if step.id == caller.step) / 1000
    message = f"not done within {seconds:g} s, the timeout of step {caller.step!r}"
    message += f"; {cause.message}" if cause else ""
    if not stack.frame.step:
        return Failure("timeout", message)
    step = stack.step()
    failure = Failure("timeout", message, step.id, key=cause.key if cause else "")
    owed = stack.state.in_flight or (cause is not None and cause.fate == "unknown")
    if not owed or outcomes.may_resend(step):
        return failure
    return outcomes.interrupted(step, failure, keyed=keyed)
