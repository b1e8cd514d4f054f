"""Where each row of a chunk stands after a task: the file that the next task of the chunk begins with.

Files lie beside the manifest, one for each task and chunk. While a task works it adds parts with what is
done, so that another attempt need not begin at the beginning. States hold outputs of steps, so they are
sealed where that is possible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from airflow.sdk import ObjectStoragePath

from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.state import State, decode_state, encode_state
from airflow_arazzo.rows.manifest import STEPS

Seal = Callable[[bytes], str]
Unseal = Callable[[str], bytes]

Standing = Literal["open", "waits", "ended", "failed"]
"""``open``: to go on with a later task; ``waits``: in the middle of this one."""


class Place(msgspec.Struct, omit_defaults=True):
    """Where a row stands.

    :param line: where it was found.
    :param step: the step that is next, or under way.
    :param state: as :func:`~airflow_arazzo.engine.state.encode_state` writes it; empty where it has failed.
    :param entry: digest of where it stood when the task began with it; empty where it only passed through.
    :param failure: why it failed, without secrets.
    :param again: whether what failed may be tried again.
    :param unsent: whether the request that it has under way was never sent.
    """

    key: str
    line: int
    standing: Standing
    step: str
    state: str
    entry: str = ""
    failure: Failure | None = None
    again: bool = False
    unsent: bool = False

    @property
    def digest(self) -> str:
        """What tells this place from another one of the row."""
        return hashlib.sha256(self.state.encode()).hexdigest()[:32]


class Standings(NamedTuple):
    """What a file holds.

    :param digest: of its places; the file after it names it.
    :param after: digest of what the task began with.
    :param era: of the attempt that wrote it; a clear begins another one.
    """

    places: list[Place]
    digest: str
    after: str
    era: int


class _Head(msgspec.Struct):
    digest: str
    after: str
    era: int
    sealed: bool


def state_text(state: State) -> str:
    """A state for a place: without the time at which it began, which makes no difference."""
    return encode_state(msgspec.structs.replace(state, started=0.0))


def state_of(place: Place, now: float) -> State:
    """The state of a place, begun now.

    :raises ValueError: when it cannot be read.
    """
    state = decode_state(place.state)
    state.started = now
    return state


class Files:
    """The files of one task and chunk.

    :param folder: of the run.
    :param seal: encrypts, or None where there is no key.
    """

    def __init__(
        self, folder: ObjectStoragePath, task: str, chunk: int, seal: Seal | None, unseal: Unseal
    ) -> None:
        self._folder = folder / STEPS / task
        self._name = f"{chunk:05}"
        self._seal = seal
        self._unseal = unseal

    def begin(self) -> None:
        """Leave a sign that the task has begun: from here on rows may have been sent."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{self._name}.begun").touch()

    def write(self, places: Iterable[Place], *, after: str, era: int) -> str:
        """Write where all rows of the chunk stand; returns the digest."""
        self._folder.mkdir(parents=True, exist_ok=True)  # where no row gets to, nothing has begun
        digest = self._write(self._folder / f"{self._name}.jsonl", places, after, era)
        for part in self._parts():
            part.unlink(missing_ok=True)
        return digest

    def add(self, number: int, places: Iterable[Place], *, after: str, era: int) -> None:
        """Write some rows that are done while others are under way."""
        self._write(self._folder / f"{self._name}.part{number:05}", places, after, era)

    def read(self) -> Standings | None:
        """What was written last for the whole chunk; None when there is nothing, or it is not complete."""
        return self._read(self._folder / f"{self._name}.jsonl")

    def known(self) -> list[tuple[Place, int]]:
        """Every row's place that earlier attempts have left, the latest last, and the era of each."""
        found = [self.read(), *(self._read(part) for part in self._parts())]
        return [(place, each.era) for each in found if each for place in each.places]

    def next_part(self) -> int:
        """Number of the first part that is not there yet."""
        return max((int(part.name[-5:]) + 1 for part in self._parts()), default=0)

    def _parts(self) -> list[ObjectStoragePath]:
        prefix = f"{self._name}.part"
        if not self._folder.exists():
            return []
        return sorted(
            (each for each in self._folder.iterdir() if each.name.startswith(prefix)),
            key=lambda each: str(each.name),
        )

    def _write(self, path: ObjectStoragePath, places: Iterable[Place], after: str, era: int) -> str:
        body = b"\n".join(msgspec.json.encode(place) for place in places)
        digest = hashlib.sha256(body).hexdigest()
        head = msgspec.json.encode(_Head(digest, after, era, self._seal is not None))
        path.write_bytes(head + b"\n" + (self._seal(body).encode() if self._seal else body))
        return digest

    def _read(self, path: ObjectStoragePath) -> Standings | None:
        """A file; one that a killed process has left half-written counts as none."""
        try:
            first, _, rest = path.read_bytes().partition(b"\n")
            head = msgspec.json.decode(first, type=_Head)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        body = self._unseal(rest.decode()) if head.sealed else bytes(rest)
        if hashlib.sha256(body).hexdigest() != head.digest:
            return None
        places = [msgspec.json.decode(line, type=Place) for line in body.splitlines()]
        return Standings(places, head.digest, head.after, head.era)


def latest(known: Iterable[tuple[Place, int]]) -> Mapping[str, tuple[Place, int]]:
    """The last place of each row that a task began with, by key."""
    return {place.key: (place, era) for place, era in known if place.entry}


def failure_text(failure: Failure) -> dict[str, Any]:
    """A failure for a report."""
    return {
        "step": failure.step,
        "code": failure.code,
        "message": failure.message,
        **({"hint": failure.hint} if failure.hint else {}),
        **({"status": failure.status} if failure.status is not None else {}),
        **({"fate": failure.fate} if failure.fate else {}),
    }
