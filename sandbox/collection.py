"""Objects by identifier, listed newest first, page by page, without looking at all of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Thing = dict[str, Any]


class Collection:
    """Objects that are dicts with an ``id``.

    :param indexed: fields by whose exact value lists are often filtered; call `reindex` after changing one.
    """

    def __init__(self, *indexed: str) -> None:
        self._indexed = indexed
        self._next = 0
        self._number: dict[str, int] = {}
        self._things: dict[int, Thing] = {}
        self._all: list[int] = []
        self._by: dict[tuple[str, Any], list[int]] = {}
        self._values: dict[int, list[tuple[str, Any]]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, thing: Thing) -> None:
        """Add an object whose identifier is new."""
        number = self._next
        self._next += 1
        self._number[thing["id"]] = number
        self._things[number] = thing
        self._all.append(number)
        self._index(number, thing)

    def get(self, object_id: str) -> Thing | None:
        """Return an object, or None."""
        number = self._number.get(object_id)
        return None if number is None else self._things[number]

    def remove(self, object_id: str) -> None:
        """Remove an object that is there."""
        number = self._number.pop(object_id)
        del self._things[number]
        self._all.pop(bisect_left(self._all, number))
        self._unindex(number)

    def reindex(self, thing: Thing) -> None:
        """Note new values of the indexed fields."""
        number = self._number[thing["id"]]
        self._unindex(number)
        self._index(number, thing)

    def _index(self, number: int, thing: Thing) -> None:
        self._values[number] = [(name, thing[name]) for name in self._indexed]
        for value in self._values[number]:
            insort(self._by.setdefault(value, []), number)

    def _unindex(self, number: int) -> None:
        for value in self._values.pop(number):
            numbers = self._by[value]
            numbers.pop(bisect_left(numbers, number))
            if not numbers:
                del self._by[value]

    def page(
        self,
        where: Mapping[str, Any],
        keep: Callable[[Thing], bool],
        limit: int,
        after: str | None = None,
        before: str | None = None,
    ) -> tuple[list[Thing], bool]:
        """Return up to ``limit`` objects, newest first, and whether there are more in that direction.

        :param where: values of indexed fields.
        :param keep: any further condition.
        :param after: identifier of an object; only older ones are listed.
        :param before: identifier of an object; only newer ones are listed, those next to it.
        """
        things: list[Thing] = []
        for thing in self._walk(where, after, before):
            if any(thing[name] != value for name, value in where.items()) or not keep(thing):
                continue
            if len(things) == limit:
                return (things[::-1] if before is not None else things), True
            things.append(thing)
        return (things[::-1] if before is not None else things), False

    def _walk(self, where: Mapping[str, Any], after: str | None, before: str | None) -> Iterator[Thing]:
        candidates = [self._by.get((name, value), []) for name, value in where.items()]
        numbers = min(candidates, key=len, default=self._all)
        if before is not None:
            start = bisect_right(numbers, self._number[before])
            return (self._things[numbers[i]] for i in range(start, len(numbers)))
        end = len(numbers) if after is None else bisect_left(numbers, self._number[after])
        return (self._things[numbers[i]] for i in range(end - 1, -1, -1))
