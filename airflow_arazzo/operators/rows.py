"""The task that freezes the rows of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from airflow_arazzo.engine.messages import NotSent
from airflow_arazzo.engine.run import check_credentials, secret_inputs
from airflow_arazzo.hooks.arazzo import ArazzoHook
from airflow_arazzo.operators.exchange import from_xcom
from airflow_arazzo.operators.inputs import given_inputs
from airflow_arazzo.operators.observation import count_set_aside
from airflow_arazzo.operators.period import uses_period, with_period
from airflow_arazzo.operators.story import Story
from airflow_arazzo.plan.model import Plan
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
from airflow_arazzo.rows.source import BATCH_SIZE, BadRows, BadSource, plain_source, read_rows

MANIFEST = "manifest"
"""XCom key of what is frozen, and where."""

SET_ASIDE = "set_aside"
"""XCom key of rows that were set aside, as far as they are kept."""

MOST_KEPT = 200
"""Rows set aside whose reasons are kept; all of them are counted."""


class ArazzoRowsOperator(BaseOperator):
    """Reads the rows of a run, checks each, and freezes them.

    It returns the numbers of the chunks, over which the tasks behind it expand. A retry keeps what is
    frozen, and so do clears of later tasks. When this task is cleared it reads the rows again: added rows
    come behind the others. Where steps have begun, a row that has other values now, or is gone, is an error
    and what is frozen stays, unless ``accept_changes`` says otherwise: what was sent for such a row cannot
    be taken back.

    :param plan: the compiled workflow.
    :param for_each: where the rows come from. (templated)
    :param row_key: names of the inputs, or of further columns, that make a row's business key.
    :param inputs: values of inputs that are the same for all rows, or Jinja templates of them. (templated)
    :param connections: connection ids by source name; a source's own name where it is not mentioned.
    :param batch_size: rows of one mapped task; more where there would be more tasks than Airflow maps.
    :param on_bad_rows: whether rows that the workflow does not accept fail the task, or are set aside.
    :param accept_changes: whether rows may change after steps have begun.
    :param rows_folder: where runs keep their rows; the configuration's ``[arazzo] rows_folder`` by default.
    :param absent_text: what an absent value inside text does: ``fail`` or ``empty``.
    :param own_dag: whether the DAG is the workflow's own, so that a run's configuration can mean its inputs.
    """

    template_fields: Sequence[str] = ("for_each", "inputs", "rows_folder", "plan_digest")
    template_fields_renderers = {"for_each": "json", "inputs": "json"}  # noqa: RUF012 - as BaseOperator's
    ui_color = "#d7e8ff"

    def __init__(
        self,
        *,
        plan: Plan,
        for_each: Any,
        row_key: Sequence[str],
        inputs: Mapping[str, Any] | None = None,
        connections: Mapping[str, str] | None = None,
        batch_size: int = BATCH_SIZE,
        on_bad_rows: BadRows = "fail",
        accept_changes: bool = False,
        rows_folder: str = "",
        absent_text: Literal["fail", "empty"] = "fail",
        own_dag: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.for_each = plain_source(for_each)
        self.row_key = tuple(row_key)
        self.inputs = dict(inputs or {})
        self.connections = dict(connections or {})
        self.batch_size = batch_size
        self.on_bad_rows = on_bad_rows
        self.accept_changes = accept_changes
        self.rows_folder = rows_folder
        self.absent_text = absent_text
        self.own_dag = own_dag
        self.plan_digest = plan.digest
        self.uses_period = uses_period(self.for_each, self.inputs, rows_folder)

    def render_template(self, content: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a template; ``period`` is there where templates use it.

        :raises AirflowFailException: when the template uses the period and the run has none.
        """
        if self.uses_period:
            context = with_period(context, self.dag)
        return super().render_template(content, context, *args, **kwargs)

    def execute(self, context: Any) -> list[int]:
        """Freeze the rows.

        :return: the numbers of the chunks.
        :raises AirflowFailException: for rows that cannot be read or are not accepted, with their lines and
            reasons.
        """
        self._refuse_configuration(context)
        group = self.task_id.rpartition(".")[0]
        base = self.rows_folder or default_folder()
        folder = run_folder(base, self.dag_id, context["dag_run"].run_id, group or "rows")
        try:
            found = self._frozen_before(context, folder)
            if found is None:
                bad = _Bad()
                found = self._freeze(context, folder, bad)
                self._tell(context, found, bad)
        except (BadSource, DuplicateRows, BrokenManifest, AirflowNotFoundException) as error:
            raise AirflowFailException(f"Nothing was sent. {error}") from None
        except ChangedRows as error:
            raise AirflowFailException(
                f"The rows of this run were frozen and steps have begun; the rows stay as they were, since "
                f"{error}. Clear the tasks behind this one to go on with what is frozen. To bill what has "
                f"changed, trigger a run of its own, or set accept_changes=True and clear this task again."
            ) from None
        place = {"folder": str(folder), "digest": found.digest, "rows": found.rows}
        context["ti"].xcom_push(MANIFEST, place)
        store = context["task_state_store"]
        store.set(MANIFEST, {"digest": found.digest, "max_tries": context["ti"].max_tries})
        return list(range(len(found.chunks)))

    def _refuse_configuration(self, context: Any) -> None:
        """Inputs in a run's configuration would be lost, and a credential there would not be secret."""
        known = {*(self.plan.root.inputs.get("properties") or {}), *self.plan.root.credentials}
        given = set(context["dag_run"].conf or {}) & known - set(self.dag.params) if self.own_dag else set()
        if given:
            raise AirflowFailException(
                f"Nothing was sent. The run's configuration gives {', '.join(sorted(given))}, and inputs "
                f"come from the rows and from the DAG."
            )

    def _frozen_before(self, context: Any, folder: Any) -> Manifest | None:
        """What an attempt before this one has frozen; a clear begins anew."""
        known = context["task_state_store"].get(MANIFEST)
        if not isinstance(known, dict) or known.get("max_tries") != context["ti"].max_tries:
            return None
        found = load(folder)
        return found if found is not None and found.digest == known.get("digest") else None

    def _freeze(self, context: Any, folder: Any, bad: _Bad) -> Manifest:
        checker = self._checker(context)
        source = self.for_each if isinstance(self.for_each, Mapping) else _decoded(self.for_each)
        return freeze(
            folder,
            self._checked(checker, source, bad),
            batch_size=self.batch_size,
            most_chunks=conf.getint("core", "max_map_length"),
            accept_changes=self.accept_changes,
        )

    def _checker(self, context: Any) -> Checker:
        story = Story(self.log)
        try:
            settings = {n: ArazzoHook(self.connections.get(n, n)).settings() for n in self.plan.sources}
            for connection in settings.values():
                story.hide(connection.secret_values())
            secrets = secret_inputs(self.plan, settings)
            story.hide(secrets.values())
            story.hide(check_credentials(self.plan, settings))
        except NotSent as error:
            raise AirflowFailException(story.safe(f"Nothing was sent. {error}")) from None
        shared = given_inputs(self.plan.root, context, self.inputs, (), use_params=False)
        return Checker(self.plan, self.row_key, shared, secrets, self.absent_text)

    def _checked(self, checker: Checker, source: Any, bad: _Bad) -> Iterator[Row]:
        """Rows that are accepted; the others are collected, and all of them told together."""
        for found in read_rows(source):
            row = checker.check(found)
            if isinstance(row, Row):
                yield row
            else:
                bad.add(row)
        if bad.count and self.on_bad_rows == "fail":
            raise BadSource(f"{bad.count} row(s) are not accepted:\n{bad}")
        if bad.count:
            self.log.warning("%d row(s) set aside:\n%s", bad.count, bad)

    def _tell(self, context: Any, manifest: Manifest, bad: _Bad) -> None:
        self.log.info(
            "%d rows in %d chunk(s), digest %s", manifest.rows, len(manifest.chunks), manifest.digest[:12]
        )
        aside = [{"line": row.line, "key": row.key, "reason": row.reason} for row in bad.kept]
        context["ti"].xcom_push(SET_ASIDE, {"count": bad.count, "rows": aside})
        count_set_aside(context, bad.count)


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
