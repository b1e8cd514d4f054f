"""How the rows of a run are frozen."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from airflow_arazzo.engine.messages import NotSent
from airflow_arazzo.engine.run import check_credentials, secret_inputs
from airflow_arazzo.hooks.arazzo import ArazzoHook
from airflow_arazzo.operators.advice import begun
from airflow_arazzo.operators.exchange import MANIFEST, SET_ASIDE, from_xcom
from airflow_arazzo.operators.inputs import given_inputs
from airflow_arazzo.operators.observation import count_set_aside
from airflow_arazzo.operators.story import Story
from airflow_arazzo.rows.check import BadRow, Checker, Row
from airflow_arazzo.rows.manifest import (
    SHOWN,
    BrokenManifest,
    ChangedRows,
    DuplicateRows,
    Manifest,
    freeze,
    load,
    run_folder,
)
from airflow_arazzo.rows.source import BadSource, read_rows

if TYPE_CHECKING:
    from airflow_arazzo.operators.rows import ArazzoRowsOperator

MOST_KEPT = 200
"""Rows set aside whose reasons are kept; all of them are counted."""


class RowsRun:
    """An attempt of a task.

    :param task: what is to run.
    :param context: Airflow's.
    """

    def __init__(self, task: ArazzoRowsOperator, context: Any) -> None:
        self.task, self.context, self.log = task, context, task.log

    def execute(self) -> list[int]:
        """As :meth:`ArazzoRowsOperator.execute`."""
        self._refuse_configuration()
        group = self.task.task_id.rpartition(".")[0]
        base = self.task.rows_folder or default_folder()
        folder = run_folder(base, self.task.dag_id, self.context["dag_run"].run_id, group or "rows")
        try:
            found = self._frozen_before(folder)
            if found is None:
                bad = _Bad()
                found = self._freeze(folder, bad)
                self._tell(found, bad)
        except (BadSource, DuplicateRows, BrokenManifest, AirflowNotFoundException) as error:
            raise AirflowFailException(f"Nothing was sent. {begun(str(error))}") from None
        except ChangedRows as error:
            raise AirflowFailException(
                f"The rows of this run were frozen and steps have begun; the rows stay as they were, since "
                f"{error}. Clear the tasks behind this one to go on with what is frozen. To bill what has "
                f"changed, trigger a run of its own, or set accept_changes=True and clear this task again."
            ) from None
        place = {"folder": str(folder), "digest": found.digest, "rows": found.rows}
        self.context["ti"].xcom_push(MANIFEST, place)
        store = self.context["task_state_store"]
        store.set(MANIFEST, {"digest": found.digest, "max_tries": self.context["ti"].max_tries})
        return list(range(len(found.chunks)))

    def _refuse_configuration(self) -> None:
        """Inputs in a run's configuration would be lost, and a credential there would not be secret."""
        known = {*(self.task.plan.root.inputs.get("properties") or {}), *self.task.plan.root.credentials}
        given = set(self.context["dag_run"].conf or {}) & known - set(self.task.dag.params)
        if given and self.task.own_dag:
            raise AirflowFailException(
                f"Nothing was sent. The run's configuration gives {', '.join(sorted(given))}, and inputs "
                f"come from the rows and from the DAG."
            )

    def _frozen_before(self, folder: Any) -> Manifest | None:
        """What an attempt before this one has frozen; a clear begins anew."""
        known = self.context["task_state_store"].get(MANIFEST)
        if not isinstance(known, dict) or known.get("max_tries") != self.context["ti"].max_tries:
            return None
        found = load(folder)
        return found if found is not None and found.digest == known.get("digest") else None

    def _freeze(self, folder: Any, bad: _Bad) -> Manifest:
        checker = self._checker()
        given = self.task.for_each
        source = given if isinstance(given, Mapping) else _decoded(given)
        return freeze(
            folder,
            self._checked(checker, source, bad),
            batch_size=self.task.batch_size,
            most_chunks=conf.getint("core", "max_map_length"),
            accept_changes=self.task.accept_changes,
        )

    def _checker(self) -> Checker:
        story = Story(self.log)
        try:
            ids = {name: self.task.connections.get(name, name) for name in self.task.plan.sources}
            settings = {name: ArazzoHook(conn_id).settings() for name, conn_id in ids.items()}
            for connection in settings.values():
                story.hide(connection.secret_values())
            secrets = secret_inputs(self.task.plan, settings)
            story.hide(secrets.values())
            story.hide(check_credentials(self.task.plan, settings))
        except NotSent as error:
            raise AirflowFailException(story.safe(f"Nothing was sent. {begun(str(error))}")) from None
        shared = given_inputs(self.task.plan.root, self.context, self.task.inputs, (), use_params=False)
        return Checker(self.task.plan, self.task.row_key, shared, secrets, self.task.absent_text)

    def _checked(self, checker: Checker, source: Any, bad: _Bad) -> Iterator[Row]:
        """Rows that are accepted; the others are collected, and all of them told together."""
        for found in read_rows(source):
            row = checker.check(found)
            if isinstance(row, Row):
                yield row
            else:
                bad.add(row)
        if bad.count and self.task.on_bad_rows == "fail":
            raise BadSource(f"{bad.count} row(s) are not accepted:\n{bad}")
        if bad.count:
            self.log.warning("%d row(s) set aside:\n%s", bad.count, bad)

    def _tell(self, manifest: Manifest, bad: _Bad) -> None:
        self.log.info(
            "%d rows in %d chunk(s), digest %s", manifest.rows, len(manifest.chunks), manifest.digest[:12]
        )
        aside = [{"line": row.line, "key": row.key, "reason": row.reason} for row in bad.kept]
        self.context["ti"].xcom_push(SET_ASIDE, {"count": bad.count, "rows": aside})
        count_set_aside(self.context, bad.count)


def default_folder() -> str:
    """Where runs keep their rows, unless their DAG says so."""
    home = os.environ.get("AIRFLOW_HOME") or os.path.expanduser("~/airflow")
    return str(conf.get("arazzo", "rows_folder", fallback="") or f"file://{home}/arazzo/rows")


def _decoded(rows: Any) -> Any:
    """Rows of an XCom as the engine has values."""
    if isinstance(rows, str | bytes) or not hasattr(rows, "__iter__"):
        return rows
    return (from_xcom(row) for row in rows)


class _Bad:
    """Rows that are not accepted: all of them counted, the first of them kept."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[BadRow] = []

    def add(self, row: BadRow) -> None:
        self.count += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(row)

    def __str__(self) -> str:
        lines = [f"  {row}" for row in self.kept[:SHOWN]]
        if self.count > SHOWN:
            lines.append(f"  and {self.count - SHOWN} more")
        return "\n".join(lines)
