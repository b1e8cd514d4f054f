"""What people want to know of a plan's steps: where each can lead, and whether it may be sent twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from airflow_arazzo.expression.model import Criterion
from airflow_arazzo.plan.flow import falls_through
from airflow_arazzo.plan.model import SAFE_METHODS, Action, OperationCall, Step, Workflow

RESENT_METHODS = frozenset({"PUT", "DELETE"})
"""Methods that change something and do so once however often they are sent (RFC 9110, 9.2.2)."""

Repetition = Literal["safe", "repeatable", "keyed", "once"]


class Way(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way on from a step (Arazzo 1.1, "Success Action Object" and "Failure Action Object").

    :param on: what has become of the step.
    :param type: ``next`` is the step that follows in order; the others are types of actions.
    :param step: where it leads; for ``retry`` the other step that runs before. Empty at an end, and for a
        plain retry.
    :param workflow: key in :attr:`~airflow_arazzo.plan.model.Plan.workflows`, where it is one.
    :param name: of the action; empty where the order of the steps decides.
    :param when: criteria that all hold, as written.
    :param limit: retries at most; 0 for other types.
    :param after: seconds between retries, as a decimal text; empty when the document names none.
    """

    on: Literal["success", "failure"]
    type: Literal["next", "goto", "end", "retry"]
    step: str = ""
    workflow: str = ""
    name: str = ""
    when: tuple[str, ...] = ()
    limit: int = 0
    after: str = ""


def ways_on(workflow: Workflow, step: Step) -> Iterator[Way]:
    """Ways on from a step in the order in which they are tried; without the failure that nothing handles."""
    yield from (_way("success", action, step) for action in step.on_success)
    if falls_through(step):
        following = _following(workflow.steps, step)
        yield Way("success", "next", following) if following else Way("success", "end")
    yield from (_way("failure", action, step) for action in step.on_failure)


def _way(on: Literal["success", "failure"], action: Action, step: Step) -> Way:
    is_retry = action.type == "retry"
    return Way(
        on,
        action.type,
        step="" if is_retry and action.step == step.id else action.step,
        workflow=action.workflow,
        name=action.name,
        when=tuple(criterion_text(criterion) for criterion in action.criteria),
        limit=(1 if action.retry_limit is None else action.retry_limit) if is_retry else 0,
        after=action.retry_after if is_retry else "",
    )


def _following(steps: Sequence[Step], step: Step) -> str:
    """The step behind another one in order; empty behind the last."""
    ids = [each.id for each in steps]
    return next(iter(ids[ids.index(step.id) + 1 :]), "")


def criterion_text(criterion: Criterion) -> str:
    """A criterion in one line; other types than ``simple`` say what they are and what they look at."""
    condition = " ".join(criterion.condition.split())
    if criterion.type == "simple" or criterion.context is None:
        return condition
    return f"{criterion.type} of {criterion.context.text}: {condition}"


def repetition(call: OperationCall) -> Repetition:
    """Whether a request may be sent again while nobody knows what became of it.

    ``safe`` changes nothing, ``repeatable`` does the same when it is sent twice, ``keyed`` carries a key by
    which the service recognises it, and ``once`` is sent once only.
    """
    if call.method in SAFE_METHODS:
        return "safe"
    declared = call.idempotency
    if call.method in RESENT_METHODS or (declared is not None and not declared.name):
        return "repeatable"
    return "once" if declared is None else "keyed"


def repetition_text(call: OperationCall) -> str:
    """The same in a few words."""
    kind, declared = repetition(call), call.idempotency
    if kind == "keyed" and declared is not None:
        place = "header" if declared.place == "header" else "body field"
        return f"idempotent by {place} {declared.name}"
    return {"safe": "reads only", "repeatable": "may be sent twice"}.get(kind, "once only")
