"""Runs a workflow as a DAG in this process, with ``DAG.test()``, and reports it as the engine alone would.

Tasks run one after the other, with Airflow's real operators, XComs and database. Retries are the document's
own: that Airflow may run a task again is switched off, since whoever waits wants to hear of it at once.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from airflow.models.xcom import XComModel
from airflow.sdk.bases.secrets_backend import BaseSecretsBackend
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_arazzo.cli.airflow_run import Order
from airflow_arazzo.cli.report import Report
from airflow_arazzo.dag import ArazzoDag
from airflow_arazzo.engine.connection import Connection, connection_from_text
from airflow_arazzo.engine.inputs import InvalidInputs
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.machine import Machine
from airflow_arazzo.engine.messages import NotSent
from airflow_arazzo.engine.outcomes import ended
from airflow_arazzo.engine.preflight import CannotRun
from airflow_arazzo.engine.run import RunResult, check_credentials, redacted, refused_inputs
from airflow_arazzo.form import plain_json
from airflow_arazzo.operators import exchange, step_run


class GivenConnections(BaseSecretsBackend):
    """Airflow's connections, from this process's memory."""

    texts: ClassVar[dict[str, str]] = {}

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """The connection as JSON or URI; None when there is none."""
        text = self.texts.get(conn_id)
        return (text or '{"conn_type": "arazzo"}') if text is not None else None


def run_order(order: Order, dag_file: Path) -> Report:
    """Run what is asked: write the DAG file, load it, run the DAG.

    :param dag_file: in Airflow's DAGs folder. Inputs can be in it, connections never are.
    """
    GivenConnections.texts.update(order.connections)
    conf, bound = split_inputs(order.inputs)
    arguments = {"sources": order.sources, "source_path": order.source_path, "overlays": order.overlays}
    dag_file.write_text(
        '"""An Airflow DAG."""\n'
        "from airflow.sdk.definitions.template import literal\n"
        "from airflow_arazzo import ArazzoDag\n"
        f"bound = {bound!r}\n"
        f"dag = ArazzoDag({order.document!r}, {order.workflow!r}, **{arguments!r},\n"
        "    inputs={name: literal(value) for name, value in bound.items()}, default_args={'retries': 0})\n"
    )
    connections = {name: connection_from_text(name, text) for name, text in order.connections.items()}
    return run_dag(load_dag(dag_file), conf, connections)


def load_dag(path: Path) -> ArazzoDag:
    """The DAG that a file calls ``dag``."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: ArazzoDag = module.dag
    return dag


def split_inputs(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs as the run's configuration, and those that it would change, for the DAG to give.

    A configuration is ordinary JSON to Airflow, where ``10.10`` is a float.
    """
    conf, bound = {}, {}
    for name, value in inputs.items():
        plain, exact = plain_json(value), exchange.to_xcom(value)
        if plain == exact:
            conf[name] = plain
        else:
            bound[name] = exact
    return conf, bound


def run_dag(dag: ArazzoDag, conf: Mapping[str, Any], connections: Mapping[str, Connection]) -> Report:
    """Run a DAG to its end.

    :param connections: those that it uses, by source name, whose secrets are masked in the report.
    """
    errors: list[BaseException] = []

    def note(context: Any) -> None:
        error = context["exception"]
        errors.append(error if isinstance(error, BaseException) else RuntimeError(str(error)))

    for task in dag.tasks:
        task.on_failure_callback = [note]
    with watched_machines() as machines:
        run = dag.test(run_conf=dict(conf))
    succeeded = str(run.state) == "success"
    states = {task.task_id: str(task.state) for task in run.get_task_instances()}
    result = RunResult(
        "succeeded" if succeeded else "failed",
        _outputs(run) if succeeded else {},
        tuple(record for machine in machines for record in machine.records),
        None if succeeded else _failure(machines, errors),
    )
    secrets = [secret for connection in connections.values() for secret in connection.secret_values()]
    with suppress(NotSent):  # then the run has said so, and there is no more to mask
        secrets += check_credentials(dag.plan, connections)
    secrets += [secret for machine in machines for secret in machine.secret_values()]
    return Report(redacted(result, secrets), {name: states[name] for name in dag.steps})


@contextmanager
def watched_machines() -> Iterator[list[Machine]]:
    """The machines that operators of this process make from here on, in order: each keeps its records."""
    made: list[Machine] = []

    class Watched(Machine):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    module: Any = step_run
    original, module.Machine = module.Machine, Watched
    try:
        yield made
    finally:
        module.Machine = original


def _outputs(run: Any) -> dict[str, Any]:
    """Outputs of the workflow, as the task in which it ended has pushed them."""
    with create_session() as session:
        value = session.scalar(
            select(XComModel.value).where(
                XComModel.dag_id == run.dag_id,
                XComModel.run_id == run.run_id,
                XComModel.key == exchange.WORKFLOW_OUTPUTS,
            )
        )
    return exchange.from_xcom(value) or {}


def _failure(machines: list[Machine], errors: list[BaseException]) -> Failure:
    """Why a run failed: what the engine says, or the error of the task that never came that far."""
    failed = [m.state.done for m in machines if m.state.done and m.state.done.status == "failed"]
    if failed and failed[-1].failure:
        return ended(failed[-1].failure, failed[-1].ended_by)
    if not errors:
        return Failure("airflow", "the run failed, and no task says why")
    cause = errors[-1].__context__
    if isinstance(cause, InvalidInputs) and (found := refused_inputs(cause).error):
        return found
    if isinstance(cause, CannotRun):
        return cause.failure
    if isinstance(cause, NotSent):
        return Failure("credentials", str(cause), fate="not-sent")
    return Failure("task", str(errors[-1]))
