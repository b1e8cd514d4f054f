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

from airflow_arazzo.description.arazzo import SourceDescription, StepObject
from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.openapi import ApiOperation
from airflow_arazzo.plan.declaration import HEADER, fits, parse
from airflow_arazzo.plan.model import SAFE_METHODS, Body, Idempotency

EXTENSION = "x-idempotency"


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
