"""Overlays of a deployment: which document each is for, and what its targets select there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from airflow_arazzo.description.diagnostics import DocumentError, Severity
from airflow_arazzo.description.documents import Document, Location, Report
from airflow_arazzo.description.overlays import Action, Overlay, Patch, read_overlay
from airflow_arazzo.description.sources import Library
from airflow_arazzo.expression.languages import QueryError


@dataclass(frozen=True)
class _Candidate:
    """A document that an overlay may be for.

    :param urls: what source descriptions call it.
    """

    path: Path
    urls: frozenset[str] = frozenset()


def apply_overlays(library: Library, paths: Iterable[Path], report: Report) -> None:
    """Patch documents before they are read, so that the library hands out the patched ones.

    An overlay is for the document that its ``extends`` names: the entry document or one of its sources, by
    path, by URL (as a source description has it, or ``$self``), or else by file name. Without ``extends``
    it is for the entry document. Overlays of one document are applied in the order in which they are
    given, each once.

    :raises DocumentError: when the entry document cannot be read. What is wrong with overlays is reported.
    """
    overlays = [
        overlay for path in dict.fromkeys(map(_absolute, paths)) if (overlay := _read(library, path, report))
    ]
    if not overlays or report.failed:
        return
    entry = _Candidate(_absolute(library.entry))
    documents = [entry, *_sources(library, library.load(library.entry))]
    ours = [each for each in overlays if _meant(each, documents, library) == [entry]]
    _patch(library, entry.path, ours, report)
    for overlay in ours:
        _say_how(overlay, entry, library, report)
    # The entry document may have other sources now.
    documents = [entry, *_sources(library, library.load(library.entry))]
    others: dict[Path, list[Overlay]] = {}
    for overlay in overlays:
        chosen = None if overlay in ours else _only(overlay, documents, library, report)
        if chosen is not None:
            others.setdefault(chosen.path, []).append(overlay)
    for path, own in others.items():
        _patch(library, path, own, report)


def _only(
    overlay: Overlay, documents: Sequence[_Candidate], library: Library, report: Report
) -> _Candidate | None:
    """The document that an overlay is for; None (reported) when it is none of those given, or unclear."""
    at = overlay.extends or overlay.document.root
    meant = _meant(overlay, documents, library)
    names = ", ".join(library.name_of(each.path) for each in meant or documents)
    if not meant:
        message = f"{at.value} is neither the document nor one of its sources"
        report.error("overlay-document", message, at, f"known: {names}")
    elif len(meant) > 1:
        report.error("overlay-ambiguous", f"{at.value} may be any of {names}", at, "name it by its path")
    else:
        _say_how(overlay, meant[0], library, report)
        return meant[0]
    return None


def _read(library: Library, path: Path, report: Report) -> Overlay | None:
    try:
        return read_overlay(library.load(path), report)
    except DocumentError as error:
        report.diagnostics.extend(error.diagnostics)
        return None


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _sources(library: Library, document: Document, depth: int = 8) -> Iterator[_Candidate]:
    """The files of a document's sources, and of those of the Arazzo documents among them."""
    found: dict[Path, set[str]] = {}
    described = document.root.get("sourceDescriptions")
    for at in described.items() if described else ():
        fields = at.value if isinstance(at.value, dict) else {}
        name, url = fields.get("name"), fields.get("url")
        file = library.find(name, url, document) if isinstance(name, str) and isinstance(url, str) else None
        if file is None or not isinstance(url, str):
            continue
        path = _absolute(file.path)
        known = path in found
        found.setdefault(path, set()).add(url)
        if fields.get("type") == "arazzo" and not known and depth:
            nested = _loaded(library, path)
            if nested is not None:
                yield from _sources(library, nested, depth - 1)
    for path, urls in found.items():
        yield _Candidate(path, frozenset(urls))


def _loaded(library: Library, path: Path) -> Document | None:
    """A document; None when it cannot be read, which is reported when it is needed."""
    try:
        return library.load(path)
    except DocumentError:
        return None


def _meant(overlay: Overlay, documents: Sequence[_Candidate], library: Library) -> list[_Candidate]:
    """The documents that an overlay can be for, the first of them being the entry document."""
    if overlay.extends is None:
        return list(documents[:1])
    for is_named in (_by_path, _by_url, _by_self, _by_name):
        found = {each.path: each for each in documents if is_named(overlay.extends, each, library)}
        if found:
            return list(found.values())
    return []


def _say_how(overlay: Overlay, chosen: _Candidate, library: Library, report: Report) -> None:
    """Say so when a document was taken by its file name alone.

    A path is expected to be right; a URL or a bare name is not expected to be a path.
    """
    at = overlay.extends
    if at is None or any(is_named(at, chosen, library) for is_named in (_by_path, _by_url, _by_self)):
        return
    text = str(at.value)
    say = report.warning if "/" in text and "://" not in text else report.note
    say("overlay-nearby", f"{text} is taken to be {library.name_of(chosen.path)}", at)


def _by_path(extends: Location, candidate: _Candidate, library: Library) -> bool:
    return _path_of(extends) == candidate.path


def _by_url(extends: Location, candidate: _Candidate, library: Library) -> bool:
    return extends.value in candidate.urls


def _by_self(extends: Location, candidate: _Candidate, library: Library) -> bool:
    document = _loaded(library, candidate.path)
    return (
        document is not None and (at := document.root.get("$self")) is not None and at.value == extends.value
    )


def _by_name(extends: Location, candidate: _Candidate, library: Library) -> bool:
    return _file_name(extends) == candidate.path.name


def _path_of(extends: Location) -> Path | None:
    """The file that a reference means as it stands; relative ones start from the overlay's folder."""
    try:
        parts = urlsplit(str(extends.value))
    except ValueError:
        return None
    if parts.scheme not in ("", "file") or not parts.path:
        return None
    return _absolute(extends.document.path.parent / unquote(parts.path))


def _file_name(extends: Location) -> str:
    try:
        return unquote(urlsplit(str(extends.value)).path).rsplit("/", 1)[-1]
    except ValueError:
        return ""


def _patch(library: Library, path: Path, overlays: Sequence[Overlay], report: Report) -> None:
    """Put a patched document in the place of the one that the library has read."""
    if not overlays:
        return
    try:
        document = library.load(path)
    except DocumentError as error:
        report.diagnostics.extend(error.diagnostics)
        return
    patch = Patch(document, report)
    for overlay in overlays:
        for action in overlay.actions:
            _apply(patch, action, report)
    library.documents[path] = patch.finished(overlays[-1])


def _apply(patch: Patch, action: Action, report: Report) -> None:
    from airflow_arazzo.expression.jsonpath import locate

    try:
        found = locate(patch.value, str(action.target.value))
    except QueryError as problem:
        message = f"the target is no JSONPath query (RFC 9535): {problem}"
        report.add(Severity.ERROR, "overlay-target", message, action.target, offset=problem.offset)
    except ValueError as problem:
        report.error("overlay-target", f"the target cannot be looked up: {problem}", action.target)
    else:
        patch.apply(action, found)
