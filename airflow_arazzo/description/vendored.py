"""Vendored sources: copies of remote descriptions in a folder of their own, with a lock file that lists them.

The folder is ``vendor`` beside the document or in one of its parent folders, or any folder of the source
path. Its file ``arazzo.lock.json`` says which file is the copy of which URL, and what its digest is.
Copies lie at the host and path of their URL, so that what they refer to relatively is found as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import msgspec

FOLDER = "vendor"
LOCK = "arazzo.lock.json"
MAX_PARENTS = 6
"""How many parent folders of a document are searched for the folder."""

_ODD = re.compile(r"[^\w.,@+~() -]")


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A copy.

    :param name: of the source description that it is for; empty for a file that a copy refers to.
    :param url: without fragment.
    :param file: relative to the folder, with slashes.
    :param sha256: of its bytes, in hexadecimal.
    :param size: in bytes.
    :param fetched: when, in UTC, as in RFC 3339.
    :param answered_by: the URL to which redirects led, where that is another.
    """

    name: str
    url: str
    file: str
    sha256: str
    size: int
    fetched: str
    answered_by: str = ""


class Lock(msgspec.Struct, frozen=True):
    """What a lock file says."""

    files: tuple[Entry, ...] = ()
    version: int = 1

    def encode(self) -> bytes:
        """The file's content: an entry for each copy, in the order of their files."""
        ordered = msgspec.structs.replace(self, files=tuple(sorted(self.files, key=lambda each: each.file)))
        return msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Lock:
        """The lock file of its content.

        :raises ValueError: when it is none, or names a file outside of its folder.
        """
        lock = msgspec.json.decode(data, type=cls)
        if lock.version != 1:
            raise ValueError(f"version {lock.version} of {LOCK} is not known")
        for entry in lock.files:
            if not is_inside(entry.file):
                raise ValueError(f"{entry.file!r} is not in the folder of {LOCK}")
        return lock


def folders_of(document: Path, source_path: Sequence[Path]) -> Iterator[Path]:
    """Folders that may hold copies for a document, in the order in which they count."""
    parents = [document.parent, *document.parent.parents][: MAX_PARENTS + 1]
    yield document.parent / FOLDER
    yield from source_path
    yield from (parent / FOLDER for parent in parents[1:])


def file_of(value: Any, url: str) -> str:
    """The file that a lock file, already read as JSON, has for a URL; empty when it has none."""
    files = value.get("files") if isinstance(value, Mapping) else None
    for entry in files if isinstance(files, list) else ():
        if isinstance(entry, Mapping) and entry.get("url") == url:
            file = entry.get("file")
            return file if isinstance(file, str) and is_inside(file) else ""
    return ""


def is_inside(file: str) -> bool:
    """Whether a relative path leads to a file below where it starts."""
    path = PurePosixPath(file)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts and "\0" not in file


def without_fragment(url: str) -> str:
    """A URL as lock files have it."""
    return urldefrag(url).url


def place_of(url: str) -> str:
    """Where the copy of a URL lies in the folder: its host, then its path.

    :raises ValueError: when the URL has no host, or is none.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"{url!r} has no host")
    segments = [unquote(segment) for segment in parts.path.split("/")]
    kept = [_ODD.sub("_", segment) for segment in segments if segment not in ("", ".", "..")]
    if parts.query:
        kept.append(_ODD.sub("_", unquote(parts.query)))
    if not kept or (parts.path.endswith("/") and not parts.query):
        kept.append("index")
    host = parts.hostname + (f"_{parts.port}" if parts.port else "")
    return "/".join([_ODD.sub("_", host), *(segment[:120] for segment in kept)])
