"""``$ref``: following references inside a document and across files."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.description.documents import Document, Location
from airflow_arazzo.description.sources import Library

MAX_HOPS = 64


class BrokenReference(Exception):
    """A ``$ref`` that leads nowhere; ``at`` is the reference, ``message`` says why."""

    def __init__(self, at: Location, message: str) -> None:
        super().__init__(message)
        self.at, self.message = at, message


def resolve(at: Location, library: Library) -> Location:
    """Follow ``$ref`` from a location until something else stands there.

    :raises BrokenReference: when a target does not exist, is remote, or the references form a circle.
    """
    first = at
    for _ in range(MAX_HOPS):
        if not isinstance(at.value, dict) or not isinstance(at.value.get("$ref"), str):
            return at
        at = _follow(at / "$ref", library)
    raise BrokenReference(first, "the references go in a circle")


def _follow(reference: Location, library: Library) -> Location:
    url, _, fragment = reference.value.partition("#")
    document = reference.document
    if url:
        document = _other_document(url, reference, library)
    target = document.root
    if fragment and not fragment.startswith("/"):
        return _anchor(target, fragment, reference)
    for token in unquote(fragment).split("/")[1:] if fragment else []:
        name = token.replace("~1", "/").replace("~0", "~")
        try:
            target = target / (_index(name) if isinstance(target.value, list) else name)
        except (KeyError, IndexError, ValueError, TypeError):
            raise BrokenReference(reference, f"there is no {name!r} at #{fragment}") from None
    return target


def _index(token: str) -> int:
    """An index of an array in a JSON Pointer (RFC 6901, 4).

    :raises ValueError: for anything else; ``-1`` counts from no end.
    """
    if not (token.isascii() and token.isdecimal()):
        raise ValueError(token)
    return int(token)


def _other_document(url: str, reference: Location, library: Library) -> Document:
    try:
        remote = bool(urlsplit(url).scheme)
    except ValueError:
        raise BrokenReference(reference, f"{url!r} is no URL") from None
    if remote:
        known = library.identified(url, reference.document)
        if known is not None:
            return known
        raise BrokenReference(reference, f"{url} is remote, and nothing is fetched while compiling")
    path = reference.document.path.parent / unquote(url)
    if not library.exists(path):
        raise BrokenReference(reference, f"there is no file {url}")
    try:
        return library.load(path)
    except DocumentError as error:
        raise BrokenReference(reference, f"{url} cannot be used: {error.diagnostics[0]}") from None


def _anchor(root: Location, name: str, reference: Location) -> Location:
    """A plain-name fragment: the object with that ``$anchor`` (JSON Schema 2020-12)."""
    stack = [root]
    while stack:
        at = stack.pop()
        if isinstance(at.value, dict):
            if at.value.get("$anchor") == name:
                return at
            stack.extend(member for _, member in at.members())
        else:
            stack.extend(at.items())
    raise BrokenReference(reference, f"there is no anchor {name!r}")
