"""Where a task stands while it waits without a slot."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_arazzo.engine.state import State, decode_state, encode_state
from airflow_arazzo.operators import exchange
from airflow_arazzo.plan.model import Plan

_KEY = "state"


class Pause:
    """The stored state of a task, encrypted, in Airflow's task state store.

    It is good for later attempts of the same task, and for none after somebody cleared it: clearing raises
    a task's ``max_tries``, a retry and a reschedule do not. Each question to the store is a call of Airflow's
    API, so one that cannot have an answer is not asked: a first attempt that never gave its slot back has
    stored nothing.
    """

    def __init__(self, context: Any) -> None:
        self._store = context["task_state_store"]
        self._max_tries = context["ti"].max_tries
        first = context["ti"].try_number == 1 and context.get("task_reschedule_count") == 0
        self._may_be_stored = not first

    def load(self, plan: Plan) -> State | None:
        """Where the task was when it gave its slot back; None when it begins.

        :raises AirflowFailException: when that cannot be read, or names steps that the plan has no more.
        """
        stored = self._store.get(_KEY) if self._may_be_stored else None
        if not isinstance(stored, dict) or stored.get("max_tries") != self._max_tries:
            return None
        try:
            state = decode_state(exchange.unseal(str(stored["state"])))
        except (ValueError, KeyError, exchange.NoEncryption) as error:
            raise AirflowFailException(
                f"Nothing was sent in this attempt. The state that the task stored before it waited cannot "
                f"be read: {error}. Clear the task to begin afresh."
            ) from None
        for frame in state.frames:
            workflow = plan.workflows.get(frame.workflow)
            steps = [step.id for step in workflow.steps] if workflow else []
            if workflow is None or (frame.step and frame.step not in steps):
                raise AirflowFailException(
                    f"Nothing was sent in this attempt. The document has changed while the task waited: "
                    f"workflow {frame.workflow!r} with step {frame.step!r} is gone. Clear the task to begin "
                    f"afresh."
                )
        return state

    def save(self, state: State) -> None:
        """Store where the task stands.

        :raises NoEncryption: when Airflow has no key.
        """
        sealed = exchange.seal(encode_state(state).encode())
        self._may_be_stored = True
        self._store.set(_KEY, {"max_tries": self._max_tries, "state": sealed})

    def forget(self) -> None:
        """Remove what is stored."""
        if self._may_be_stored:
            self._store.delete(_KEY)
