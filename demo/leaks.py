"""Looking for secrets where none may be: in every file below a folder."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote_plus


def find_leaks(folder: Path, secrets: Iterable[str]) -> list[str]:
    """Files below a folder that contain a secret, plainly or in a usual encoding.

    Looked for are the secret itself, its form-encoded, base64 and hexadecimal forms, also inside gzip and
    zlib streams. SQLite keeps texts as they are, so databases and their journals are files like any other.

    :return: a line for each file and form, which names the file and never the secret.
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return find_in(((str(path.relative_to(folder)), path.read_bytes()) for path in files), secrets)


def find_in(named: Iterable[tuple[str, bytes]], secrets: Iterable[str]) -> list[str]:
    """The same in data with names."""
    forms = [(name, form) for secret in secrets for name, form in _forms(secret)]
    return [
        f"{where}: {name}{layer}"
        for where, whole in named
        for layer, data in _layers(whole)
        for name, form in forms
        if form in data
    ]


def _forms(secret: str) -> Iterator[tuple[str, bytes]]:
    raw = secret.encode()
    yield "plain", raw
    yield "hexadecimal", raw.hex().encode()
    if quote_plus(secret) != secret:
        yield "form-encoded", quote_plus(secret).encode()
    for name, text in (("base64", raw), ("basic credentials", raw + b":"), ("basic credentials", b":" + raw)):
        # Base64 of the middle of a longer text depends on where the secret begins in it; the characters
        # at either end share bits with their neighbours and are left out.
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + text)
            yield name, coded[4 if shift else 0 : len(coded) - 4]


def _layers(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The data, and what it is compressed from, if it is."""
    yield "", data
    for name, magic, unpack in (("gzip", b"\x1f\x8b", gzip.decompress), ("zlib", b"\x78", zlib.decompress)):
        if data.startswith(magic):
            try:
                yield f" inside {name}", unpack(data)
            except (OSError, zlib.error, EOFError):
                continue
