"""What the tasks before one have left: which way was taken, outputs of steps, workflows that finished."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from airflow.sdk.exceptions import AirflowFailException

from airflow_arazzo.engine.state import Finished
from airflow_arazzo.operators import exchange
from airflow_arazzo.operators.graph import Component, Undecided, led_to
from airflow_arazzo.operators.layout import label
from airflow_arazzo.operators.needs import Read


class Upstream:
    """The tasks before one, in its run.

    Only tasks that have succeeded count; of those that must have, nobody asks. Airflow keeps XComs of a
    task that was cleared until it starts again, and one that is skipped without a start keeps them for ever.

    :param ti: the task instance under way.
    :param component: what it runs.
    :param prefix: what the surrounding task groups put before task ids, dot included.
    """

    def __init__(self, ti: Any, component: Component, prefix: str) -> None:
        self._ti = ti
        self._component = component
        self._prefix = prefix
        mapped = ti.map_index is not None and ti.map_index >= 0
        self._map_index: int | None = ti.map_index if mapped else None

    def chosen_step(self) -> str | None:
        """The step to begin with, or None when the way through the workflow does not lead here.

        :raises AirflowFailException: when a task upstream has succeeded and not said what follows.
        """
        if not self._component.asks:
            return self._component.start
        try:
            return led_to(self._component, self._succeeded, self._told)
        except Undecided as undecided:
            raise AirflowFailException(
                f"Nothing was sent. Task {self._prefix + undecided.task!r} counts as successful and has not "
                f"said which step follows, as when it was marked by hand. Clear it, or add the XCom "
                f"{exchange.NEXT_STEP!r} to it: the id of the step that follows, an empty text at the end."
            ) from None

    def outputs(self) -> list[dict[str, dict[str, Any]]]:
        """Outputs of the steps that the component reads, by step id; of those that ran.

        :return: one such object for each workflow around the component's steps, the outermost first.
        :raises AirflowFailException: when a task upstream has succeeded and has no outputs, not even empty
            ones: what is read from it would silently be left out of requests.
        """
        found: list[dict[str, dict[str, Any]]] = [{} for _ in range(len(self._component.calls) + 1)]
        for read in self._component.needs.reads:
            for task in read.tasks:
                if self._succeeded(task):
                    outputs = self._own(read, task) if task == read.home else self._other(read, task)
                    found[read.level].update({read.step: outputs} if outputs is not None else {})
        return found

    def _own(self, read: Read, task: str) -> dict[str, Any] | None:
        """Outputs of a step from its own task; None when its loop went round it."""
        outputs = self._outputs_of(task, exchange.OUTPUTS, read)
        return outputs.get(read.step) if read.by_step else outputs

    def _other(self, read: Read, task: str) -> dict[str, Any] | None:
        """Outputs of a step from a task of others: one that ran it again before a retry, or in which the
        workflow that it calls has ended. None when neither happened there.
        """
        name = label((*self._component.calls[: read.level], read.step))
        if read.called:
            return self._outputs_of(task, exchange.OTHER_OUTPUTS, read).get(name)
        outputs: dict[str, Any] = exchange.from_xcom(self._pull(task, exchange.OTHER_OUTPUTS)) or {}
        return outputs.get(name)

    def _outputs_of(self, task: str, key: str, read: Read) -> dict[str, Any]:
        pulled = self._pull(task, key)
        if pulled is None:
            raise AirflowFailException(
                f"Nothing was sent. Task {self._prefix + task!r} is on the way here and has no outputs, as "
                f"when it was marked by hand. Clear it, or add the XCom {key!r} to it: an object with the "
                f"outputs of step {read.step!r}."
            )
        outputs: dict[str, Any] = exchange.from_xcom(pulled)
        return outputs

    def workflow_outputs(self) -> Any:
        """Outputs of the workflow from the task in which it has ended, as XCom keeps them."""
        for way in reversed(self._component.upstream):
            ended = self._succeeded(way.task) and (way.step == "" or self._told(way.task) == "")
            if ended:
                return self._pull(way.task, exchange.WORKFLOW_OUTPUTS)
        return None

    def finished(self) -> dict[str, Finished]:
        """Workflows that finished inside earlier tasks, by key."""
        found: dict[str, Finished] = {}
        for task in self._component.needs.recalls:
            if self._succeeded(task):
                pulled = exchange.from_xcom(self._pull(task, exchange.FINISHED)) or {}
                found.update({key: msgspec.convert(value, Finished) for key, value in pulled.items()})
        return found

    def _told(self, task: str) -> str | None:
        step = self._pull(task, exchange.NEXT_STEP)
        return step if isinstance(step, str) else None

    def _pull(self, task: str, key: str) -> Any:
        return self._ti.xcom_pull(task_ids=self._prefix + task, key=key, map_indexes=self._map_index)

    def _succeeded(self, task: str) -> bool:
        if task in self._component.certain:
            return True
        task_id = self._prefix + task
        name = task_id if self._map_index is None else f"{task_id}_{self._map_index}"
        return str(self._states.get(name)) == "success"

    @cached_property
    def _states(self) -> dict[str, Any]:
        """States of the tasks that matter, by task id, in one call."""
        needs = self._component.needs
        names = {way.task for way in self._component.upstream}
        names |= {task for read in needs.reads for task in read.tasks} | set(needs.recalls)
        names -= self._component.certain
        found = self._ti.get_task_states(
            dag_id=self._ti.dag_id,
            task_ids=sorted(self._prefix + name for name in names),
            run_ids=[self._ti.run_id],
            map_index=self._map_index,
        )
        return dict(found.get(self._ti.run_id, {}))
