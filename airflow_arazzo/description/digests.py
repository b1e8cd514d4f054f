"""What files hold, in short: whether something that was made of them is still good."""

from __future__ import annotations

import hashlib
import os
import time
from typing import BinaryIO

from airflow_arazzo.description.identity import listing_digest

_AT_REST = 2 * 10**9
"""Nanoseconds for which nobody has touched a file whose digest is remembered: two changes within one tick
of the file system's clock would look like one."""

_BLOCK = 64 * 1024
"""Bytes read at once: as many as Python takes from memory that it has already."""

_KEPT = 4096
_digests: dict[str, tuple[tuple[int, ...], str]] = {}


def file_digest(path: str) -> str:
    """SHA-256 of a file in hexadecimal, of its names for a folder; empty when there is no such file.

    A file is read once by each process, as long as the file system says that it is the same.
    """
    if path.endswith(os.sep):
        return listing_digest(path)
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            signature = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            known = _digests.get(path)
            if known is not None and known[0] == signature:
                return known[1]
            digest = _sha256(file)
    except (OSError, ValueError):
        return ""
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _AT_REST:
        if len(_digests) >= _KEPT:
            _digests.clear()
        _digests[path] = (signature, digest)
    return digest


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
