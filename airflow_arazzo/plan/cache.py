"""Plans on disk, found again by the content of every file that they came from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec

from airflow_arazzo.description.sources import file_digest
from airflow_arazzo.plan.codec import decode_plan, encode_plan
from airflow_arazzo.plan.compiler import Options, compile_workflow
from airflow_arazzo.plan.model import FORMAT, Plan
from airflow_arazzo.version import __version__


class _Entry(msgspec.Struct):
    """A cached plan with what it depends on: SHA-256 by path, an empty text for files that must not exist."""

    dependencies: dict[str, str]
    plan: msgspec.Raw


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
        return cached
    plan, dependencies = compile_workflow(document, workflow_id, options)
    _write(path, plan, dependencies)
    return plan


def _file_name(document: Path, workflow_id: str, options: Options) -> str:
    """One file for each way of compiling a workflow, so that an edit replaces its predecessor."""
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


def _read(path: Path) -> Plan | None:
    """A cached plan that is still good. A damaged entry counts as none."""
    try:
        entry = msgspec.json.decode(path.read_bytes(), type=_Entry)
        if any(file_digest(name) != digest for name, digest in entry.dependencies.items()):
            return None
        plan = decode_plan(bytes(entry.plan))
    except (OSError, ValueError):
        return None
    return plan if plan.format == FORMAT else None


def _write(path: Path, plan: Plan, dependencies: dict[str, str]) -> None:
    """Write an entry in one piece. Where the folder cannot be written to, plans are compiled each time."""
    data = msgspec.json.encode(_Entry(dependencies, msgspec.Raw(encode_plan(plan))))
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
