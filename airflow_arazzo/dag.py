"""A workflow as a DAG of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from airflow.sdk import DAG, Asset
from airflow.sdk.definitions.param import ParamsDict

from airflow_arazzo.loading import BrokenDocument, PathLike, absolute, beside, load
from airflow_arazzo.operators.graph import task_names
from airflow_arazzo.operators.period import END, START, uses_period
from airflow_arazzo.operators.step import ArazzoStepOperator
from airflow_arazzo.params import period_params, workflow_params
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.row_options import row_options
from airflow_arazzo.schedule import with_data_intervals
from airflow_arazzo.shape import Shape
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


class MissingInputs(ValueError):
    """Inputs that the DAG file has to give a value, and does not."""


class ArazzoDag(DAG):
    """A DAG that runs one workflow of an Arazzo document.

    Inputs that are not given become params, so that the trigger form asks for them. DAGs are paused when
    they are created, unless ``is_paused_upon_creation`` says otherwise, and never retry by themselves a
    request that may have taken effect. A cron text, preset or ``timedelta`` as schedule gives every run the
    data interval of its period. Every other argument of :class:`airflow.sdk.DAG` is passed on.

    :param document: the Arazzo document; a relative path starts from the folder of the calling file.
    :param workflow_id: needed when the document has several workflows.
    :param dag_id: the workflow's id when not given.
    :param inputs: values of inputs, or Jinja templates of them such as ``"{{ period.start_ms }}"``; texts are
        cast to the type that the input's schema names. ``run_key`` is a key of the run for inputs by which a
        service recognises repeated requests, the same whenever the run is repeated. ``period`` is what the
        run bills: see :class:`~airflow_arazzo.operators.period.Period`. Scheduled and backfilled runs have
        their data interval for it; any other run states it with the params ``period_start`` and
        ``period_end``, which the trigger form asks for when a template uses ``period``.
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
    :param namespace: what tells this use of the workflow from others in the ledger; by default the DAG id.
        Give it the old one when you rename a DAG: under another name the same period is billed again.
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
        their events, except credentials and those that are long; numbers as in XCom. A workflow that can
        take several ways gets a task ``outputs`` for it, which comes last.
    :param pool: the pool of all tasks; it wins over ``default_args``.
    :param for_each: rows to run the workflow for, each a set of inputs: an upstream task's output, a
        :class:`~airflow_arazzo.rows.source.SqlRows`, a :class:`~airflow_arazzo.rows.source.FileRows`, the
        path of a file, or a list. Inputs then come from the rows and from ``inputs``, not from params; the
        further options of a batch are those of :class:`~airflow_arazzo.batches.RowOptions`.
    :raises BrokenDocument: when the document does not compile.
    :raises MissingInputs: for a schedule without values for all required inputs, and for an input called
        ``period_start`` or ``period_end`` that has no value when templates use ``period``.
    :raises UnknownName: for inputs or connections that the workflow does not have.
    """

    def __init__(
        self,
        document: PathLike,
        workflow_id: str = "",
        *,
        dag_id: str = "",
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
        pool: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(inputs or {})
        try:
            path, caller = absolute(document)
            check_probes(probes, ledger=ledger)
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
            check_names(plan, given, connections or {})
            rows = row_options(plan, given, kwargs)
            by_period = uses_period(given, identity, rows and rows.templates())
            arguments = _dag_arguments(
                plan, shape, given, pool, kwargs, by_period=by_period, asks=rows is None
            )
        except (BrokenDocument, MissingInputs, UnknownName) as error:
            # Airflow shows the last frames of the traceback: the DAG file's should be among them.
            raise error.with_traceback(None) from None
        super().__init__(dag_id or task_names([plan.root.id])[0], **arguments)
        self.fileloc = caller
        self.plan = plan
        self.steps: dict[str, ArazzoStepOperator] = {}
        if rows is not None:
            with _params_kept_from_tasks(self):
                # Everything that batches need, which is a lot.
                from airflow_arazzo.batches import build_batch

                build_batch(
                    plan,
                    rows,
                    inputs=given,
                    connections=connections or {},
                    absent_text=absent_text,
                    ledger=ledger,
                    identity=identity,
                    namespace=namespace,
                    outlets=outlets,
                    own_dag=True,
                )
            return
        with _params_kept_from_tasks(self):
            concludes = plan.root.outputs or outlets
            self.steps = build_tasks(
                plan,
                [each for each in shape.tasks if each.component.steps or concludes],
                inputs=given,
                connections=connections or {},
                use_params=True,
                absent_text=absent_text,
                ledger=ledger,
                identity=identity,
                namespace=namespace,
            )
            if outlets:
                set_outlets(self.steps, add_outputs_task(self.steps), outlets)


@contextmanager
def _params_kept_from_tasks(dag: DAG) -> Iterator[None]:
    """Add tasks to a DAG without a copy of its params in each.

    A run has the DAG's params in any case. Copying them, twice for each task, takes more time than all else
    that is done for a task, and the copies are stored with the DAG.
    """
    params = dag.params
    object.__setattr__(dag, "params", ParamsDict())
    try:
        with dag:
            yield
    finally:
        object.__setattr__(dag, "params", params)


def _dag_arguments(
    plan: Plan,
    shape: Shape,
    given: Mapping[str, Any],
    pool: str | None,
    kwargs: Mapping[str, Any],
    *,
    by_period: bool,
    asks: bool,
) -> dict[str, Any]:
    """Arguments for :class:`airflow.sdk.DAG`, with what a workflow knows filled in.

    :param asks: whether inputs that are not given are asked for.
    """
    arguments = dict(kwargs)
    defaults = dict(arguments.get("default_args") or {})
    if pool is not None:
        defaults["pool"] = pool
    start = arguments.get("start_date") or defaults.get("start_date")
    schedule = with_data_intervals(arguments.get("schedule"), start)
    own_params = arguments.get("params") or {}
    if schedule is not None and asks:
        _check_values(plan, given, own_params)
    arguments["schedule"] = schedule
    arguments["default_args"] = defaults
    arguments["params"] = {**(workflow_params(shape.inputs, given) if asks else {}), **own_params}
    if by_period:
        _check_period_inputs(plan, given)
        arguments["params"] = {**period_params(required=schedule is None), **arguments["params"]}
    arguments.setdefault("description", plan.root.summary or None)
    arguments.setdefault("doc_md", shape.doc_md)
    arguments.setdefault("is_paused_upon_creation", True)
    arguments.setdefault("catchup", False)
    arguments["tags"] = sorted({"arazzo", *(arguments.get("tags") or ())})
    return arguments


def _check_period_inputs(plan: Plan, given: Mapping[str, Any]) -> None:
    properties = plan.root.inputs.get("properties") or {}
    for name in (START, END):
        if name in properties and name not in given:
            raise MissingInputs(
                f"workflow {plan.root.id!r} has an input {name!r}, and that is also how a run states its "
                f"period, which the templates use. Give the input with inputs={{...}}."
            )


def _check_values(plan: Plan, given: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    properties = plan.root.inputs.get("properties") or {}
    missing = [
        name
        for name in plan.root.inputs.get("required") or ()
        if name not in given and name not in params and "default" not in (properties.get(name) or {})
    ]
    if missing:
        raise MissingInputs(
            f"workflow {plan.root.id!r} runs on a schedule, and nobody gives its required inputs a value: "
            f"{', '.join(missing)}. Give them with inputs={{...}}, or leave out the schedule."
        )
