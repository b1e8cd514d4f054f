"""Plans on disk, found again by the content of every file that they came from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from airflow_arazzo.description.digests import file_digest
from airflow_arazzo.plan.codec import decode_plan, encode_plan
from airflow_arazzo.plan.model import FORMAT, Plan
from airflow_arazzo.plan.options import Options
from airflow_arazzo.version import __version__

Made = TypeVar("Made")


@dataclass(frozen=True)
class Derivation(Generic[Made]):
    """Something that is made of a plan alone, so that it can be kept beside the plan.

    :param name: tells it from others, and goes with how it is made: another one when that changes.
    :param make: makes it.
    :param decoder: reads it again; it is written as JSON text.
    """

    name: str
    make: Callable[[Plan], Made]
    decoder: msgspec.json.Decoder[Made]


class _Entry(msgspec.Struct):
    """What was compiled.

    :param dependencies: what it depends on: SHA-256 by path, an empty text for what must not exist.
    :param derived: what was made of it, by name.
    """

    dependencies: dict[str, str]
    content: msgspec.Raw
    derived: dict[str, msgspec.Raw] = {}

    def is_current(self) -> bool:
        """Whether nothing that it came from has changed."""
        return all(file_digest(name) == digest for name, digest in self.dependencies.items())


_ENTRIES = msgspec.json.Decoder(_Entry)


def default_folder() -> Path:
    """``ARAZZO_CACHE_DIR``, else ``airflow-arazzo`` in the user's cache folder."""
    named = os.environ.get("ARAZZO_CACHE_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "airflow-arazzo"


def load_plan(
    document: Path, workflow_id: str = "", options: Options | None = None, folder: Path | None = None
) -> Plan:
    """The plan of a workflow, from the cache when nothing that it came from has changed.

    :param workflow_id: may be empty when the document has one workflow.
    :param folder: the cache's folder; :func:`default_folder` when not given.
    :raises DocumentError: when the document does not compile.
    """
    return _load(document, workflow_id, options or Options(), folder)[0]


def load_with(
    document: Path,
    workflow_id: str,
    options: Options,
    derivation: Derivation[Made],
    folder: Path | None = None,
) -> tuple[Plan, Made]:
    """The plan of a workflow as from :func:`load_plan`, and what is made of it, which the cache keeps, too.

    :raises DocumentError: when the document does not compile.
    """
    plan, entry, path = _load(document, workflow_id, options, folder)
    known = entry.derived.get(derivation.name)
    if known is not None:
        with contextlib.suppress(ValueError):
            return plan, derivation.decoder.decode(known)
    made = msgspec.json.encode(derivation.make(plan))
    entry.derived[derivation.name] = msgspec.Raw(made)
    _write(path, entry)
    return plan, derivation.decoder.decode(made)  # the same whether it was there or not


def _load(
    document: Path, workflow_id: str, options: Options, folder: Path | None
) -> tuple[Plan, _Entry, Path]:
    """A plan, with its entry and the file of that."""
    path = (folder or default_folder()) / _file_name(document, workflow_id, options)
    entry = _read(path)
    if entry is not None:
        with contextlib.suppress(ValueError):
            plan = decode_plan(entry.content)
            if plan.format == FORMAT:
                return plan, entry, path
    # Most processes find what they need; those that do not have a second for the compiler.
    from airflow_arazzo.plan.compiler import compile_workflow

    plan, dependencies = compile_workflow(document, workflow_id, options)
    entry = _Entry(dependencies, msgspec.Raw(encode_plan(plan)))
    _write(path, entry)
    return plan, entry, path


def load_ids(document: Path, options: Options | None = None, folder: Path | None = None) -> tuple[str, ...]:
    """Ids of a document's workflows, from the cache as :func:`load_plan` takes plans from it.

    :raises DocumentError: when the document cannot be read.
    """
    options = options or Options()
    path = (folder or default_folder()) / _file_name(document, None, options)
    entry = _read(path)
    if entry is not None:
        with contextlib.suppress(ValueError):
            return msgspec.json.decode(entry.content, type=tuple[str, ...])
    from airflow_arazzo.plan.compiler import workflow_ids

    ids, dependencies = workflow_ids(document, options)
    _write(path, _Entry(dependencies, msgspec.Raw(msgspec.json.encode(ids))))
    return ids


def _file_name(document: Path, workflow_id: str | None, options: Options) -> str:
    """One file for each way of compiling a workflow, so that an edit replaces its predecessor.

    :param workflow_id: None for the list of a document's workflows.
    """
    sources = sorted((name, os.path.abspath(path)) for name, path in options.sources.items())
    source_path = [os.path.abspath(folder) for folder in options.source_path]
    asked = (
        FORMAT,
        __version__,
        os.path.abspath(document),
        workflow_id,
        sources,
        source_path,
        options.strict,
        [os.path.abspath(path) for path in options.overlays],
        repr(options.probes),
    )
    return hashlib.sha256(msgspec.json.encode(asked)).hexdigest() + ".json"


def _read(path: Path) -> _Entry | None:
    """What was compiled, if it is still good. A damaged entry counts as none."""
    try:
        entry = _ENTRIES.decode(path.read_bytes())
    except (OSError, ValueError):
        return None
    return entry if entry.is_current() else None


def _write(path: Path, entry: _Entry) -> None:
    """Write an entry in one piece. Where the folder cannot be written to, it is made anew each time."""
    data = msgspec.json.encode(entry)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
