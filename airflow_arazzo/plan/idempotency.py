"""Which operations recognise a repeated request: what documents say of it, and how it is written.

A description or a document says so in the extension ``x-idempotency``, an object with one of

- ``header``: name of the header that takes a key,
- ``body``: name of the property of the JSON body that does,
- ``repeatable: true``: it may be repeated at will, without a key,

and with ``lifetime``, the seconds for which the service remembers a key from its first use (23 hours by
default). ``false`` says that there is nothing of the kind. It may stand in a step, an operation, a source
description and at the root of an OpenAPI description; the first of these counts. An operation with a header
parameter ``Idempotency-Key`` says so, too. No key is invented for any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from airflow_arazzo.description.arazzo import SourceDescription, StepObject
from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.openapi import ApiOperation
from airflow_arazzo.plan.media_type import is_json
from airflow_arazzo.plan.model import LIFETIME, SAFE_METHODS, Body, Idempotency

EXTENSION = "x-idempotency"

HEADER = "Idempotency-Key"
"""The header of the IETF's draft on the subject; an operation that has it as a parameter honours it."""

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


def parse(given: Any) -> Idempotency | None:
    """A declaration, checked; None for one that switches off what is declared further out.

    :raises ValueError: when it is none.
    """
    if given is None or given is False:
        return None
    if not isinstance(given, Mapping):
        raise ValueError(f"expected an object such as {{'header': {HEADER!r}}}")
    unknown = [str(field) for field in given if field not in _FIELDS]
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; {did_you_mean(unknown[0], _FIELDS)}")
    ways = [field for field in ("header", "body", "repeatable") if field in given]
    if len(ways) != 1:
        raise ValueError("expected exactly one of 'header', 'body' and 'repeatable'")
    if ways == ["repeatable"]:
        if given["repeatable"] is not True or "lifetime" in given:
            raise ValueError("'repeatable' is true, and without a 'lifetime'")
        return REPEATABLE
    lifetime, value = _lifetime(given.get("lifetime", LIFETIME)), given[ways[0]]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{ways[0]!r} must be a name")
    if ways == ["body"]:
        return Idempotency("body", value, lifetime)
    if not _TOKEN.fullmatch(value) or value.casefold() in _NO_KEYS:
        raise ValueError(f"{value!r} is no header that can take a key")
    return Idempotency("header", value, lifetime)


def _lifetime(value: Any) -> float:
    try:
        seconds = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds <= 0:
        raise ValueError("'lifetime' must be a number of seconds above 0")
    return seconds


def fits(found: Idempotency | None, body: Body | None) -> bool:
    """Whether a request can carry the key where it is to be: in a property of its JSON body, or anywhere."""
    return found is None or found.place == "header" or (body is not None and is_json(body.content_type))


def declared(
    step: StepObject,
    operation: ApiOperation,
    source: SourceDescription | None,
    body: Body | None,
    report: Report,
) -> Idempotency | None:
    """What the documents say of a step's operation; what cannot be is reported."""
    if operation.method in SAFE_METHODS:
        return None
    root = Location(operation.at.document, (), operation.at.document.value)
    own = [step.at, operation.at]
    for place in (*own, source.at if source else None, root):
        at = place.get(EXTENSION) if place is not None else None
        if at is None:
            continue
        try:
            found = parse(at.value)
        except ValueError as error:
            report.error("bad-idempotency", f"{EXTENSION}: {error}", at)
            return None
        if fits(found, body):
            return found
        if place in own and found is not None:
            message = f"{EXTENSION}: the request has no JSON body to put {found.name!r} into"
            report.error("bad-idempotency", message, at)
        return None
    named = (p.name for p in operation.parameters if p.place == "header")
    name = next((name for name in named if name.casefold() == HEADER.casefold()), "")
    return Idempotency("header", name) if name else None
