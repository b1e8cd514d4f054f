"""OpenAPI Overlay 1.0: documents that change other documents before these are read.

Which document an overlay is for, and what its targets select, is decided elsewhere (``plan.overlays``).
Here an overlay is read and its actions are carried out, on a copy that remembers where each of its values
was written: in the document, or in an overlay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_arazzo.description.diagnostics import Position
from airflow_arazzo.description.documents import Document, Location, Pointer, Report
from airflow_arazzo.description.fields import Fields, type_name
from airflow_arazzo.description.yaml import MAX_ALIASED_NODES, MAX_DEPTH, deeper_than

VERSION = re.compile(r"1\.0\.\d+\Z")


@dataclass(frozen=True)
class Action:
    """An Action Object.

    :param target: the JSONPath query.
    :param update: what to merge or append; None where the action has no such field.
    """

    at: Location
    target: Location
    update: Location | None
    remove: bool


@dataclass(frozen=True)
class Overlay:
    """An Overlay Object.

    :param extends: the URI reference of the document that it is for, where it names one.
    """

    document: Document
    extends: Location | None
    actions: tuple[Action, ...]


def read_overlay(document: Document, report: Report) -> Overlay | None:
    """Read an Overlay Object; findings go into ``report``.

    :return: None when nothing can be made of it. Parts that are wrong are left out: see ``report.failed``.
    """
    root = document.root
    if not isinstance(root.value, dict) or "overlay" not in root.value:
        report.error("not-overlay", "not an overlay: it has no 'overlay' field", root)
        return None
    fields = Fields.of(root, "the overlay", ("overlay", "info", "extends", "actions"), report)
    if fields is None:
        return None
    version = fields.text("overlay", required=True)
    if version and not VERSION.match(version):
        message = f"Overlay {version} is not supported, expected 1.0.x"
        report.error("overlay-version", message, root / "overlay")
    info_at = fields.object("info", required=True)
    info = info_at and Fields.of(info_at, "info", ("title", "version"), report)
    if info:
        info.text("title", required=True)
        info.text("version", required=True)
    extends = fields.text_at("extends")
    actions = [a for at in fields.array("actions", required=True) if (a := _action(at, report))]
    _refuse_repeated(actions, report)
    return Overlay(document, extends, tuple(actions))


def _action(at: Location, report: Report) -> Action | None:
    fields = Fields.of(at, "an action", ("target", "description", "update", "remove"), report)
    if fields is None:
        return None
    fields.text("description")
    target = fields.text_at("target", required=True)
    remove = at.value.get("remove", False)
    if not isinstance(remove, bool):
        message = f"'remove' of an action must be a boolean, found {type_name(remove)}"
        report.error("wrong-type", message, at / "remove")
    update = at.get("update")
    if update is None and not remove:
        hint = "give it 'update' or 'remove: true'"
        report.warning("overlay-no-effect", "the action has no effect", at, hint)
    return Action(at, target, update, remove is True) if target is not None else None


def _refuse_repeated(actions: Iterable[Action], report: Report) -> None:
    """The same action twice would append its entry twice: an invoice with one line too many."""
    seen: dict[str, Action] = {}
    for action in actions:
        first = seen.setdefault(repr(action.at.value), action)
        if first is not action:
            line = first.at.document.position(first.at.pointer).line
            message = f"the same action stands at line {line} already"
            report.error("overlay-repeated", message, action.at, "remove one")


@dataclass(eq=False)
class Origin:
    """Where a value of a patched document was written.

    :param parts: origins of members or items, once one of them was changed; until then they follow from
        the pointer.
    """

    document: Document
    pointer: Pointer
    parts: dict[str, Origin] | list[Origin] | None = None

    @classmethod
    def of(cls, at: Location) -> Origin:
        """The origin of a value that is taken over from a location."""
        return cls(at.document, at.pointer)

    def open(self, value: Any) -> Any:
        """Origins of the members or items of the value that stands here."""
        if self.parts is None:
            if isinstance(value, dict):
                self.parts = {key: Origin(self.document, (*self.pointer, key)) for key in value}
            else:
                self.parts = [Origin(self.document, (*self.pointer, n)) for n in range(len(value))]
        return self.parts

    def follow(self, pointer: Pointer) -> tuple[Document, Pointer]:
        """Document and pointer of the value at a pointer from here, or of the deepest one on the way."""
        origin = self
        for depth, token in enumerate(pointer):
            if origin.parts is None:
                return origin.document, (*origin.pointer, *pointer[depth:])
            part = _part(origin.parts, token)
            if part is None:
                break
            origin = part
        return origin.document, origin.pointer


def _part(parts: dict[str, Origin] | list[Origin], token: str | int) -> Origin | None:
    if isinstance(parts, dict):
        return parts.get(str(token))
    return parts[token] if isinstance(token, int) and 0 <= token < len(parts) else None


@dataclass(frozen=True, eq=False)
class PatchedDocument(Document):
    """A document with overlays applied. Text and digest are those of the file; the value is patched."""

    origin: Origin = field(repr=False)

    def position(self, pointer: Pointer, *, key: bool = False, offset: int | None = None) -> Position:
        """Where a value was written: in the file, or in the overlay that it came from."""
        document, written = self.origin.follow(pointer)
        return document.position(written, key=key, offset=offset)


class Patch:
    """A copy of a document that actions are applied to, one after the other.

    :param report: receives what cannot be applied.
    """

    def __init__(self, document: Document, report: Report) -> None:
        self._document, self._report = document, report
        self._added = 0
        # Anchors and aliases of YAML share one value; a patch is for the place that it names.
        self.value = _copy(document.value)
        self._origin = Origin(document, ())

    def apply(self, action: Action, found: Iterable[Pointer]) -> None:
        """Carry out an action on everything that its target has selected."""
        pointers = list(dict.fromkeys(found))
        if not pointers:
            message = f"{action.target.value} selects nothing in {self._document.name}"
            self._report.warning("overlay-no-match", message, action.target)
        self._note_primitives(action, pointers)
        if action.remove:
            self._remove(action, pointers)
        elif action.update is not None:
            self._update_all(action, action.update, pointers)

    def finished(self, last: Overlay) -> PatchedDocument:
        """The document with all that was applied."""
        if deeper_than(self.value, MAX_DEPTH):
            message = f"{self._document.name} is nested more than {MAX_DEPTH} levels deep after it"
            self._report.error("too-deep", message, last.document.root)
        source = self._document
        return PatchedDocument(
            source.path, source.name, source.data, self.value, source.digest, origin=self._origin
        )

    def _note_primitives(self, action: Action, pointers: Iterable[Pointer]) -> None:
        """Overlay 1.0 selects objects and arrays; 1.1 says what selecting anything else means."""
        for pointer in pointers:
            value = self._at(pointer)[0]
            if not isinstance(value, dict | list):
                message = f"{action.target.value} selects {type_name(value)}; this is read as in Overlay 1.1"
                hint = "select the object or array that it is in"
                self._report.warning("overlay-primitive", message, action.target, hint)
                return

    def _remove(self, action: Action, pointers: list[Pointer]) -> None:
        # Backwards, so that the places of items that are still to go do not change.
        gone = sorted(pointers, key=lambda each: [(isinstance(t, str), t) for t in each], reverse=True)
        for pointer in gone:
            if not pointer:
                message = "the document as a whole cannot be removed"
                self._report.error("overlay-root", message, action.target)
                continue
            value, origin = self._at(pointer[:-1])
            del origin.open(value)[pointer[-1]]
            del value[pointer[-1]]

    def _update_all(self, action: Action, update: Location, pointers: Iterable[Pointer]) -> None:
        if self._added > MAX_ALIASED_NODES:
            return
        try:
            for pointer in pointers:
                self._update(action, update, pointer)
        except _TooLarge as stopped:
            message = f"overlays add more than {MAX_ALIASED_NODES} values to {self._document.name}"
            self._report.error("too-large", message, stopped.at)

    def _update(self, action: Action, update: Location, pointer: Pointer) -> None:
        value, origin = self._at(pointer)
        if isinstance(value, list):
            self._append(action, value, origin, update)
        elif isinstance(value, dict) and isinstance(update.value, dict):
            self._merge(value, origin, update)
        elif not isinstance(value, dict) and not isinstance(update.value, dict | list) and pointer:
            holder, at = self._at(pointer[:-1])
            self._put(holder, at, pointer[-1], update)
        else:
            self._incompatible(f"{action.target.value} selects {type_name(value)}", value, update)

    def _append(self, action: Action, value: list[Any], origin: Origin, update: Location) -> None:
        if isinstance(update.value, list) and value and not any(isinstance(item, list) for item in value):
            message = f"{action.target.value} selects an array, to which this array is added as one item"
            hint = "write an action for each item, or update the object that the array is in"
            self._report.warning("overlay-array-item", message, update, hint)
        self._add(value, origin, update)

    def _add(self, value: list[Any], origin: Origin, item: Location) -> None:
        origin.open(value).append(Origin.of(item))
        value.append(self._taken(item))

    def _put(self, value: Any, origin: Origin, token: str | int, member: Location) -> None:
        origin.open(value)[token] = Origin.of(member)
        value[token] = self._taken(member)

    def _merge(self, value: dict[str, Any], origin: Origin, update: Location) -> None:
        """Objects are merged, arrays joined, anything else takes the place of what was there."""
        for key, member in update.members():
            old, new = value.get(key), member.value
            if key not in value or (not isinstance(old, dict | list) and not isinstance(new, dict | list)):
                self._put(value, origin, key, member)
            elif isinstance(old, dict) and isinstance(new, dict):
                self._merge(old, origin.open(value)[key], member)
            elif isinstance(old, list) and isinstance(new, list):
                for item in member.items():
                    self._add(old, origin.open(value)[key], item)
            else:
                self._incompatible(f"{key!r} is {type_name(old)}", old, member)

    def _incompatible(self, what: str, old: Any, update: Location) -> None:
        message = f"{what}, which cannot be updated with {type_name(update.value)}"
        hint = "remove it with an action before this one" if not isinstance(old, dict) else ""
        self._report.error("overlay-incompatible", message, update, hint)

    def _at(self, pointer: Pointer) -> tuple[Any, Origin]:
        """The value at a pointer, and its origin."""
        value, origin = self.value, self._origin
        for token in pointer:
            origin = origin.open(value)[token]
            value = value[token]
        return value, origin

    def _taken(self, at: Location) -> Any:
        """A copy of a value of the overlay: two places must not share it."""
        self._added += _size(at.value)
        if self._added > MAX_ALIASED_NODES:
            raise _TooLarge(at)
        return _copy(at.value)


class _TooLarge(Exception):
    """Overlays have added more than is allowed; ``at`` is the last that they would have added."""

    def __init__(self, at: Location) -> None:
        super().__init__()
        self.at = at


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1
