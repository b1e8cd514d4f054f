"""Asking a service whether an effect exists, by the lookup that a deployment names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import Request, RequestError, Response, TransportError
from airflow_arazzo.engine.request import build_request
from airflow_arazzo.engine.run import Exchange
from airflow_arazzo.engine.scope import Exchange as Exchanged
from airflow_arazzo.engine.scope import RunScope
from airflow_arazzo.expression.criteria import criteria_hold
from airflow_arazzo.expression.model import ABSENT, Criterion
from airflow_arazzo.plan.model import Probe, Step
from airflow_arazzo.plan.reads import expressions

SOONEST = 15.0
"""Seconds between two lookups, at least; later ones are further apart."""


class Finding(NamedTuple):
    """What a lookup says.

    :param happened: None when it says neither.
    """

    happened: bool | None
    reason: str
    response: Response | None = None


async def look_up(command: Send, request: Request, probe: Probe, scope: RunScope, send: Exchange) -> Finding:
    """Send the lookup and judge what it answers. Never raises: what goes wrong says neither.

    :param command: for the step whose effect is looked for.
    :param request: whose outcome is unknown, as it was sent, its idempotency key included.
    :param scope: what the step's expressions see.
    """
    try:
        lookup = build_request(probe.call, scope.during(Exchanged(request, None)))
        step = Step(f"{command.step.id} (lookup)", probe.call)
        response = await send(Send(lookup, step, command.path, command.visit))
    except (RequestError, TransportError) as error:
        return Finding(None, f"the lookup failed: {error}")
    return _judge(probe, response, Exchanged(request, response), scope)


def _judge(probe: Probe, response: Response, exchanged: Exchanged, scope: RunScope) -> Finding:
    """What a response to the lookup says of the effect."""
    scope = scope.during(exchanged)
    found, verdicts = criteria_hold(probe.happened, scope)
    missing, others = criteria_hold(probe.not_happened, scope)
    found = found and _counts(probe.happened, exchanged)
    missing = missing and bool(probe.not_happened) and _counts(probe.not_happened, exchanged)
    said = [f"happened if {each.reason}" for each in verdicts]
    said += [f"not happened if {each.reason}" for each in others]
    reason = f"status {response.status}; " + "; ".join(said)
    return Finding(found if found != missing else None, reason, response)


def _counts(criteria: Iterable[Criterion], exchanged: Exchanged) -> bool:
    """Whether a response can be judged by criteria at all.

    What is absent equals null: of an error, or of a body that is no JSON, ``$response.body#/id == null``
    holds and would say that nothing happened. So a status beyond 2xx counts only for criteria that ask for
    it, and criteria that look into a body need one that can be looked into.
    """
    used = [expression for criterion in criteria for expression in expressions(criterion)]
    body = [each for each in used if each.root == "response" and each.part in ("body", "payload")]
    if body and (exchanged.body is ABSENT or exchanged.warning):
        return False
    if any(each.path for each in body) and not isinstance(exchanged.body, dict | list):
        return False
    status = exchanged.response.status if exchanged.response else 0
    return 200 <= status < 300 or any(each.root == "statusCode" for each in used)


def next_look(passed: float, wait: float) -> float:
    """Seconds until the next lookup: as long as has passed, and not beyond the end of waiting."""
    return max(1.0, min(wait - passed, max(SOONEST, passed)))


def lookup_of(probe: Probe) -> str:
    """Method and path of the lookup, for people."""
    return f"{probe.call.method} {probe.call.path}"
