"""Airflow's supervisor as a task sees it, without one: messages are answered at once, and counted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    ConnectionResult,
    ErrorResponse,
    GetConnection,
    GetTaskStates,
    GetTaskStateStore,
    GetXCom,
    OKResponse,
    SetXCom,
    TaskStatesResult,
    XComResult,
)


class Supervisor:
    """Stands in for ``SUPERVISOR_COMMS``.

    :param connections: fields by connection id; others are not there.
    """

    def __init__(self, connections: dict[str, dict[str, Any]]) -> None:
        empty = dict.fromkeys(("host", "schema", "login", "password", "port", "extra"))
        self._connections = {
            name: ConnectionResult.model_validate({**empty, **fields, "conn_id": name})
            for name, fields in connections.items()
        }
        self._xcoms: dict[tuple[str, str], Any] = {}
        self.sent: Counter[str] = Counter()

    def send(self, msg: Any) -> Any:
        """Answer a message."""
        self.sent[type(msg).__name__] += 1
        if isinstance(msg, GetConnection):
            return self._connections.get(msg.conn_id, ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND))
        if isinstance(msg, SetXCom):
            self._xcoms[msg.task_id, msg.key] = msg.value
        if isinstance(msg, GetXCom):
            return XComResult(key=msg.key, value=self._xcoms.get((msg.task_id, msg.key)))
        if isinstance(msg, GetTaskStates):
            states = dict.fromkeys(msg.task_ids or (), "success")
            return TaskStatesResult(task_states=dict.fromkeys(msg.run_ids or (), states))
        if isinstance(msg, GetTaskStateStore):
            return ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
        return OKResponse(ok=True)


def instance(task: Any, run_id: str, conf: dict[str, Any] | None = None) -> Any:
    """A task instance as the task runner makes it, in a run that somebody has triggered."""
    now = datetime.now(UTC)
    run = DagRun(
        dag_id=task.dag_id,
        run_id=run_id,
        logical_date=now,
        data_interval_start=now,
        data_interval_end=now,
        run_after=now,
        start_date=now,
        end_date=None,
        run_type=DagRunType.MANUAL,
        state=DagRunState.RUNNING,
        conf=conf or {},
        consumed_asset_events=[],
        partition_key=None,
    )
    return task_runner.RuntimeTaskInstance.model_construct(
        id=uuid4(),
        task_id=task.task_id,
        dag_id=task.dag_id,
        run_id=run_id,
        try_number=1,
        map_index=-1,
        dag_version_id=uuid4(),
        task=task,
        _ti_context_from_server=TIRunContext(dag_run=run, max_tries=task.retries),
        max_tries=task.retries,
        start_date=now,
        state="running",
    )
