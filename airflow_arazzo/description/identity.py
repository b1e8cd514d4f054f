"""``$self``: the URI by which a document is known, wherever its file lies (Arazzo 1.1, OpenAPI 3.2)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 1000
"""How many files of one folder are looked into."""

_HEAD = 64 * 1024
_SELF = re.compile(rb"""["']?\$self["']?[ \t]*:[ \t]*(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"',}]+))""")


def identity(value: Any) -> str:
    """The ``$self`` of a document's content without a fragment, or nothing."""
    given = value.get("$self") if isinstance(value, dict) else None
    return urldefrag(given).url if isinstance(given, str) else ""


def is_absolute(uri: str) -> bool:
    """Whether a URI has a scheme of its own that is no file's."""
    try:
        return urlsplit(uri).scheme not in ("", "file")
    except ValueError:
        return False


def resolved(uri: str, base: str) -> str:
    """A URI reference resolved against an absolute ``$self``, without fragment; nothing when it is none."""
    try:
        joined = urldefrag(urljoin(base, uri)).url
    except ValueError:
        return ""
    return joined if is_absolute(joined) else ""


def folders(document: Path, self_uri: str) -> tuple[Path, ...]:
    """The folders where relative references of a document start, in order.

    A relative ``$self`` is first resolved against the document's place. Where nothing lies there, the
    document's own folder counts.
    """
    own = document.parent
    if not self_uri or is_absolute(self_uri):
        return (own,)
    try:
        path = unquote(urlsplit(self_uri).path)
    except ValueError:
        return (own,)
    return tuple(dict.fromkeys(((own / path).parent, own)))


def identities(folder: Path) -> dict[str, Path]:
    """Files of a folder by what stands as ``$self`` near their beginning; a guess until they are read."""
    found: dict[str, Path] = {}
    for path in _files(folder):
        try:
            with open(path, "rb") as file:
                head = file.read(_HEAD)
        except OSError:
            continue
        for match in _SELF.finditer(head):
            written = next(group for group in match.groups() if group is not None)
            found.setdefault(written.decode(errors="replace"), path)
    return found


def listing_digest(folder: str) -> str:
    """SHA-256 of the names of the documents in a folder, in hexadecimal."""
    names = "\n".join(path.name for path in _files(Path(folder)))
    return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIXES))
    except (OSError, ValueError):
        return
    yield from (folder / name for name in names[:MAX_FILES])
