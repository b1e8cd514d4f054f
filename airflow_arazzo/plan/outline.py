"""What people want to know of a plan's steps: where each can lead, and whether it may be sent twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from airflow_arazzo.expression.model import Criterion
from airflow_arazzo.plan.flow import falls_through
from airflow_arazzo.plan.model import (
    IDEMPOTENT_METHODS,
    SAFE_METHODS,
    Action,
    OperationCall,
    SecurityScheme,
    Step,
    Workflow,
)

Repetition = Literal["safe", "repeatable", "keyed", "once"]


class Way(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way on from a step (Arazzo 1.1, "Success Action Object" and "Failure Action Object").

    :param on: what has become of the step.
    :param type: ``next`` is the step that follows in order, or the end behind the last step; the others are
        types of actions.
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
        yield Way("success", "next", _following(workflow.steps, step))
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
    condition = one_line(criterion.condition)
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
    if call.method in IDEMPOTENT_METHODS or (declared is not None and not declared.name):
        return "repeatable"
    return "once" if declared is None else "keyed"


def repetition_text(call: OperationCall) -> str:
    """The same in a few words."""
    kind, declared = repetition(call), call.idempotency
    if kind == "keyed" and declared is not None:
        place = "header" if declared.place == "header" else "body field"
        return f"idempotent by {place} {declared.name}"
    return {"safe": "reads only", "repeatable": "may be sent twice"}.get(kind, "once only")


def server_url(call: OperationCall) -> str:
    """The first server of an operation that can be used as it is described, without a slash at the end.

    Variables have their defaults. Empty where every server is relative or has a variable without one.
    """
    for server in call.servers:
        url = server.url.strip()
        for name, value in server.variables.items():
            url = url.replace(f"{{{name}}}", value)
        try:
            parts = urlsplit(url)
            usable = parts.scheme.lower() in ("http", "https") and parts.hostname and not parts.username
        except ValueError:
            continue
        if usable and "{" not in url and url.isprintable() and " " not in url:
            return f"{parts.scheme.lower()}://{parts.netloc}{parts.path.rstrip('/')}"
    return ""


_FLOWS = {
    "clientCredentials": "client credentials",
    "password": "login and password",
    "authorizationCode": "authorization code",
}
_HTTP = {
    "": "bearer token",
    "bearer": "bearer token",
    "basic": "login and password",
    "digest": "login and password (digest)",
}


def scheme_text(scheme: SecurityScheme) -> str:
    """What kind of credential a security scheme asks for, in a few words."""
    if scheme.type == "apiKey":
        return f"key in {scheme.place} {scheme.parameter}"
    if scheme.type == "http":
        return _HTTP.get(scheme.scheme, f"HTTP {scheme.scheme}")
    if scheme.type == "oauth2":
        return f"OAuth 2.0, {_FLOWS[scheme.flow]}" if scheme.flow in _FLOWS else "OAuth 2.0"
    return "client certificate" if scheme.type == "mutualTLS" else "OpenID Connect"


def one_line(text: str) -> str:
    """A text of a document in one line, U+FFFD for what is not printable: a terminal could obey it."""
    return "".join(each if each.isprintable() else "\ufffd" for each in " ".join(text.split()))
