"""A process that runs the DAG of a poll with Airflow's own task runner, until it is killed or the run ends.

``python poll_worker.py DOCUMENT FOLDER``. Started again it does what the scheduler does about a task whose
worker is gone, and goes on with the same run. A wait of the task is over at once, by a clock that is kept in
a file of the folder; the slot is given back all the same. What happened goes there, too, line by line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

DOCUMENT, FOLDER = Path(sys.argv[1]), Path(sys.argv[2])
CLOCK, NOTES = FOLDER / "clock", FOLDER / "notes"


class Clock:
    """The time, and all waits on top of it."""

    def time(self) -> float:
        return time.time() + float(CLOCK.read_text() if CLOCK.exists() else 0)

    def wait(self, seconds: float) -> None:
        waited = float(CLOCK.read_text() if CLOCK.exists() else 0) + seconds
        CLOCK.with_suffix(".new").write_text(str(waited))
        CLOCK.with_suffix(".new").rename(CLOCK)


def note(**facts: Any) -> None:
    with NOTES.open("a") as file:
        file.write(json.dumps(facts) + "\n")


def patch(clock: Clock) -> None:
    """Replace the clock of the operator, and tell when a slot is taken and given back."""
    from airflow_arazzo.operators import step, step_run
    from airflow_arazzo.operators.story import Story

    operator, request = step.ArazzoStepOperator, Story.request
    give_back, execute = step_run.StepRun._give_back_slot, operator.execute

    def give_back_and_go_on(self: Any, machine: Any, wait: Any) -> Any:
        note(waits=wait.seconds)
        clock.wait(wait.seconds)
        give_back(self, machine, msgspec.structs.replace(wait, seconds=0.0))

    def noted_execute(self: Any, context: Any) -> Any:
        begun = time.monotonic()
        note(begins=self.task_id, attempt=context["ti"].try_number)
        try:
            return execute(self, context)
        finally:
            note(held=time.monotonic() - begun)

    def noted_request(self: Any, command: Any) -> None:
        note(visit=command.visit)
        request(self, command)

    step_run.SHORTEST_ABSENCE = 0.0
    step_run.time = clock  # type: ignore[assignment]
    step_run.StepRun._give_back_slot = give_back_and_go_on  # type: ignore[method-assign]
    operator.execute = noted_execute  # type: ignore[method-assign]
    Story.request = noted_request  # type: ignore[method-assign]


def main() -> None:
    from airflow.models.dagrun import DagRun
    from airflow.sdk.definitions import dag as dag_module
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from airflow_arazzo.cli.dag_test import load_dag

    dag_file = FOLDER / "dags" / "poll.py"
    dag_file.parent.mkdir(exist_ok=True)
    dag_file.write_text(
        "from datetime import timedelta\n"
        "from airflow_arazzo import ArazzoDag\n"
        f"dag = ArazzoDag({str(DOCUMENT)!r}, default_args={{'retry_delay': timedelta(0)}})\n"
    )
    patch(Clock())
    run_task = dag_module._run_task

    def noted_run_task(**arguments: Any) -> Any:
        result = run_task(**arguments)
        note(state=arguments["ti"].state.value, task=arguments["ti"].task_id)
        return result

    dag_module._run_task = noted_run_task
    dag: Any = load_dag(dag_file)
    with create_session() as session:
        found = session.scalar(select(DagRun).where(DagRun.dag_id == dag.dag_id))
    if found is None:
        dag.test()
    else:
        go_on(dag, found.id, noted_run_task)


def go_on(dag: Any, run: int, run_task: Any) -> None:
    """The loop of ``dag.test()``, with a run that exists."""
    from airflow.models.dagrun import DagRun
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState

    with create_session() as session:
        dag_run = session.get(DagRun, run)
        dag_run.dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        for ti in dag_run.get_task_instances(state=[TaskInstanceState.RUNNING], session=session):
            ti.task = dag_run.dag.get_task(ti.task_id)
            ti.handle_failure(error="its worker is gone", session=session)
            note(state=str(ti.state.value), task=ti.task_id)
        session.commit()
        while dag_run.state == DagRunState.RUNNING:
            session.expire_all()
            for ti in dag_run.update_state(session=session)[0]:
                if ti.state != TaskInstanceState.UP_FOR_RESCHEDULE:
                    ti.try_number += 1
                ti.state = TaskInstanceState.SCHEDULED
            session.commit()
            for ti in dag_run.get_task_instances(state=[TaskInstanceState.SCHEDULED], session=session):
                run_task(ti=ti, task=dag.task_dict[ti.task_id])


if __name__ == "__main__":
    main()
