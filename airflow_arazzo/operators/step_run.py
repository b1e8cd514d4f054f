"""One attempt at a step of a workflow, or at a loop of steps: what a task does when it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowSkipException,
)
from airflow.sdk.log import mask_secret

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.entry import enter
from airflow_arazzo.engine.inputs import InvalidInputs, prepare_inputs
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.machine import Done, Machine, Wait, begin, workflow_outputs
from airflow_arazzo.engine.messages import NotSent
from airflow_arazzo.engine.preflight import CannotRun, check_requests
from airflow_arazzo.engine.run import Exchange, check_credentials, drive, secret_inputs
from airflow_arazzo.engine.state import Frame, State
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.expression.evaluate import AbsentInText
from airflow_arazzo.hooks.arazzo import ArazzoHook
from airflow_arazzo.ledger.exchange import LedgeredExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.location import NoLedger
from airflow_arazzo.ledger.model import EffectUnderWay, LedgerUnavailable
from airflow_arazzo.operators import exchange, interruption
from airflow_arazzo.operators.advice import begun, explained, what_to_do
from airflow_arazzo.operators.assets import tell_assets
from airflow_arazzo.operators.effects import identity_of, open_book
from airflow_arazzo.operators.exchange import NoEncryption
from airflow_arazzo.operators.inputs import given_inputs
from airflow_arazzo.operators.layout import label
from airflow_arazzo.operators.observation import Observation, observation
from airflow_arazzo.operators.pause import Pause
from airflow_arazzo.operators.period import NoPeriod, Period, stated_period
from airflow_arazzo.operators.retry import StepFailed, may_retry
from airflow_arazzo.operators.story import Story, noting_replays, told_sender
from airflow_arazzo.operators.upstream import Upstream
from airflow_arazzo.plan.reads import expressions

if TYPE_CHECKING:
    from airflow_arazzo.operators.step import ArazzoStepOperator

LONGEST_SLEEP = 5.0
"""Seconds that a task waits while it holds its slot; for longer waits it gives the slot back."""

SHORTEST_ABSENCE = 15.0
"""Seconds that a task which gave its slot back stays away, at least. The supervisor of a task's process can
take ``[workers] min_heartbeat_interval``, 5 s, to notice that it has ended, and the scheduler takes its time
to hear of that. If the task has been queued again by then, Airflow 3.3 takes the news for the failure of the
new attempt, which costs a retry, or the run."""


class StepRun:
    """An attempt of a task.

    :param task: what is to run.
    :param context: Airflow's.
    """

    def __init__(self, task: ArazzoStepOperator, context: Any) -> None:
        self.task, self.context, self.log = task, context, task.log
        self.plan, self.component = task.plan, task.component
        self._pause = Pause(context)

    def execute(self) -> dict[str, Any]:
        """As :meth:`ArazzoStepOperator.execute`."""
        upstream = Upstream(self.context["ti"], self.component, self.task.prefix)
        start = upstream.chosen_step()
        if start is None:
            raise AirflowSkipException("The workflow took another way.")
        story = Story(self.log)
        self._begin(story, start)
        try:
            machine, connections = self._machine(start, upstream, story)
        except (InvalidInputs, NotSent, CannotRun, NoEncryption, AirflowNotFoundException) as error:
            raise AirflowFailException(story.safe(f"Nothing was sent. {explained(error)}")) from None
        try:
            result = interruption.run(self._drive(machine, connections, story))
        except NoLedger as error:
            raise AirflowFailException(story.safe(f"Nothing was sent. {begun(str(error))}")) from None
        except LedgerUnavailable as error:
            raise StepFailed(story.safe(str(error))) from None
        finally:
            story.hide(machine.secret_values())
            self._show(story)
        if isinstance(result, Wait):
            self._give_back_slot(machine, result)
        return self._finish(machine, result, story)

    # --- before ----------------------------------------------------------------------------------

    def _machine(self, start: str, upstream: Upstream, story: Story) -> tuple[Machine, dict[str, Connection]]:
        """The machine, at the step to begin with or where it was before it gave its slot back."""
        needs = self.component.needs
        opens = self.component.opens
        sources = list(self.plan.sources) if opens else list(needs.sources)
        connections = {name: ArazzoHook(self.task.connections.get(name, name)).settings() for name in sources}
        for connection in connections.values():
            story.hide(connection.secret_values())
        secrets = secret_inputs(self.plan, connections)
        story.hide(secrets.values())
        story.hide(check_credentials(self.plan, connections))
        if needs.encrypts or self._may_pause():
            exchange.check_encryption()
        state = self._pause.load(self.plan) if self._may_pause() else None
        if state is None:
            state = self._fresh_state(start, upstream, secrets)
            if opens:
                check_requests(self.plan, state.frames[0].inputs, secrets, absent_text=self.task.absent_text)
        machine = Machine(
            self.plan,
            state,
            clock=time.time,
            secrets=secrets,
            within=frozenset(self.component.steps),
            calls=self.component.calls,
            absent_text=self.task.absent_text,
            ledger=self.task.ledger,
        )
        story.hide(machine.secret_values())
        story.inputs(self.plan, state.frames[-1], [each.log_bodies for each in connections.values()])
        return machine, connections

    def _begin(self, story: Story, start: str) -> None:
        part, position = self.component, self.component.position(start)
        workflow = self.plan.workflows[part.workflow]
        step = position[-1] if len(position) > len(part.calls) else workflow.steps[0].id
        story.begin(workflow, part.steps, step)

    def _fresh_state(self, start: str, upstream: Upstream, secrets: Mapping[tuple[str, str], str]) -> State:
        given = given_inputs(
            self.plan.root,
            self.context,
            self.task.inputs,
            list(self.task.dag.params),
            use_params=self.task.use_params,
        )
        prepared = prepare_inputs(self.plan.root, given, null_is_absent=True)
        state = begin(self.plan, prepared, now=time.time())
        state.finished.update(upstream.finished())
        # Without a step the machine begins with the workflows that this one depends on.
        position = ("",) if start == self.plan.root.steps[0].id else self.component.position(start)
        enter(self.plan, state, position, upstream.outputs(), secrets, self.task.absent_text)
        return state

    # --- running ---------------------------------------------------------------------------------

    async def _drive(
        self, machine: Machine, connections: Mapping[str, Connection], story: Story
    ) -> Done | Wait:
        seen = observation(self.context, connections.values())
        async with Transport(on_secret=mask_secret, observer=seen) as transport:
            send = told_sender(transport, self.plan, connections, machine, story, seen)
            if self.task.ledger and not self.component.needs.only_safe:
                send = self._ledgered(send, connections, machine, story, seen)
                send = noting_replays(send, connections, story)

            async def sleep(seconds: float) -> None:
                # A loop with short waits can go on for hours, and must not begin anew after a kill.
                self._pause.save(machine.state)
                await asyncio.sleep(seconds)

            while True:
                try:
                    result = await drive(machine, send, sleep=sleep, longest_wait=LONGEST_SLEEP)
                    break
                except EffectUnderWay as busy:
                    machine.put_off(busy.seconds, str(busy))
        story.hide(machine.secret_values())
        story.tell(machine.events)
        if seen is not None:
            seen.ended(result)
        return result

    def _ledgered(
        self,
        send: Exchange,
        connections: Mapping[str, Connection],
        machine: Machine,
        story: Story,
        seen: Observation | None,
    ) -> LedgeredExchange:
        """The exchange with the ledger in front of it."""
        run, ti = self.context["dag_run"], self.context["ti"]
        return LedgeredExchange(
            send,
            open_book(),
            self.identity(),
            self.plan,
            connections,
            attempt=f"{run.run_id} {self.task.task_id} try {ti.try_number}",
            secrets=lambda: story.hidden,
            scope=machine.scope,
            tell=self.log.info,
            on_replay=seen.replayed if seen else None,
        )

    def identity(self) -> Identity:
        """What the run is for, to the ledger.

        :raises AirflowFailException: when the run's templates use a period, and it has none.
        """
        group = self.task.prefix.rstrip(".")
        namespace = self.task.namespace or (f"{self.task.dag_id}.{group}" if group else self.task.dag_id)
        return identity_of(self.context, namespace, self.task.identity, self._stated_period())

    def _stated_period(self) -> Period | None:
        """The period that the run states, where its templates use one; params may mean anything elsewhere."""
        try:
            return stated_period(self.context, self.task.dag) if self.task.uses_period else None
        except NoPeriod as error:
            raise AirflowFailException(f"Nothing was sent. {begun(str(error))}") from None

    def _may_pause(self) -> bool:
        """Whether the task may have given its slot back: it waits, or the ledger told it to come later."""
        return self.component.needs.waits or (self.task.ledger and not self.component.needs.only_safe)

    # --- after -----------------------------------------------------------------------------------

    def _show(self, story: Story) -> None:
        """Show the last exchange in the Rendered Templates tab."""
        self.task.request, self.task.response = story.last.fields(story.safe)
        # Airflow writes rendered fields before a task begins; once more costs a call, so not for nothing.
        self.task.overwrite_rtif_after_execution = self.task.request is not None

    def _give_back_slot(self, machine: Machine, wait: Wait) -> NoReturn:
        self._pause.save(machine.state)
        when = datetime.now(UTC) + timedelta(seconds=max(wait.seconds, SHORTEST_ABSENCE))
        self.log.info("%s: giving the slot back until %s", wait.reason, when.isoformat(timespec="seconds"))
        raise AirflowRescheduleException(when)  # type: ignore[no-untyped-call]

    def _finish(self, machine: Machine, done: Done, story: Story) -> dict[str, Any]:
        ti, part = self.context["ti"], self.component
        if done.status == "failed":
            failure = done.failure or Failure("failed", "the step failed")
            self._fail(failure, done.ended_by, story, last=ti.try_number > ti.max_tries)
        frames = machine.activations()
        outputs = self._outputs(frames, story)
        if part.ends and done.status == "succeeded":
            published = self._publish_workflow_outputs(ti, machine.state, story)
            tell_assets(self.context, self.task.outlets, published)
        others = self._other_outputs(frames, story)
        if others or part.answers:
            ti.xcom_push(exchange.OTHER_OUTPUTS, others)
        if part.needs.recalled:
            ti.xcom_push(exchange.FINISHED, exchange.finished_to_xcom(machine.state.finished))
        if part.tells:
            ti.xcom_push(exchange.NEXT_STEP, done.next_step)
        if self._may_pause():
            self._pause.forget()
        story.end(outputs, done.next_step if done.status == "left" and not part.beside else "")
        return outputs

    def _publish_workflow_outputs(self, ti: Any, state: State, story: Story) -> dict[str, Any]:
        """Push the outputs of the workflow that has ended, where it declares some; returns them."""
        workflow = self.plan.workflows[state.frames[0].workflow]
        if not workflow.outputs:
            return {}
        try:
            outputs = workflow_outputs(self.plan, state)
        except (AbsentInText, ValueError) as error:
            message = f"The steps succeeded, and an output of the workflow cannot be had: {error}"
            raise AirflowFailException(story.safe(message)) from None
        tokens = {("steps", step.id, name) for step in workflow.steps for name in step.secret_outputs}
        secret = {
            name
            for name, template in workflow.outputs.items()
            if any((each.root, each.scope, each.name) in tokens for each in expressions(template))
        }
        published = exchange.outputs_to_xcom(outputs, secret, story.hidden)
        ti.xcom_push(exchange.WORKFLOW_OUTPUTS, published)
        for name in published if self.task.publish_each else ():
            if name not in exchange.RESERVED:
                ti.xcom_push(name, published[name])
        return published

    def _outputs(self, frames: Sequence[Frame], story: Story) -> dict[str, Any]:
        """What the task returns: outputs of its step, or of its steps by id."""
        part = self.component
        found = self._step_outputs(frames, len(part.calls), part.steps, story)
        return found if part.is_loop else found.get(part.steps[0], {})

    def _other_outputs(self, frames: Sequence[Frame], story: Story) -> dict[str, Any]:
        """Outputs of steps that are not its own, by position."""
        calls = self.component.calls
        found: dict[str, Any] = {}
        for level in range(len(calls) + 1):
            names = calls[level : level + 1] or self.component.needs.guests
            for name, outputs in self._step_outputs(frames, level, names, story).items():
                found[label((*calls[:level], name))] = outputs
        return found

    def _step_outputs(
        self, frames: Sequence[Frame], level: int, names: Sequence[str], story: Story
    ) -> dict[str, Any]:
        """Outputs of steps of one of the workflows, by id, for XCom; of those that ran."""
        if level >= len(frames) or frames[level].origin is not None:
            return {}
        kept = frames[level].outputs
        return {
            step.id: exchange.outputs_to_xcom(kept[step.id], step.secret_outputs, story.hidden)
            for step in self.plan.workflows[frames[level].workflow].steps
            if step.id in names and step.id in kept
        }

    def _fail(self, failure: Failure, ended_by: str, story: Story, *, last: bool) -> NoReturn:
        only_safe = self.component.needs.only_safe
        again = not ended_by and may_retry(failure, only_safe=only_safe, ledger=self.task.ledger)
        advice = what_to_do(failure, ledger=self.task.ledger, only_safe=only_safe, again=again and not last)
        end = f"; ended by action {ended_by!r}" if ended_by else ""
        message = story.safe(f"{failure}{end}\nWhat to do: {advice}")
        raise StepFailed(message, failure) if again else AirflowFailException(message)
