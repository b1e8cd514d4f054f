"""Lists as Stripe pages them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.call import Call
from sandbox.collection import Collection, Thing
from sandbox.reply import Reply
from sandbox.stripe_wire import missing

DEFAULT_LIMIT = 10

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def in_range(value: int | None, bounds: dict[str, int] | None) -> bool:
    """Tell whether a time is within the bounds that a list was asked for; no bounds admit everything."""
    if not bounds:
        return True
    return value is not None and all(_COMPARE[name](value, bound) for name, bound in bounds.items())


def envelope(url: str, data: list[Any], has_more: bool) -> dict[str, Any]:
    """Return a list object."""
    return {"object": "list", "url": url, "has_more": has_more, "data": data}


def list_page(
    call: Call,
    collection: Collection,
    kind: str,
    *,
    where: dict[str, Any],
    keep: Callable[[Thing], bool],
    show: Callable[[Thing], Any],
) -> Reply:
    """Answer a list request: newest first, ``limit`` objects after or before the object named.

    :param kind: what the objects are called in a refusal.
    :param where: values of indexed fields.
    :param keep: further conditions.
    :param show: form of an object in the answer.
    """
    cursors: dict[str, str | None] = {}
    for name in ("starting_after", "ending_before"):
        cursors[name] = call.body.get(name)
        if cursors[name] is not None and collection.get(call.body[name]) is None:
            raise missing(kind, call.body[name], name)
    things, more = collection.page(
        where,
        keep,
        call.body.get("limit", DEFAULT_LIMIT),
        after=cursors["starting_after"],
        before=cursors["ending_before"],
    )
    url = call.record.target.partition("?")[0]
    return Reply.json(envelope(url, [show(thing) for thing in things], more))
