"""Plans on disk, found again by the content of every file that they came from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec

from airflow_arazzo.description.digests import file_digest
from airflow_arazzo.plan.codec import decode_plan, encode_plan
from airflow_arazzo.plan.model import FORMAT, Plan
from airflow_arazzo.plan.options import Options
from airflow_arazzo.version import __version__


class _Entry(msgspec.Struct):
    """What was compiled, with what it depends on: SHA-256 by path, an empty text for what must not exist."""

    dependencies: dict[str, str]
    content: msgspec.Raw

    def is_current(self) -> bool:
        """Whether nothing that it came from has changed."""
        return all(file_digest(name) == digest for name, digest in self.dependencies.items())


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
    options = options or Options()
    path = (folder or default_folder()) / _file_name(document, workflow_id, options)
    cached = _read(path)
    if cached is not None:
        with contextlib.suppress(ValueError):
            plan = decode_plan(bytes(cached))
            if plan.format == FORMAT:
                return plan
    # Most processes find what they need; those that do not have a second for the compiler.
    from airflow_arazzo.plan.compiler import compile_workflow

    plan, dependencies = compile_workflow(document, workflow_id, options)
    _write(path, encode_plan(plan), dependencies)
    return plan


def load_ids(document: Path, options: Options | None = None, folder: Path | None = None) -> tuple[str, ...]:
    """Ids of a document's workflows, from the cache as :func:`load_plan` takes plans from it.

    :raises DocumentError: when the document cannot be read.
    """
    options = options or Options()
    path = (folder or default_folder()) / _file_name(document, None, options)
    cached = _read(path)
    if cached is not None:
        with contextlib.suppress(ValueError):
            return msgspec.json.decode(cached, type=tuple[str, ...])
    from airflow_arazzo.plan.compiler import workflow_ids

    ids, dependencies = workflow_ids(document, options)
    _write(path, msgspec.json.encode(ids), dependencies)
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


def _read(path: Path) -> msgspec.Raw | None:
    """What was compiled, if it is still good. A damaged entry counts as none."""
    try:
        entry = msgspec.json.decode(path.read_bytes(), type=_Entry)
    except (OSError, ValueError):
        return None
    return entry.content if entry.is_current() else None


def _write(path: Path, content: bytes, dependencies: dict[str, str]) -> None:
    """Write an entry in one piece. Where the folder cannot be written to, it is made anew each time."""
    data = msgspec.json.encode(_Entry(dependencies, msgspec.Raw(content)))
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
