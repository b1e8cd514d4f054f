"""What a deployment says of its services: which operations honour an idempotency key, and how it is sent.

No key is invented: what nobody declares is sent once only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.plan.codec import encode_plan
from airflow_arazzo.plan.declaration import fits, parse
from airflow_arazzo.plan.model import SAFE_METHODS, Idempotency, OperationCall, Plan, Step


def declare(plan: Plan, declarations: Mapping[str, Mapping[str, Any] | None]) -> Plan:
    """The plan with what a deployment declares of its operations.

    :param declarations: by source name, or by ``SOURCE.operationId``, which wins. Each is an object with
        one of ``header`` (name of the header that takes the key), ``body`` (name of the property of the JSON
        body that does) and ``repeatable: True`` (it may be repeated at will, without a key), and with
        ``lifetime``, the seconds for which the service remembers a key from its first use. ``None``
        switches off what the document or its source declares. A source's declaration is for those of its
        operations that are not safe by their method and, for ``body``, have a JSON body.
    :raises ValueError: for unknown names and fields, values that cannot be, and an operation that the
        declaration cannot be for.
    """
    if not declarations:
        return plan
    parsed = {name: _parsed(name, given) for name, given in declarations.items()}
    _check_names(plan, parsed)
    workflows = {
        key: msgspec.structs.replace(
            workflow, steps=tuple(_declared(step, parsed) for step in workflow.steps)
        )
        for key, workflow in plan.workflows.items()
    }
    changed = msgspec.structs.replace(plan, workflows=workflows)
    bare = msgspec.structs.replace(changed, digest="", diagnostics=())
    return msgspec.structs.replace(changed, digest=hashlib.sha256(encode_plan(bare)).hexdigest())


def _declared(step: Step, parsed: Mapping[str, Idempotency | None]) -> Step:
    call = step.call
    if not isinstance(call, OperationCall) or call.method in SAFE_METHODS:
        return step
    name = f"{call.source}.{call.operation}"
    if name in parsed:
        found = parsed[name]
    elif call.source in parsed:
        found = parsed[call.source]
        if not fits(found, call.body):
            return step
    else:
        return step
    return msgspec.structs.replace(step, call=msgspec.structs.replace(call, idempotency=found))


def operation_names(plan: Plan) -> set[str]:
    """Operations of a plan as declarations name them."""
    return {f"{call.source}.{call.operation}" for call in _calls(plan)}


def _check_names(plan: Plan, parsed: Mapping[str, Idempotency | None]) -> None:
    calls = {f"{call.source}.{call.operation}": call for call in _calls(plan)}
    for name, found in parsed.items():
        if name in plan.sources:
            continue
        call = calls.get(name)
        if call is None:
            hint = did_you_mean(name, [*plan.sources, *calls])
            raise ValueError(f"{name!r} is neither a source nor an operation of the workflow; {hint}")
        if found is None:
            continue
        if call.method in SAFE_METHODS:
            raise ValueError(f"idempotency of {name!r}: {call.method} changes nothing and needs no key")
        if not fits(found, call.body):
            raise ValueError(f"idempotency of {name!r}: it has no JSON body to put {found.name!r} into")


def _calls(plan: Plan) -> Iterator[OperationCall]:
    for workflow in plan.workflows.values():
        for step in workflow.steps:
            if isinstance(step.call, OperationCall):
                yield step.call


def _parsed(name: str, given: Mapping[str, Any] | None) -> Idempotency | None:
    """A declaration, checked.

    :raises ValueError: when it is none.
    """
    try:
        return parse(given)
    except ValueError as error:
        raise ValueError(f"idempotency of {name!r}: {error}") from None
