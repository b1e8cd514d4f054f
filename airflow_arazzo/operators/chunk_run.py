"""One attempt at a step, or at a loop of steps, for the rows of a chunk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import msgspec
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRescheduleException,
)
from airflow.sdk.log import mask_secret

from airflow_arazzo.engine.batch import Batch, Paused, Row
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.gates import Gate
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.machine import Done, Machine, begin
from airflow_arazzo.engine.messages import NotSent
from airflow_arazzo.engine.observe import watched
from airflow_arazzo.engine.outcomes import ended
from airflow_arazzo.engine.redact import printable, redact
from airflow_arazzo.engine.run import Exchange, check_credentials, secret_inputs, sender
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.hooks.arazzo import ArazzoHook
from airflow_arazzo.ledger.group import GroupBook, GroupedExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.location import NoLedger
from airflow_arazzo.ledger.model import LedgerUnavailable
from airflow_arazzo.operators import exchange, interruption
from airflow_arazzo.operators.advice import begun
from airflow_arazzo.operators.chunk import CHUNK_ROWS
from airflow_arazzo.operators.effects import identity_of, open_book
from airflow_arazzo.operators.observation import observation
from airflow_arazzo.operators.period import NoPeriod, stated_period
from airflow_arazzo.operators.progress import Progress
from airflow_arazzo.operators.retry import StepFailed, may_retry
from airflow_arazzo.operators.standings import chunk_files, frozen, may_seal
from airflow_arazzo.operators.story import Story
from airflow_arazzo.rows.manifest import BrokenManifest, read_chunk
from airflow_arazzo.rows.states import Place, latest, state_of, state_text

if TYPE_CHECKING:
    from airflow_arazzo.operators.chunk import ArazzoChunkOperator

KEEP_EVERY = 5.0
"""Seconds between two writings of what is done while others are under way."""

LONGEST_KEY = 60
"""Characters of a row's key in the name of its task; Airflow keeps 250 of all."""

MOST_TOLD = 20
"""Rows that have failed of which the log says why; the report has all of them."""


class ChunkRun:
    """An attempt of a task.

    :param task: what is to run.
    :param context: Airflow's.
    """

    def __init__(self, task: ArazzoChunkOperator, context: Any) -> None:
        self.task, self.context, self.log = task, context, task.log

    def execute(self) -> dict[str, int]:
        """As :meth:`ArazzoChunkOperator.execute`."""
        story = Story(self.log)
        try:
            work = _Work(self.task, self.context, story)
        except (NotSent, BrokenManifest, exchange.NoEncryption, AirflowNotFoundException) as error:
            raise AirflowFailException(story.safe(f"Nothing was sent. {begun(str(error))}")) from None
        self.context[CHUNK_ROWS] = work.label()
        try:
            paused = interruption.run(self._drive(work, story))
        except NoLedger as error:
            raise AirflowFailException(story.safe(f"Nothing was sent. {begun(str(error))}")) from None
        except LedgerUnavailable as error:
            raise StepFailed(story.safe(str(error))) from None
        finally:
            work.keep()
        if paused is not None:
            self._give_back_slot(paused)
        return self._finish(work)

    async def _drive(self, work: _Work, story: Story) -> Paused | None:
        if not work.todo:
            return None
        seen = work.seen
        async with Transport(on_secret=mask_secret, observer=seen) as transport:
            plain = sender(transport, self.task.plan, work.settings)
            group = None
            if self.task.ledger and not self.task.component.needs.only_safe:
                group = GroupBook(open_book())
            identity = self._identity()
            run, ti = self.context["dag_run"], self.context["ti"]
            attempt = f"{run.run_id} {self.task.task_id} try {ti.try_number}"

            def row(place: Place, machine: Machine) -> Exchange:
                send = plain
                if seen is not None:
                    send = watched(plain, machine, hidden=lambda: story.hidden, on_retry=seen.retried)
                if group is None:
                    return send
                return GroupedExchange(
                    send,
                    group,
                    replace(identity, row=f"row {place.key}"),
                    self.task.plan,
                    work.settings,
                    attempt=attempt,
                    secrets=lambda: (*story.hidden, *transport.secrets(), *machine.secret_values()),
                    scope=machine.scope,
                    tell=lambda text: self.log.info("row %r: %s", place.key, story.safe(text)),
                    on_replay=seen.replayed if seen else None,
                )

            batch = Batch(
                work.rows(row, transport.secrets),
                work.finish,
                gates=self._gates(work.settings),
                concurrency=self.task.concurrency,
            )
            work.on_halt = self.task.stop = batch.stop
            paused = await batch.run()
        work.waiting(batch.under_way())
        return paused

    def _gates(self, settings: Mapping[str, Connection]) -> dict[str, Gate]:
        return {name: Gate(connection.rate or self.task.rate) for name, connection in settings.items()}

    def _identity(self) -> Identity:
        inner = self.task.task_id[: len(self.task.task_id) - len(self.task.component.name)].rstrip(".")
        group = inner.rpartition(".")[0]
        namespace = self.task.namespace or (f"{self.task.dag_id}.{group}" if group else self.task.dag_id)
        try:
            period = stated_period(self.context, self.task.dag) if self.task.uses_period else None
        except NoPeriod as error:
            raise AirflowFailException(f"Nothing was sent. {begun(str(error))}") from None
        return identity_of(self.context, namespace, self.task.identity, period)

    def _give_back_slot(self, paused: Paused) -> NoReturn:
        when = datetime.now(UTC) + timedelta(seconds=paused.seconds)
        self.log.info("%s: giving the slot back until %s", paused.reason, when.isoformat(timespec="seconds"))
        raise AirflowRescheduleException(when)  # type: ignore[no-untyped-call]

    def _finish(self, work: _Work) -> dict[str, int]:
        ti = self.context["ti"]
        places = work.places()
        again = [place for place in places if place.again and place.key in work.mine]
        if again and ti.try_number <= ti.max_tries:
            longest = max((place.failure for place in again if place.failure), key=_wait)
            raise StepFailed(
                f"{len(again)} row(s) failed and may be tried again, the last: {longest}", longest
            )
        if len(work.done) < len(work.mine):
            raise StepFailed(f"{len(work.mine) - len(work.done)} row(s) were not begun: see above")
        work.files.write(places, after=work.after, era=ti.max_tries)
        counted = {kind: sum(p.standing == kind for p in places) for kind in ("open", "ended", "failed")}
        if work.todo:
            self.log.info("%s", work.progress.line())
        self.log.info(
            "chunk %s: %d row(s) go on, %d have ended, %d have failed", self.task.chunk, *counted.values()
        )
        return {"rows": len(places), **counted}


class _Work:
    """The rows of a chunk in one attempt at a task."""

    def __init__(self, operator: ArazzoChunkOperator, context: Any, story: Story) -> None:
        self.operator, self.plan, self.component = operator, operator.plan, operator.component
        self.era: int = context["ti"].max_tries
        self._story = story
        self._connect()
        self.seen = observation(context, self.settings.values())
        self._last_try = context["ti"].try_number > self.era
        folder, manifest = frozen(context["ti"], operator.rows_task)
        index = int(operator.chunk)
        self.files = chunk_files(folder, self.component.name, index)
        if operator.before:
            standings = chunk_files(folder, operator.before, index).read()
            if standings is None:
                raise BrokenManifest(f"task {operator.before!r} has not left where the rows stand")
            self._entries, self.after = standings.places, standings.digest
        else:
            first = self.plan.root.steps[0].id
            self._entries = [
                Place(row.key, row.line, "open", first, state_text(begin(self.plan, row.inputs, now=0.0)))
                for row in read_chunk(folder, manifest, index)
            ]
            self.after = manifest.chunks[index].digest
        self.mine = {
            place.key: place
            for place in self._entries
            if place.standing == "open" and place.step in self.component.steps
        }
        self.done: dict[str, Place] = {}
        self._kept: list[Place] = []
        self._kept_at = time.monotonic()
        self._next_part = self.files.next_part()
        self.todo = self._left_to_do()
        self.progress = Progress(operator.log, len(self.todo))
        self._told = 0
        self.on_halt: Any = lambda: None
        if self.todo:
            self.files.begin()
        passed, done = len(self._entries) - len(self.mine), len(self.mine) - len(self.todo)
        operator.log.info(
            "steps %s: %d row(s) to run, %d done before, %d stand elsewhere",
            ", ".join(self.component.steps),
            len(self.todo),
            done,
            passed,
        )

    def _connect(self) -> None:
        needs, operator = self.component.needs, self.operator
        sources = list(self.plan.sources) if not operator.before else list(needs.sources)
        self.settings = {
            name: ArazzoHook(operator.connections.get(name, name)).settings() for name in sources
        }
        for connection in self.settings.values():
            self._story.hide(connection.secret_values())
        self._secrets = secret_inputs(self.plan, self.settings)
        self._story.hide(self._secrets.values())
        self._story.hide(check_credentials(self.plan, self.settings))
        self._sealed = may_seal()
        if needs.encrypts:
            exchange.check_encryption()

    def label(self) -> str:
        """The rows of the chunk as the UI calls its task: by their first and last key."""
        ends = [self._entries[0].key, self._entries[-1].key] if len(self._entries) > 1 else []
        keys = ends or [place.key for place in self._entries]
        short = [key if len(key) <= LONGEST_KEY else f"{key[: LONGEST_KEY - 1]}…" for key in keys]
        return " … ".join(printable(key) for key in short)

    def _left_to_do(self) -> list[Place]:
        """Rows that are not done, each from where it stands; what is known of the others is taken over."""
        known = latest(self.files.known())
        left = []
        for key, entry in self.mine.items():
            digest = self._entry_digest(entry)
            place, era = known.get(key, (None, 0))
            if place is None or place.entry != digest:
                left.append(msgspec.structs.replace(entry, entry=digest))
            elif place.standing in ("open", "ended") or (
                place.standing == "failed" and era == self.era and not place.again
            ):
                self.done[key] = place
            elif place.standing == "waits" and era == self.era:
                left.append(place)
            else:
                left.append(msgspec.structs.replace(entry, entry=digest))
        return left

    def _entry_digest(self, entry: Place) -> str:
        """What tells whether a result is still one of this row, from this position, by this document."""
        return f"{entry.digest}{self.plan.digest[:12]}"

    # --- running ---------------------------------------------------------------------------------

    def rows(self, exchange_of: Any, fetched: Any) -> Iterator[Row]:
        """Begin rows."""
        self._fetched = fetched
        within = frozenset(self.component.steps)
        for place in self.todo:
            machine = Machine(
                self.plan,
                state_of(place, time.time()),
                clock=time.time,
                secrets=self._secrets,
                within=within,
                absent_text=self.operator.absent_text,
                ledger=self.operator.ledger,
            )
            yield Row(place, machine, exchange_of(place, machine), unsent=place.unsent)

    def finish(self, row: Row, done: Done) -> None:
        """A row has ended here."""
        place: Place = row.key
        state = row.machine.state
        if self.seen is not None:
            self.seen.ended(done)
        for secret in row.machine.secret_values():
            mask_secret(secret)  # of this row alone: what all rows hide is searched for in every text
        if done.status == "failed":
            failure = self._safe(done.failure or Failure("failed", "the step failed"), done, row)
            again = not done.ended_by and may_retry(
                failure, only_safe=self.component.needs.only_safe, ledger=self.operator.ledger
            )
            after = msgspec.structs.replace(place, standing="failed", failure=failure, again=again, state="")
            self._tell(place, failure)
            if failure.code == LedgerUnavailable.code:
                self.on_halt()  # the others would only wait for the same
        else:
            standing: Literal["open", "ended"] = "ended"
            if done.status == "left":
                standing, state.done = "open", None
                state.frames[0].step = done.next_step
            after = msgspec.structs.replace(
                place, standing=standing, step=done.next_step, state=self._text(row), unsent=False
            )
        self.done[place.key] = after
        self._kept.append(after)
        self.progress.count(failed=after.standing == "failed")
        if time.monotonic() - self._kept_at > KEEP_EVERY:
            self.keep()

    def waiting(self, rows: Sequence[Row]) -> None:
        """Rows that wait while the task gives its slot back."""
        for row in rows:
            text = self._text(row)
            after = msgspec.structs.replace(row.key, standing="waits", state=text, unsent=row.unsent)
            self._kept.append(after)

    def keep(self) -> None:
        """Write what is done, so that another attempt need not do it again."""
        self._kept_at = time.monotonic()
        if self._kept:
            self.files.add(self._next_part, self._kept, after=self.after, era=self.era)
            self._next_part += 1
            if self.seen is not None:
                self.seen.rows(self._kept, last_try=self._last_try)
            self._kept = []

    def places(self) -> list[Place]:
        """Where all rows of the chunk stand now."""
        return [self.done.get(place.key, place) for place in self._entries]

    def _text(self, row: Row) -> str:
        """The row's state; where it is not encrypted, without secrets that a service has echoed."""
        text = state_text(row.machine.state)
        return text if self._sealed else redact(text, self._hidden(row))

    def _hidden(self, row: Row) -> tuple[str, ...]:
        return (*self._story.hidden, *self._fetched(), *row.machine.secret_values())

    def _safe(self, failure: Failure, done: Done, row: Row) -> Failure:
        """The failure without secrets, and with the action that ended the workflow."""
        hidden = self._hidden(row)
        told = ended(failure, done.ended_by)
        return msgspec.structs.replace(
            told,
            message=printable(redact(told.message, hidden)),
            hint=printable(redact(told.hint, hidden)),
        )

    def _tell(self, place: Place, failure: Failure) -> None:
        self._told += 1
        if self._told <= MOST_TOLD:
            self.operator.log.warning("row %r (line %d): %s", place.key, place.line, failure)
        elif self._told == MOST_TOLD + 1:
            self.operator.log.warning("more rows have failed; the report names all of them")


def _wait(failure: Failure) -> float:
    return failure.retry_after or 0.0
