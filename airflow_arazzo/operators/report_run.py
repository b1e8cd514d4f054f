"""What became of every row: the last task of a batch, when it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.log import mask_secret

from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.machine import workflow_outputs
from airflow_arazzo.engine.state import State
from airflow_arazzo.expression.evaluate import AbsentInText
from airflow_arazzo.hooks.arazzo import ArazzoHook
from airflow_arazzo.operators.exchange import SET_ASIDE, NoEncryption, outputs_to_xcom
from airflow_arazzo.operators.standings import chunk_files, frozen
from airflow_arazzo.plan.reads import expressions
from airflow_arazzo.rows.files import opened
from airflow_arazzo.rows.manifest import BrokenManifest, Manifest, read_chunk
from airflow_arazzo.rows.states import Place, Standings, failure_text, state_of

if TYPE_CHECKING:
    from airflow_arazzo.operators.report import ArazzoReportOperator

LARGEST = 48 * 1024
"""Bytes of rows that go through XCom; more of them go into a file."""

MOST_SHOWN = 100
"""Failed rows that the XCom and the log name."""

RESULTS = "results.jsonl"


class ReportRun:
    """An attempt of a task.

    :param task: what is to run.
    :param context: Airflow's.
    """

    def __init__(self, task: ArazzoReportOperator, context: Any) -> None:
        self.task, self.context, self.log = task, context, task.log

    def execute(self) -> dict[str, Any]:
        """As :meth:`ArazzoReportOperator.execute`."""
        ti = self.context["ti"]
        try:
            folder, manifest = frozen(ti, self.task.rows_task)
            report = self._report(folder, manifest)
        except (BrokenManifest, NoEncryption) as error:
            raise AirflowFailException(f"There is nothing to report: {error}") from None
        aside = ti.xcom_pull(task_ids=self.task.rows_task, key=SET_ASIDE, map_indexes=-1) or {}
        report |= {"set_aside": aside.get("count", 0), "set_aside_rows": aside.get("rows", [])[:MOST_SHOWN]}
        self._tell(report)
        failed = report["failed"]
        if self.task.max_failed_rows is not None and failed > self.task.max_failed_rows:
            ti.xcom_push("return_value", report)
            allowed = f"; max_failed_rows is {self.task.max_failed_rows}" if self.task.max_failed_rows else ""
            raise AirflowFailException(
                f"{failed} of {report['rows']} row(s) have failed{allowed}\nWhat to do: put right what is "
                "wrong, then clear the tasks of the steps that rows failed at; rows that are done are passed "
                "over."
            )
        return report

    def _report(self, folder: ObjectStoragePath, manifest: Manifest) -> dict[str, Any]:
        hidden = self._secrets()
        failures: list[dict[str, Any]] = []
        counts = {"succeeded": 0, "failed": 0}
        small: list[bytes] | None = []
        size = 0
        path = folder / RESULTS
        with opened(path, "wb") as file:
            for place in _all_places(folder, manifest, self.task.components):
                result = self._result(place, hidden)
                failed = "error" in result
                counts["failed" if failed else "succeeded"] += 1
                if failed and len(failures) < MOST_SHOWN:
                    failures.append(result)
                line = json.dumps(result, ensure_ascii=False).encode() + b"\n"
                file.write(line)
                size += len(line)
                if size > LARGEST:
                    small = None
                elif small is not None and not failed:
                    small.append(line)
        report = {"rows": manifest.rows, **counts, "failures": failures}
        if small is not None:
            return {**report, "outputs": [json.loads(line) for line in small]}
        return {**report, "file": str(path)}

    def _result(self, place: Place, hidden: Sequence[str]) -> dict[str, Any]:
        """What became of a row, as JSON for XCom."""
        named = {"key": place.key, "line": place.line}
        failure = place.failure
        if place.standing != "ended":
            if failure is None:
                failure = Failure("not-finished", "a task of its chunk did not finish", place.step)
            return {**named, "error": failure_text(failure), "may_be_tried_again": place.again}
        try:
            state = state_of(place, 0.0)
            outputs = outputs_to_xcom(self._outputs(state), self._secret(state), hidden)
        except (AbsentInText, ValueError) as error:
            told = Failure("output", f"the steps succeeded, and an output cannot be had: {error}")
            return {**named, "error": failure_text(told), "may_be_tried_again": False}
        return {**named, "outputs": outputs}

    def _outputs(self, state: State) -> dict[str, Any]:
        return workflow_outputs(self.task.plan, state)

    def _secret(self, state: State) -> set[str]:
        """Outputs of the workflow that are credentials."""
        workflow = self.task.plan.workflows[state.frames[0].workflow]
        tokens = {("steps", step.id, name) for step in workflow.steps for name in step.secret_outputs}
        return {
            name
            for name, template in workflow.outputs.items()
            if any((each.root, each.scope, each.name) in tokens for each in expressions(template))
        }

    def _secrets(self) -> list[str]:
        """Secrets of the connections, to be masked where a service has echoed one."""
        found: list[str] = []
        for name in self.task.plan.sources:
            found += ArazzoHook(self.task.connections.get(name, name)).settings().secret_values()
        for secret in found:
            mask_secret(secret)
        return found

    def _tell(self, report: Mapping[str, Any]) -> None:
        self.log.info(
            "%d row(s): %d succeeded, %d failed, %d set aside",
            *(report[name] for name in ("rows", "succeeded", "failed", "set_aside")),
        )
        for each in report["failures"]:
            error = each["error"]
            again = "; may be tried again: clear its chunk" if each["may_be_tried_again"] else ""
            self.log.warning(
                "row %r (line %d), step %r: %s [%s]%s",
                each["key"],
                each["line"],
                error["step"],
                error["message"],
                error["code"],
                again,
            )
        if report["failed"] > len(report["failures"]):
            self.log.warning("and %d more", report["failed"] - len(report["failures"]))
        if "file" in report:
            self.log.info("all rows: %s", report["file"])


def _all_places(folder: ObjectStoragePath, manifest: Manifest, components: Sequence[str]) -> Iterator[Place]:
    """Where every row stands after the last task of its chunk that has finished."""
    for index in range(len(manifest.chunks)):
        last: Standings | None = None
        after = manifest.chunks[index].digest
        for name in components:
            found = chunk_files(folder, name, index).read()
            if found is None or found.after != after:
                break  # not there, or from before something earlier was run again
            last, after = found, found.digest
        if last is not None:
            yield from last.places
            continue
        for row in read_chunk(folder, manifest, index):
            yield Place(row.key, row.line, "open", "", "")
