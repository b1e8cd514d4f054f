"""A workflow as a task group inside somebody's own DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow.sdk import Asset, BaseOperator, TaskGroup, XComArg

from airflow_arazzo.loading import BrokenDocument, PathLike, absolute, beside, load
from airflow_arazzo.operators.exchange import WORKFLOW_OUTPUTS
from airflow_arazzo.operators.graph import task_names
from airflow_arazzo.operators.step import ArazzoStepOperator
from airflow_arazzo.row_options import row_options
from airflow_arazzo.tasks import (
    Declarations,
    UnknownName,
    add_outputs_task,
    build_tasks,
    check_names,
    check_probes,
    declared,
    set_outlets,
)


class ArazzoTaskGroup(TaskGroup):
    """A task group that runs one workflow of an Arazzo document.

    Inputs come from ``inputs`` alone. Where the workflow can take several ways, a task ``outputs`` comes
    last, so that tasks after the group are not skipped with the way that was not taken.

    Whether a failed workflow fails the run is up to the host DAG, whose leaves decide its state: let nothing
    with a trigger rule such as ``all_done`` follow the group unless it fails on its own when the group did.

    :param document: the Arazzo document; a relative path starts from the folder of the calling file.
    :param workflow_id: needed when the document has several workflows.
    :param group_id: the workflow's id when not given.
    :param inputs: values of inputs, Jinja templates of them, or outputs of upstream tasks. In templates
        ``run_key`` is a key of the run, the same whenever the run is repeated, and ``period`` is what the run
        bills, see :class:`~airflow_arazzo.operators.period.Period`: the data interval of scheduled and
        backfilled runs, and what any other run states with the host DAG's params ``period_start`` and
        ``period_end``.
    :param connections: connection ids by source name; a source's own name where it is not mentioned.
    :param sources: files of source descriptions by name, relative to the document's folder.
    :param source_path: folders to search for source descriptions, relative to the document's folder.
    :param overlays: OpenAPI Overlay 1.0 files that change the document, or the source that they name with
        ``extends``, before it is read; relative paths start from the folder of the calling file.
    :param strict: whether warnings of the compiler are errors.
    :param absent_text: what an absent value inside text does: ``fail`` (default) or ``empty``.
    :param idempotency: which operations honour an idempotency key, by source or ``SOURCE.OPERATION_ID``:
        ``{"header": NAME}`` or ``{"body": NAME}``, with ``lifetime`` in seconds; others are sent once only.
    :param probes: lookups that tell whether an effect exists whose outcome nobody knows, by step; see
        ``docs/safety.md``.
    :param identity: what makes a run the same run again, a Jinja template; by default the data interval of
        scheduled and backfilled runs, the period that a run states, and the run itself of all others.
    :param namespace: what tells this use of the workflow from others in the ledger; by default DAG
        id and group id. Give it the old one when you rename a DAG: under another name the same period is
        billed again.
    :param parallel: whether steps that share no data and no declared order run side by side. A step then
        follows only the steps that it names: whose outputs it reads anywhere, criteria and actions included,
        and those in its ``dependsOn``. Values that merely are the same, such as an input that two steps send,
        are no order. The document's order holds where it may matter: around steps that jump, end the workflow
        or run another step before a retry, together with everything between them and their targets, and
        around calls of workflows that depend on others; all before them comes first, all behind them later.
        Where a step fails, what depends on it does not run, what does not may, and the run fails.
    :param ledger: whether requests that change something go through the ledger, which keeps them from
        having their effect twice. Without it, running a task again by hand sends its requests again.
    :param outlets: assets that the workflow updates when it has succeeded. Its outputs are the ``extra`` of
        their events, except credentials and those that are long; numbers as in XCom.
    :param for_each: rows to run the workflow for, as :class:`~airflow_arazzo.dag.ArazzoDag` takes it, with
        the further options of :class:`~airflow_arazzo.batches.RowOptions`.
    :raises BrokenDocument: when the document does not compile.
    :raises UnknownName: for inputs or connections that the workflow does not have.
    """

    def __init__(
        self,
        document: PathLike,
        workflow_id: str = "",
        *,
        group_id: str = "",
        inputs: Mapping[str, Any] | None = None,
        connections: Mapping[str, str] | None = None,
        sources: Mapping[str, PathLike] | None = None,
        source_path: Sequence[PathLike] = (),
        overlays: Sequence[PathLike] = (),
        strict: bool = False,
        absent_text: Literal["fail", "empty"] = "fail",
        idempotency: Declarations | None = None,
        probes: Mapping[str, Any] | None = None,
        identity: str = "",
        namespace: str = "",
        parallel: bool = False,
        ledger: bool = True,
        outlets: Sequence[Asset] = (),
        **kwargs: Any,
    ) -> None:
        try:
            check_probes(probes, ledger=ledger)
            path, caller = absolute(document)
            plan, shape = load(
                path,
                workflow_id,
                sources=sources,
                source_path=source_path,
                strict=strict,
                overlays=beside(caller, overlays),
                probes=probes,
                parallel=parallel,
            )
            plan = declared(plan, idempotency)
            check_names(plan, inputs or {}, connections or {})
            rows = row_options(plan, inputs or {}, kwargs)
        except (BrokenDocument, UnknownName) as error:
            # Airflow shows the last frames of the traceback: the DAG file's should be among them.
            raise error.with_traceback(None) from None
        kwargs.setdefault("tooltip", plan.root.summary)
        super().__init__(group_id=group_id or task_names([plan.root.id])[0], **kwargs)
        self.plan = plan
        self.steps: dict[str, ArazzoStepOperator] = {}
        self._outputs: BaseOperator | None = None
        if rows is not None:
            with self:
                # Everything that batches need, which is a lot.
                from airflow_arazzo.batches import build_batch

                self._outputs = build_batch(
                    plan,
                    rows,
                    inputs=inputs or {},
                    connections=connections or {},
                    absent_text=absent_text,
                    ledger=ledger,
                    identity=identity,
                    namespace=namespace,
                    outlets=outlets,
                )
            return
        with self:
            self.steps = build_tasks(
                plan,
                shape.tasks,
                inputs=inputs or {},
                connections=connections or {},
                use_params=False,
                absent_text=absent_text,
                ledger=ledger,
                identity=identity,
                namespace=namespace,
                publish_each=True,
            )
            self._outputs = add_outputs_task(self.steps)
            set_outlets(self.steps, self._outputs, outlets)

    @property
    def output(self) -> XComArg:
        """The workflow's outputs, for tasks downstream: an object by output name; ``output["name"]`` is one.
        Of a workflow over rows it is the report.

        Numbers that a float would change are objects ``{"$decimal": "10.10"}`` in it; see
        :mod:`airflow_arazzo.operators.exchange`.
        """
        if self._outputs is not None:
            return XComArg(self._outputs)
        return XComArg(list(self.steps.values())[-1], key=WORKFLOW_OUTPUTS)
