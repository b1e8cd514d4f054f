"""The operator that runs a step of a workflow, or a loop of steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, NoReturn

from airflow.sdk import BaseOperator
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
from airflow_arazzo.operators import exchange
from airflow_arazzo.operators.advice import explained, what_to_do
from airflow_arazzo.operators.assets import tell_assets
from airflow_arazzo.operators.effects import RUN_KEY, RunKey, identity_of, open_book
from airflow_arazzo.operators.exchange import NoEncryption
from airflow_arazzo.operators.graph import Component
from airflow_arazzo.operators.inputs import given_inputs
from airflow_arazzo.operators.layout import label
from airflow_arazzo.operators.observation import Observation, observation
from airflow_arazzo.operators.pause import Pause
from airflow_arazzo.operators.period import NoPeriod, Period, stated_period, uses, uses_period, with_period
from airflow_arazzo.operators.rendered import SHOWN, origin
from airflow_arazzo.operators.retry import StepFailed, may_retry, with_retries
from airflow_arazzo.operators.story import Story, noting_replays, told_sender
from airflow_arazzo.operators.upstream import Upstream
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.plan.templates import expressions

LONGEST_SLEEP = 5.0
"""Seconds that a task waits while it holds its slot; for longer waits it gives the slot back."""

SHORTEST_ABSENCE = 15.0
"""Seconds that a task which gave its slot back stays away, at least. The supervisor of a task's process can
take ``[workers] min_heartbeat_interval``, 5 s, to notice that it has ended, and the scheduler takes its time
to hear of that. If the task has been queued again by then, Airflow 3.3 takes the news for the failure of the
new attempt, which costs a retry, or the run."""


class ArazzoStepOperator(BaseOperator):
    """Runs one step of an Arazzo workflow, or one loop of steps.

    Outputs go into one XCom, ``return_value``: an object with the outputs that the document declares; of a
    loop, such an object for each step. Secrets of the connections are masked in them, also where an API
    has echoed one; outputs that are credentials themselves are encrypted.

    Airflow runs a task again, three times unless ``retries`` says otherwise, when its worker died, or when
    it failed in a way that may pass by itself and cannot harm. Requests that change something go through
    the ledger, which knows what took effect. Without it a task that can send such a request is never
    retried by Airflow, whatever ``retries`` says.

    :param plan: the compiled workflow.
    :param component: the steps to run.
    :param inputs: values of workflow inputs, or Jinja templates of them. (templated)
    :param connections: connection ids by source name; a source's own name where it is not mentioned.
    :param use_params: whether inputs that are not given come from the run's params.
    :param absent_text: what an absent value inside text does: ``fail`` or ``empty``.
    :param publish_each: whether outputs of the workflow are XComs of their own, too, by their names.
    :param ledger: whether requests that change something go through the ledger. Without it, running a task
        again by hand sends its requests again.
    :param identity: what the run is for, where that is neither its data interval nor itself. (templated)
    :param namespace: what tells this use of the workflow from others in the ledger; by default DAG id and
        group path.
    """

    template_fields: Sequence[str] = ("identity", "inputs", "plan_digest", *SHOWN)
    template_fields_renderers = dict.fromkeys(("inputs", "request", "response"), "json")
    ui_color = "#d7e8ff"

    def __init__(
        self,
        *,
        plan: Plan,
        component: Component,
        inputs: Mapping[str, Any] | None = None,
        connections: Mapping[str, str] | None = None,
        use_params: bool = False,
        absent_text: Literal["fail", "empty"] = "fail",
        publish_each: bool = False,
        ledger: bool = True,
        identity: str = "",
        namespace: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**(with_retries(kwargs) if ledger else kwargs))
        self.plan = plan
        self.component = component
        self.inputs = dict(inputs or {})
        self.connections = dict(connections or {})
        self.use_params = use_params
        self.absent_text = absent_text
        self.publish_each = publish_each
        # Airflow makes a new version of a DAG when a template field changes: so a new plan is one.
        self.plan_digest = plan.digest
        self.ledger = ledger
        self.identity = identity
        self.namespace = namespace
        self.uses_period = uses_period(self.inputs, identity)
        self.document, self.documentation = origin(plan, component)
        self.request: dict[str, Any] | None = None
        self.response: dict[str, Any] | None = None
        if not ledger and not component.needs.only_safe:
            # Airflow repeats a task whose worker died without asking anyone. A request that may have
            # taken effect must not be repeated like that, so such tasks are never retried by Airflow.
            self.retries = 0

    def render_template(self, content: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a template, in which ``period`` is the period that the run is for, and ``run_key`` its key.

        :raises AirflowFailException: when the template uses the period and the run has none.
        """
        if self.uses_period:
            context = with_period(context, self.dag)
        if RUN_KEY not in context and uses(RUN_KEY, content):
            # The identity is rendered first.
            context = {**context, RUN_KEY: RunKey(partial(self._identity, context))}
        return super().render_template(content, context, *args, **kwargs)

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the steps.

        :return: outputs of the step, or by step id those of the steps of a loop.
        :raises AirflowSkipException: when the way through the workflow does not lead here.
        :raises AirflowFailException: when the step failed and must not be repeated.
        :raises AirflowException: when the step failed and repeating it is safe.
        :raises AirflowRescheduleException: when there is a longer wait.
        """
        upstream = Upstream(context["ti"], self.component, self._prefix())
        start = upstream.chosen_step()
        if start is None:
            raise AirflowSkipException("The workflow took another way.")
        story = Story(self.log)
        self._begin(story, start)
        try:
            machine, connections = self._machine(context, start, upstream, story)
        except (InvalidInputs, NotSent, CannotRun, NoEncryption, AirflowNotFoundException) as error:
            raise AirflowFailException(story.safe(f"Nothing was sent. {explained(error)}")) from None
        try:
            result = asyncio.run(self._drive(context, machine, connections, story))
        except NoLedger as error:
            raise AirflowFailException(story.safe(f"Nothing was sent. {error}")) from None
        except LedgerUnavailable as error:
            raise StepFailed(story.safe(str(error))) from None
        finally:
            story.hide(machine.secret_values())
            self._show(story)
        if isinstance(result, Wait):
            self._give_back_slot(context, machine, result)
        return self._finish(context, machine, result, story)

    # --- before ----------------------------------------------------------------------------------

    def _machine(
        self, context: Any, start: str, upstream: Upstream, story: Story
    ) -> tuple[Machine, dict[str, Connection]]:
        """The machine, at the step to begin with or where it was before it gave its slot back."""
        needs = self.component.needs
        opens = self.component.opens
        sources = list(self.plan.sources) if opens else list(needs.sources)
        connections = {name: ArazzoHook(self.connections.get(name, name)).settings() for name in sources}
        for connection in connections.values():
            story.hide(connection.secret_values())
        secrets = secret_inputs(self.plan, connections)
        story.hide(secrets.values())
        story.hide(check_credentials(self.plan, connections))
        if needs.encrypts or self._may_pause():
            exchange.check_encryption()
        state = Pause(context).load(self.plan) if self._may_pause() else None
        if state is None:
            state = self._fresh_state(context, start, upstream, secrets)
            if opens:
                check_requests(self.plan, state.frames[0].inputs, secrets, absent_text=self.absent_text)
        machine = Machine(
            self.plan,
            state,
            clock=time.time,
            secrets=secrets,
            within=frozenset(self.component.steps),
            calls=self.component.calls,
            absent_text=self.absent_text,
            ledger=self.ledger,
        )
        story.hide(machine.secret_values())
        story.inputs(self.plan, state.frames[-1], [each.log_bodies for each in connections.values()])
        return machine, connections

    def _begin(self, story: Story, start: str) -> None:
        part, position = self.component, self.component.position(start)
        workflow = self.plan.workflows[part.workflow]
        step = position[-1] if len(position) > len(part.calls) else workflow.steps[0].id
        story.begin(workflow, part.steps, step)

    def _fresh_state(
        self, context: Any, start: str, upstream: Upstream, secrets: Mapping[tuple[str, str], str]
    ) -> State:
        given = given_inputs(
            self.plan.root, context, self.inputs, list(self.dag.params), use_params=self.use_params
        )
        prepared = prepare_inputs(self.plan.root, given, null_is_absent=True)
        state = begin(self.plan, prepared, now=time.time())
        state.finished.update(upstream.finished())
        # Without a step the machine begins with the workflows that this one depends on.
        position = ("",) if start == self.plan.root.steps[0].id else self.component.position(start)
        enter(self.plan, state, position, upstream.outputs(), secrets, self.absent_text)
        return state

    # --- running ---------------------------------------------------------------------------------

    async def _drive(
        self, context: Any, machine: Machine, connections: Mapping[str, Connection], story: Story
    ) -> Done | Wait:
        seen = observation(context, connections.values())
        async with Transport(on_secret=mask_secret, observer=seen) as transport:
            send = told_sender(transport, self.plan, connections, machine, story, seen)
            if self.ledger and not self.component.needs.only_safe:
                send = self._ledgered(context, send, connections, machine, story, seen)
                send = noting_replays(send, connections, story)

            async def sleep(seconds: float) -> None:
                # A loop with short waits can go on for hours, and must not begin anew after a kill.
                Pause(context).save(machine.state)
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
        context: Any,
        send: Exchange,
        connections: Mapping[str, Connection],
        machine: Machine,
        story: Story,
        seen: Observation | None,
    ) -> LedgeredExchange:
        """The exchange with the ledger in front of it."""
        return LedgeredExchange(
            send,
            open_book(),
            self._identity(context),
            self.plan,
            connections,
            attempt=f"{context['dag_run'].run_id} {self.task_id} try {context['ti'].try_number}",
            secrets=lambda: story.hidden,
            scope=machine.scope,
            tell=self.log.info,
            on_replay=seen.replayed if seen else None,
        )

    def _identity(self, context: Any) -> Identity:
        group = self._prefix().rstrip(".")
        namespace = self.namespace or (f"{self.dag_id}.{group}" if group else self.dag_id)
        return identity_of(context, namespace, self.identity, self._stated_period(context))

    def _stated_period(self, context: Any) -> Period | None:
        """The period that the run states, where its templates use one; params may mean anything elsewhere."""
        try:
            return stated_period(context, self.dag) if self.uses_period else None
        except NoPeriod as error:
            raise AirflowFailException(f"Nothing was sent. {error}") from None

    def _prefix(self) -> str:
        """What task groups around the workflow put before task ids, dot included."""
        return self.task_id[: len(self.task_id) - len(self.component.name)]

    def _may_pause(self) -> bool:
        """Whether the task may have given its slot back: it waits, or the ledger told it to come later."""
        return self.component.needs.waits or (self.ledger and not self.component.needs.only_safe)

    # --- after -----------------------------------------------------------------------------------

    def _show(self, story: Story) -> None:
        """Show the last exchange in the Rendered Templates tab."""
        self.request, self.response = story.last.fields(story.safe)
        # Airflow writes rendered fields before a task begins; once more costs a call, so not for nothing.
        self.overwrite_rtif_after_execution = self.request is not None

    def _give_back_slot(self, context: Any, machine: Machine, wait: Wait) -> NoReturn:
        Pause(context).save(machine.state)
        when = datetime.now(UTC) + timedelta(seconds=max(wait.seconds, SHORTEST_ABSENCE))
        self.log.info("%s: giving the slot back until %s", wait.reason, when.isoformat(timespec="seconds"))
        raise AirflowRescheduleException(when)  # type: ignore[no-untyped-call]

    def _finish(self, context: Any, machine: Machine, done: Done, story: Story) -> dict[str, Any]:
        ti, part = context["ti"], self.component
        if done.status == "failed":
            failure = done.failure or Failure("failed", "the step failed")
            self._fail(failure, done.ended_by, story, last=ti.try_number > ti.max_tries)
        frames = machine.activations()
        outputs = self._outputs(frames, story)
        if part.ends and done.status == "succeeded":
            published = self._publish_workflow_outputs(ti, machine.state, story)
            tell_assets(context, self.outlets, published)
        others = self._other_outputs(frames, story)
        if others or part.answers:
            ti.xcom_push(exchange.OTHER_OUTPUTS, others)
        if part.needs.recalled:
            ti.xcom_push(exchange.FINISHED, exchange.finished_to_xcom(machine.state.finished))
        if part.tells:
            ti.xcom_push(exchange.NEXT_STEP, done.next_step)
        if self._may_pause():
            Pause(context).forget()
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
        for name in published if self.publish_each else ():
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
        again = not ended_by and may_retry(failure, only_safe=only_safe, ledger=self.ledger)
        advice = what_to_do(failure, ledger=self.ledger, only_safe=only_safe, again=again and not last)
        end = f"; ended by action {ended_by!r}" if ended_by else ""
        message = story.safe(f"{failure}{end}\nWhat to do: {advice}")
        raise StepFailed(message, failure) if again else AirflowFailException(message)
