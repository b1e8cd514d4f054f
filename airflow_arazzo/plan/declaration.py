"""What a declaration of idempotency says: whether and how an operation honours a key."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.plan.media_type import is_json
from airflow_arazzo.plan.model import LIFETIME, Body, Idempotency

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
