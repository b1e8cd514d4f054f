"""Finding and loading the files that a document names, without any network.

A source's URL is never fetched. Its file is found, in this order: the mapping that the caller gives by
source name; the copy that a lock file has of the URL, see :mod:`~airflow_arazzo.description.vendored`; the
document beside this one, or on the source path, whose ``$self`` is the URL; the URL as a path relative to
the document; the end of the URL's path (longest first) beside the document, in the folders of the source
path, and in the document's parent folders.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from airflow_arazzo.description import vendored
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.description.documents import Document, read_document, relative_name
from airflow_arazzo.description.identity import (
    folders,
    identities,
    identity,
    listing_digest,
    resolved,
)

MAX_PARENTS = 6
"""How many parent folders of a document are searched for its sources."""


@dataclass(frozen=True)
class Found:
    """Where the file of a source was found.

    :param how: ``mapped``, ``vendored`` (as a lock file says), ``identified`` (by its ``$self``),
        ``relative`` (as the URL says), ``nearby`` (by the end of the URL's path).
    """

    path: Path
    how: str


@dataclass
class Library:
    """Loads every file once and remembers which files a compilation depended on.

    :param entry: the entry document's path; names in diagnostics are relative to its folder.
    :param mapping: files by source name.
    :param source_path: folders that are searched for sources by file name.
    """

    entry: Path
    mapping: Mapping[str, Path] = field(default_factory=dict)
    source_path: Sequence[Path] = ()
    documents: dict[Path, Document] = field(default_factory=dict)
    probed: set[Path] = field(default_factory=set)
    _identities: dict[Path, dict[str, Path]] = field(default_factory=dict)

    def load(self, path: Path) -> Document:
        """The document at a path.

        :raises DocumentError: when it cannot be read.
        """
        key = Path(os.path.abspath(path))
        if key not in self.documents:
            self.documents[key] = read_document(key, self.name_of(key))
        return self.documents[key]

    def name_of(self, path: Path) -> str:
        """The name of a file in diagnostics."""
        return relative_name(Path(os.path.abspath(path)), Path(os.path.abspath(self.entry)).parent)

    def exists(self, path: Path) -> bool:
        """Whether there is such a file; a miss is remembered, because its appearance would matter."""
        found = os.path.isfile(path)
        if not found:
            self.probed.add(Path(os.path.abspath(path)))
        return found

    def find(self, name: str, url: str, base: Document) -> Found | None:
        """The file of a source description, or None."""
        if name in self.mapping:
            return Found(self.mapping[name], "mapped")
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        copy = self._vendored(url, base)
        if copy is not None:
            return Found(copy, "vendored")
        known = self.identified(url, base)
        if known is not None:
            return Found(known.path, "identified")
        folder = base.path.parent
        for start_folder in folders(base.path, identity(base.value)):
            direct = start_folder / unquote(parts.path)
            if start_folder != folder:  # the place that a $self names need not be there
                direct = Path(os.path.normpath(direct))
            if parts.scheme in ("", "file") and parts.path and self.exists(direct):
                return Found(direct, "relative")
        tail = [part for part in unquote(parts.path).split("/") if part not in ("", ".", "..")]
        parents = [folder, *folder.parents][: MAX_PARENTS + 1]
        for place in (folder, *self.source_path, *parents[1:]):
            for start in range(max(0, len(tail) - 4), len(tail)):
                candidate = place.joinpath(*tail[start:])
                if self.exists(candidate):
                    return Found(candidate, "nearby")
        return None

    def _vendored(self, url: str, base: Document) -> Path | None:
        """The copy of a URL, in the first folder whose lock file has one that is there."""
        wanted = resolved(url, identity(base.value))
        if not wanted:
            return None
        for folder in vendored.folders_of(self.entry, self.source_path):
            lock = folder / vendored.LOCK
            if not self.exists(lock):
                continue
            try:
                file = vendored.file_of(self.load(lock).value, wanted)
            except DocumentError:
                self.probed.add(Path(os.path.abspath(lock)))
                continue
            if file and self.exists(folder / file):
                return folder / file
        return None

    def identified(self, url: str, base: Document) -> Document | None:
        """The document whose ``$self`` is a URL, among those loaded, beside ``base`` and on the source path.

        :param url: may be relative where ``base`` has an absolute ``$self``.
        """
        wanted = resolved(url, identity(base.value))
        if not wanted:
            return None
        for document in self.documents.values():
            if identity(document.value) == wanted:
                return document
        for folder in (base.path.parent, *self.source_path):
            path = self._identified_in(Path(os.path.abspath(folder))).get(wanted)
            try:
                document_there = self.load(path) if path else None
            except DocumentError:
                continue
            if document_there is not None and identity(document_there.value) == wanted:
                return document_there
        return None

    def _identified_in(self, folder: Path) -> dict[str, Path]:
        if folder not in self._identities:
            self._identities[folder] = identities(folder)
        return self._identities[folder]

    def dependencies(self) -> dict[str, str]:
        """SHA-256 by path of every file that was read, and an empty text for files that were missed.

        A path that ends in a separator is a folder that was searched: its value is of the names there.
        """
        read = {str(path): document.digest for path, document in self.documents.items()}
        missed = {str(path): "" for path in self.probed if path not in self.documents}
        listed = {f"{folder}{os.sep}": listing_digest(str(folder)) for folder in self._identities}
        return read | missed | listed
