"""What a deployment says of its services: which operations honour an idempotency key, and how it is sent.

No key is invented: what nobody declares is sent once only.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.engine.media_type import is_json
from airflow_arazzo.plan.codec import encode_plan
from airflow_arazzo.plan.model import SAFE_METHODS, Idempotency, OperationCall, Plan, Step

REPEATABLE = Idempotency(place="header", name="")
"""A request that may be repeated at will, such as a query by POST: it goes without a key."""

_FIELDS = ("header", "body", "repeatable", "lifetime")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_KEYS = frozenset(
    {
        "accept",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "user-agent",
    }
)
"""Headers that mean something else."""


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
        if found is not None and found.place == "body" and not _has_json_body(call):
            return step
    else:
        return step
    return msgspec.structs.replace(step, call=msgspec.structs.replace(call, idempotency=found))


def _check_names(plan: Plan, parsed: Mapping[str, Idempotency | None]) -> None:
    calls = {f"{call.source}.{call.operation}": call for call in _calls(plan)}
    for name, found in parsed.items():
        if name in plan.sources:
            continue
        call = calls.get(name)
        if call is None:
            hint = did_you_mean(name, [*plan.sources, *calls])
            raise ValueError(
                f"idempotency: {name!r} is neither a source nor an operation of the workflow; {hint}"
            )
        if found is None:
            continue
        if call.method in SAFE_METHODS:
            raise ValueError(f"idempotency of {name!r}: {call.method} changes nothing and needs no key")
        if found.place == "body" and not _has_json_body(call):
            raise ValueError(f"idempotency of {name!r}: it has no JSON body to put {found.name!r} into")


def _calls(plan: Plan) -> Iterator[OperationCall]:
    for workflow in plan.workflows.values():
        for step in workflow.steps:
            if isinstance(step.call, OperationCall):
                yield step.call


def _has_json_body(call: OperationCall) -> bool:
    return call.body is not None and is_json(call.body.content_type)


def _parsed(name: str, given: Mapping[str, Any] | None) -> Idempotency | None:
    """A declaration, checked.

    :raises ValueError: when it is none.
    """
    where = f"idempotency of {name!r}"
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise ValueError(f"{where}: expected an object such as {{'header': 'Idempotency-Key'}}, or None")
    unknown = [str(field) for field in given if field not in _FIELDS]
    if unknown:
        raise ValueError(f"{where}: unknown field {unknown[0]!r}; {did_you_mean(unknown[0], _FIELDS)}")
    ways = [field for field in ("header", "body", "repeatable") if field in given]
    if len(ways) != 1:
        raise ValueError(f"{where}: expected exactly one of 'header', 'body' and 'repeatable'")
    if ways == ["repeatable"]:
        if given["repeatable"] is not True or "lifetime" in given:
            raise ValueError(f"{where}: 'repeatable' is True, and without a 'lifetime'")
        return REPEATABLE
    lifetime = _lifetime(where, given)
    value = given[ways[0]]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}: {ways[0]!r} must be a name")
    if ways == ["body"]:
        return Idempotency("body", value, lifetime)
    if not _TOKEN.fullmatch(value) or value.casefold() in _NO_KEYS:
        raise ValueError(f"{where}: {value!r} is no header that can take a key")
    return Idempotency("header", value, lifetime)


def _lifetime(where: str, given: Mapping[str, Any]) -> float:
    value = given.get("lifetime", 23 * 3600.0)
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not number or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{where}: 'lifetime' must be a number of seconds above 0")
    return float(value)
