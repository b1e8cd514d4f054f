"""What has changed between two versions of an OpenAPI description, as far as workflows notice: operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from airflow_arazzo.description.documents import Document
from airflow_arazzo.description.openapi import OpenApi
from airflow_arazzo.description.sources import Library

Operations = Mapping[tuple[str, str], str]
"""operationId, or an empty text, by method and path."""


class Change(msgspec.Struct, frozen=True):
    """A difference in one operation.

    :param kind: ``renamed`` has another operationId at the same method and path, ``moved`` the same
        operationId at another method or path.
    :param before: method and path, and operationId; None for one that was added.
    :param after: the same; None for one that is gone.
    """

    kind: Literal["added", "gone", "renamed", "moved"]
    before: tuple[str, str, str] | None = None
    after: tuple[str, str, str] | None = None


def operations(document: Document) -> Operations:
    """The operations of a description; none for what is no OpenAPI description."""
    api = OpenApi(document, Library(document.path, documents={document.path: document}))
    return {(key.method, key.path): str(key.at.value.get("operationId") or "") for key in api.keys}


def changes(before: Operations, after: Operations) -> Iterator[Change]:
    """Differences, those that can break a workflow first."""
    gone = {place: name for place, name in before.items() if place not in after}
    added = {place: name for place, name in after.items() if place not in before}
    moved = {
        place: next(new for new, other in added.items() if other == name)
        for place, name in gone.items()
        if name and list(gone.values()).count(name) == 1 == list(added.values()).count(name)
    }
    for place, name in gone.items():
        if place not in moved:
            yield Change("gone", before=(*place, name))
    for place, new in moved.items():
        yield Change("moved", before=(*place, gone[place]), after=(*new, added[new]))
    for place, name in before.items():
        if place in after and after[place] != name:
            yield Change("renamed", before=(*place, name), after=(*place, after[place]))
    for place, name in added.items():
        if place not in moved.values():
            yield Change("added", after=(*place, name))
