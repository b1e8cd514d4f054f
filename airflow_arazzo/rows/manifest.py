"""The manifest: the rows of a run, frozen, so that every task of it means the same row by the same number.

Two files in the run's folder: one with the rows, a JSON object to a line, and one that says what is in it.
The latter is written last, so that there are either all rows or none.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec
from airflow.sdk import ObjectStoragePath

from airflow_arazzo.expression.jsonvalue import decode_json, encode_json
from airflow_arazzo.rows.check import Row
from airflow_arazzo.rows.files import opened

HEAD = "manifest.json"
STEPS = "steps"
"""Folder of what the steps leave beside the manifest."""

SHOWN = 20
"""Rows that a message names."""

_STRANGE = re.compile(r"[^A-Za-z0-9._=+-]+")


class DuplicateRows(ValueError):
    """Several rows have the same business key."""


class ChangedRows(ValueError):
    """Rows of a run that has begun are not what they were."""


class BrokenManifest(Exception):
    """The manifest is not there, or not as it was written."""


class Chunk(msgspec.Struct, frozen=True):
    """Rows that one task runs.

    :param offset: bytes before it in the file of rows.
    :param digest: SHA-256 (hex) of its bytes.
    """

    offset: int
    length: int
    rows: int
    digest: str


class Manifest(msgspec.Struct, frozen=True):
    """What is frozen.

    :param file: name of the file of rows.
    :param digest: SHA-256 (hex) of keys and inputs.
    """

    file: str
    digest: str
    rows: int
    chunks: tuple[Chunk, ...]


def run_folder(base: str, *names: str) -> ObjectStoragePath:
    """The folder of a run below a base: its names made safe, and still different for different names."""
    place = ObjectStoragePath(base)
    for name in names:
        safe = _STRANGE.sub("_", name).strip(".")[:100]
        if safe != name:
            safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
        place /= safe
    return place


def load(folder: ObjectStoragePath) -> Manifest | None:
    """The manifest of a folder, if there is one.

    :raises BrokenManifest: when it cannot be read.
    """
    try:
        return msgspec.json.decode((folder / HEAD).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise BrokenManifest(f"{folder / HEAD} cannot be read: {error}") from None


def read_chunk(folder: ObjectStoragePath, manifest: Manifest, index: int) -> list[Row]:
    """The rows of a chunk.

    :raises BrokenManifest: when they are not what was frozen.
    """
    chunk = manifest.chunks[index]
    try:
        with opened(folder / manifest.file, "rb") as file:
            file.seek(chunk.offset)
            data = file.read(chunk.length)
    except FileNotFoundError:
        raise BrokenManifest(f"the rows of the run are gone: {folder / manifest.file}") from None
    if hashlib.sha256(data).hexdigest() != chunk.digest:
        raise BrokenManifest(f"{folder / manifest.file} is not what was written: chunk {index} has changed")
    return [_row(line) for line in data.splitlines()]


def freeze(
    folder: ObjectStoragePath,
    rows: Iterable[Row],
    *,
    batch_size: int,
    most_chunks: int,
    accept_changes: bool = False,
) -> Manifest:
    """Write the rows of a run.

    Rows that were frozen before keep their order, new ones come behind them: what a chunk has done stays
    its own where only rows have been added.

    :param batch_size: rows in a chunk; more where there would be more than ``most_chunks`` of them.
    :param accept_changes: whether rows may change, or go, once steps have begun.
    :raises DuplicateRows: naming business keys that several rows have.
    :raises ChangedRows: naming rows that have changed or gone though steps have begun.
    """
    before = load(folder)
    with tempfile.TemporaryFile() as staged:
        index = _Index.of(rows, staged)
        order = index.in_order()
        if before is not None:
            known = list(_all_rows(folder, before))
            changed, gone = index.compared(known)
            if (changed or gone) and not accept_changes and _has_begun(folder):
                raise ChangedRows(_differences(changed, gone))
            order = index.in_order([row.key for row in known])
        size = max(1, batch_size, math.ceil(len(order) / max(1, most_chunks)))
        folder.mkdir(parents=True, exist_ok=True)
        manifest = index.write(folder, order, size)
    (folder / HEAD).write_bytes(msgspec.json.encode(manifest))
    if before is not None and before.file != manifest.file:
        (folder / before.file).unlink(missing_ok=True)
    return manifest


class _Index:
    """Rows in a file of ours, and where each of them is."""

    def __init__(self, staged: IO[bytes]) -> None:
        self._staged = staged
        self._numbers: dict[bytes, int] = {}
        self._ends = array("Q", [0])

    @classmethod
    def of(cls, rows: Iterable[Row], staged: IO[bytes]) -> _Index:
        index = cls(staged)
        twice: dict[str, list[int]] = {}
        for row in rows:
            line = encode_json({"line": row.line, "key": row.key, "inputs": row.inputs}) + b"\n"
            first = index._numbers.setdefault(_short(row.key), len(index._ends) - 1)
            if first != len(index._ends) - 1:
                twice.setdefault(row.key, [index.row(first).line]).append(row.line)
                continue
            staged.seek(index._ends[-1])
            staged.write(line)
            index._ends.append(index._ends[-1] + len(line))
        if twice:
            listed = [f"{key!r} (lines {', '.join(map(str, lines))})" for key, lines in twice.items()]
            raise DuplicateRows(f"Several rows have the same row_key: {_shortened(listed)}")
        return index

    def line(self, number: int) -> bytes:
        self._staged.seek(self._ends[number])
        return self._staged.read(self._ends[number + 1] - self._ends[number])

    def row(self, number: int) -> Row:
        return _row(self.line(number))

    def compared(self, known: Iterable[Row]) -> tuple[list[str], list[str]]:
        """Keys of rows that are not what they were, and of those that are gone."""
        changed, gone = [], []
        for row in known:
            number = self._numbers.get(_short(row.key))
            if number is None:
                gone.append(row.key)
            elif encode_json(self.row(number).inputs) != encode_json(row.inputs):  # 10.1 is not 10.10
                changed.append(row.key)
        return changed, gone

    def in_order(self, first: Iterable[str] = ()) -> list[int]:
        """Numbers of the rows: those of some keys first, in their order."""
        numbers = [self._numbers[_short(key)] for key in first if _short(key) in self._numbers]
        leading = set(numbers)
        return [*numbers, *(n for n in range(len(self._ends) - 1) if n not in leading)]

    def write(self, folder: ObjectStoragePath, order: list[int], size: int) -> Manifest:
        name = f"rows-{secrets.token_hex(4)}.jsonl"
        whole = hashlib.sha256()
        chunks: list[Chunk] = []
        offset = 0
        with opened(folder / name, "wb") as file:
            for begin in range(0, len(order), size):
                lines = [self.line(number) for number in order[begin : begin + size]]
                data = b"".join(lines)
                for line in lines:
                    row = _row(line)
                    whole.update(encode_json([row.key, row.inputs]))
                digest = hashlib.sha256(data).hexdigest()
                chunks.append(Chunk(offset, len(data), len(lines), digest))
                file.write(data)
                offset += len(data)
        return Manifest(name, whole.hexdigest(), len(order), tuple(chunks))


def _all_rows(folder: ObjectStoragePath, manifest: Manifest) -> Iterator[Row]:
    for index in range(len(manifest.chunks)):
        yield from read_chunk(folder, manifest, index)


def _has_begun(folder: ObjectStoragePath) -> bool:
    steps = folder / STEPS
    return bool(steps.exists() and next(iter(steps.iterdir()), None) is not None)


def _row(line: bytes) -> Row:
    fields: dict[str, Any] = decode_json(line)
    return Row(fields["line"], fields["key"], fields["inputs"])


def _short(key: str) -> bytes:
    """A key in sixteen bytes: there may be very many."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _differences(changed: list[str], gone: list[str]) -> str:
    parts = []
    if changed:
        parts.append(f"{len(changed)} row(s) have other values now: {_shortened(changed)}")
    if gone:
        parts.append(f"{len(gone)} row(s) are gone: {_shortened(gone)}")
    return "; ".join(parts)


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
