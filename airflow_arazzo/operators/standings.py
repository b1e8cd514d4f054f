"""Where tasks of a batch find the rows of their run."""

from __future__ import annotations

from typing import Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.crypto import get_fernet

from airflow_arazzo.operators.exchange import MANIFEST, seal, unseal
from airflow_arazzo.rows.manifest import BrokenManifest, Manifest, load
from airflow_arazzo.rows.states import Files


def frozen(ti: Any, rows_task: str) -> tuple[ObjectStoragePath, Manifest]:
    """The folder of the run, and what is frozen there.

    :raises BrokenManifest: when nothing is, or something else than the run's task of rows has said.
    """
    told = ti.xcom_pull(task_ids=rows_task, key=MANIFEST, map_indexes=-1)
    if not isinstance(told, dict):
        raise BrokenManifest(f"task {rows_task!r} has not frozen the rows of this run")
    folder = ObjectStoragePath(told["folder"])
    found = load(folder)
    if found is None:
        raise BrokenManifest(f"the rows of the run are gone: there is no manifest in {folder}")
    if found.digest != told["digest"]:
        raise BrokenManifest(f"the rows in {folder} are not those that task {rows_task!r} has frozen")
    return folder, found


def may_seal() -> bool:
    """Whether Airflow has a key to encrypt with."""
    return bool(get_fernet().is_encrypted)


def chunk_files(folder: ObjectStoragePath, component: str, chunk: int) -> Files:
    """The files of a component's task, encrypted where Airflow has a key."""
    return Files(folder, component, chunk, seal if may_seal() else None, unseal)
