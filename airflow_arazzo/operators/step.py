"""The operator that runs a step of a workflow, or a loop of steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)
from airflow.sdk.log import mask_secret

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.engine.connection import BadConnection, Connection
from airflow_arazzo.engine.inputs import InvalidInputs, cast_text, prepare_inputs
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.machine import Done, Machine, Wait, begin, workflow_outputs
from airflow_arazzo.engine.messages import NotSent
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.engine.run import check_credentials, drive, secret_inputs, sender
from airflow_arazzo.engine.state import State, decode_state, encode_state
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.hooks.arazzo import ArazzoHook
from airflow_arazzo.operators import exchange
from airflow_arazzo.operators.graph import Component
from airflow_arazzo.plan.model import OperationCall, Plan

LONGEST_SLEEP = 5.0
"""Seconds that a task waits while it holds its slot; for longer waits it gives the slot back."""


class ArazzoStepOperator(BaseOperator):
    """Runs one step of an Arazzo workflow, or one loop of steps.

    Outputs go into one XCom, ``return_value``: an object with the outputs that the document declares.

    :param plan: the compiled workflow.
    :param component: the steps to run.
    :param inputs: values of workflow inputs, or Jinja templates of them. (templated)
    :param connections: connection ids by source name; a source's own name where it is not mentioned.
    :param tasks: task ids by step id, of the steps that other tasks run.
    :param use_params: whether inputs that are not given come from the run's params.
    :param absent_text: what an absent value inside text does: ``fail`` or ``empty``.
    """

    template_fields: Sequence[str] = ("inputs", "plan_digest")
    template_fields_renderers = {"inputs": "json"}  # noqa: RUF012 - as BaseOperator declares it
    ui_color = "#d7e8ff"

    def __init__(
        self,
        *,
        plan: Plan,
        component: Component,
        inputs: Mapping[str, Any] | None = None,
        connections: Mapping[str, str] | None = None,
        tasks: Mapping[str, str] | None = None,
        use_params: bool = False,
        absent_text: Literal["fail", "empty"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.component = component
        self.inputs = dict(inputs or {})
        self.connections = dict(connections or {})
        self.tasks = dict(tasks or {})
        self.use_params = use_params
        self.absent_text = absent_text
        self.plan_digest = plan.digest
        if not component.only_safe:
            # Airflow repeats a task whose worker died without asking anyone. A request that may have
            # taken effect must not be repeated like that, so such tasks are never retried by Airflow.
            self.retries = 0

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Run the steps.

        :return: outputs of the step, or by step id those of the steps of a loop.
        :raises AirflowSkipException: when the way through the workflow does not lead here.
        :raises AirflowFailException: when the step failed and must not be repeated.
        :raises AirflowException: when the step failed and repeating it is safe.
        :raises AirflowRescheduleException: when there is a longer wait.
        """
        start = self._chosen_step(context)
        try:
            machine, connections = self._machine(context, start)
        except (InvalidInputs, BadConnection, NotSent, exchange.NoEncryption) as error:
            raise AirflowFailException(f"Nothing was sent. {_explained(error)}") from None
        self._hidden = [s for connection in connections.values() for s in connection.secret_values()]
        result = asyncio.run(self._drive(machine, connections))
        self._log(machine)
        if isinstance(result, Wait):
            self._give_back_slot(context, machine, result)
        return self._finish(context, machine, result)

    # --- before ----------------------------------------------------------------------------------

    def _chosen_step(self, context: Any) -> str:
        """The step to begin with: the only possible one, or the one that a task upstream led to."""
        component = self.component
        if not component.asks:
            return component.start
        prefix = self.task_id[: len(self.task_id) - len(component.name)]
        for name in component.upstream:
            chosen = context["ti"].xcom_pull(task_ids=prefix + name, key=exchange.NEXT_STEP)
            if chosen in component.steps:
                return str(chosen)
        raise AirflowSkipException("the workflow took another way")

    def _machine(self, context: Any, start: str) -> tuple[Machine, dict[str, Connection]]:
        """The machine, at the step to begin with or where it was before it gave its slot back."""
        sources = self._sources(first=start == self.plan.root.steps[0].id)
        connections = {name: ArazzoHook(self.connections.get(name, name)).settings() for name in sources}
        secrets = secret_inputs(self.plan, connections) if connections else {}
        for value in secrets.values():
            mask_secret(value)
        for value in check_credentials(self.plan, connections):
            mask_secret(value)
        steps = {step.id: step for step in self.plan.root.steps}
        if any(steps[name].secret_outputs for name in self.component.steps):
            exchange.check_encryption()
        state = self._stored_state(context) or self._fresh_state(context, start)
        machine = Machine(
            self.plan,
            state,
            clock=time.time,
            secrets=secrets,
            within=frozenset(self.component.steps),
            absent_text=self.absent_text,
        )
        return machine, connections

    def _sources(self, first: bool) -> list[str]:
        """Sources whose connections are needed: the steps' own, and all for the first task to check."""
        if first or any(not isinstance(s.call, OperationCall) for s in self._own_steps()):
            return list(self.plan.sources)
        used = [s.call.source for s in self._own_steps() if isinstance(s.call, OperationCall)]
        return list(dict.fromkeys(used))

    def _own_steps(self) -> list[Any]:
        return [step for step in self.plan.root.steps if step.id in self.component.steps]

    def _fresh_state(self, context: Any, start: str) -> State:
        prepared = prepare_inputs(self.plan.root, self._given(context), null_is_absent=True)
        state = begin(self.plan, prepared, now=time.time())
        frame = state.frames[0]
        frame.step = start
        ti = context["ti"]
        for name in self.component.reads:
            pulled = ti.xcom_pull(task_ids=self.tasks[name])
            if pulled is not None:
                outputs = exchange.from_xcom(pulled)
                frame.outputs[name] = outputs.get(name, outputs) if self._is_loop(name) else outputs
        return state

    def _is_loop(self, step_id: str) -> bool:
        """Whether a step shares its task with others, whose outputs are then kept by step id."""
        return sum(task == self.tasks[step_id] for task in self.tasks.values()) > 1

    def _given(self, context: Any) -> dict[str, Any]:
        """Inputs as params and arguments give them, texts cast to the types of the schema."""
        properties = self.plan.root.inputs.get("properties") or {}
        given: dict[str, Any] = {}
        if self.use_params:
            self._refuse_unknown(context, properties)
            given = {name: value for name, value in context["params"].items() if name in properties}
        for name, value in self.inputs.items():
            try:
                given[name] = cast_text(value, properties.get(name)) if isinstance(value, str) else value
            except ValueError as error:
                raise AirflowFailException(f"Nothing was sent. input {name!r} {error}") from None
        return given

    def _refuse_unknown(self, context: Any, properties: Mapping[str, Any]) -> None:
        """Airflow accepts any key in a run's configuration; a misspelt input must not be lost like that."""
        run = context.get("dag_run")
        for name in (run.conf if run and run.conf else {}) or {}:
            if name in self.plan.root.credentials:
                raise AirflowFailException(
                    f"Nothing was sent. The run's configuration holds {name!r}, which is a credential: it "
                    f"comes from the connection. It is now stored with the run: change that credential."
                )
            known = {*context["params"], *properties}
            if name not in known:
                hint = did_you_mean(name, properties)
                raise AirflowFailException(f"Nothing was sent. There is no input {name!r}; {hint}")

    # --- running ---------------------------------------------------------------------------------

    async def _drive(self, machine: Machine, connections: Mapping[str, Connection]) -> Done | Wait:
        async with Transport() as transport:
            send = sender(transport, self.plan, connections)
            return await drive(machine, send, longest_wait=LONGEST_SLEEP)

    def _log(self, machine: Machine) -> None:
        """Tell the story of the task: requests, criteria, actions. Never query values or bodies."""
        for event in machine.events:
            text = redact(event.text, self._hidden)
            (self.log.warning if event.level == "warning" else self.log.info)("%s: %s", event.step, text)

    # --- after -----------------------------------------------------------------------------------

    def _give_back_slot(self, context: Any, machine: Machine, wait: Wait) -> NoReturn:
        self._store_state(context, machine.state)
        when = datetime.now(UTC) + timedelta(seconds=wait.seconds)
        self.log.info("%s: giving the slot back until %s", wait.reason, when.isoformat(timespec="seconds"))
        raise AirflowRescheduleException(when)

    def _finish(self, context: Any, machine: Machine, done: Done) -> dict[str, Any] | None:
        state = machine.state
        if done.status == "failed":
            self._fail(done.failure or Failure("failed", "the step failed"), done.ended_by)
        self._forget_state(context)
        ti = context["ti"]
        if self.component.tells:
            ti.xcom_push(exchange.NEXT_STEP, done.next_step)
        if done.status == "succeeded":
            self._publish_outputs(ti, state)
        outputs = self._outputs(state)
        self.log.info("outputs: %s", ", ".join(outputs or {}) or "none")
        return outputs

    def _publish_outputs(self, ti: Any, state: State) -> None:
        """Push the workflow's outputs, where it ends and declares some."""
        if not self.plan.root.outputs:
            return
        secret = {
            name
            for name, template in self.plan.root.outputs.items()
            for step in self.plan.root.steps
            if getattr(template, "scope", None) == step.id
            and getattr(template, "name", "") in step.secret_outputs
        }
        outputs = workflow_outputs(self.plan, state)
        ti.xcom_push(exchange.WORKFLOW_OUTPUTS, exchange.outputs_to_xcom(outputs, secret))

    def _outputs(self, state: State) -> dict[str, Any] | None:
        """What the task returns: outputs of its step, or of its steps by id; None when there are none."""
        frame = state.frames[0]
        found = {
            step.id: exchange.outputs_to_xcom(frame.outputs[step.id], step.secret_outputs)
            for step in self._own_steps()
            if frame.outputs.get(step.id)
        }
        if len(self.component.steps) > 1:
            return found or None
        return found.get(self.component.steps[0])

    def _fail(self, failure: Failure, ended_by: str) -> NoReturn:
        text = redact(str(failure), self._hidden)
        message = f"{text}{f'; ended by action {ended_by!r}' if ended_by else ''}"
        if failure.fate == "not-sent" and failure.code in ("not-sent", "criteria"):
            raise AirflowException(message)
        if self.component.only_safe:
            raise AirflowException(message)
        raise AirflowFailException(message)

    # --- state between slots ---------------------------------------------------------------------

    def _stored_state(self, context: Any) -> State | None:
        """Where the task was when it gave its slot back; nothing after somebody cleared it.

        Clearing a task raises its ``max_tries``; a retry and a reschedule do not.
        """
        if not self._waits():
            return None
        stored = context["task_state_store"].get("state")
        if not isinstance(stored, dict) or stored.get("max_tries") != context["ti"].max_tries:
            return None
        return decode_state(exchange.unseal(stored["state"]))

    def _store_state(self, context: Any, state: State) -> None:
        sealed = exchange.seal(encode_state(state).encode())
        context["task_state_store"].set("state", {"max_tries": context["ti"].max_tries, "state": sealed})

    def _forget_state(self, context: Any) -> None:
        if self._waits():
            context["task_state_store"].delete("state")

    def _waits(self) -> bool:
        """Whether the task can have given its slot back: it loops, retries, or calls a workflow."""
        return any(
            step.on_failure or step.on_success or not isinstance(step.call, OperationCall)
            for step in self._own_steps()
        )


def _explained(error: Exception) -> str:
    if isinstance(error, InvalidInputs):
        found = [d.message + (f" ({d.hint})" if d.hint else "") for d in error.diagnostics]
        return "The inputs do not fit: " + "; ".join(found)
    return str(error)
