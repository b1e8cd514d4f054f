"""As much of Airflow's context as the operator asks for, where a whole run cannot show something."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from uuid import uuid4


class Store(dict[str, Any]):
    """A task state store: JSON in, JSON out."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


class TaskInstance(SimpleNamespace):
    """As much of a task instance as the operator asks for."""

    dag_id = "w"
    run_id = "r"
    map_index = -1
    try_number = 1

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, *, task_ids: str, key: str = "return_value", map_indexes: Any = None) -> Any:
        return self.xcoms.get((task_ids, key))

    def get_task_states(self, *, task_ids: list[str], **_: Any) -> dict[str, Any]:
        return {"r": {name: self.states[name] for name in task_ids if name in self.states}}


def context(
    store: Store, *, max_tries: int = 0, run: SimpleNamespace | None = None, **fields: Any
) -> dict[str, Any]:
    """The context of a task in a run of its own, or in a given one."""
    ti = TaskInstance(max_tries=max_tries, pushed={}, **{"xcoms": {}, "states": {}, **fields})
    return {"ti": ti, "task_state_store": store, "params": {}, "dag_run": run or manual_run()}


def manual_run() -> SimpleNamespace:
    """A run that somebody has triggered."""
    run_id = f"manual__{uuid4()}"
    interval = {"data_interval_start": None, "data_interval_end": None}
    return SimpleNamespace(conf={}, run_id=run_id, run_type="manual", **interval)
