"""Many rows at once: what each does alone, bounded, and nobody's business but its own."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from airflow_arazzo.engine.batch import Batch, Later, Paused, Row, Writing
from airflow_arazzo.engine.gates import Gate
from airflow_arazzo.engine.machine import Done, Machine, Send, begin
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response
from airflow_arazzo.engine.state import decode_state, encode_state
from airflow_arazzo.plan.model import Plan

Compile = Callable[..., Plan]
Answer = Callable[[int, Send], Awaitable[Response]]

ONE = """
- workflowId: one
  inputs: {type: object, properties: {n: {type: integer}}}
  steps:
  - {stepId: read, operationId: read, parameters: [{name: id, in: path, value: $inputs.n}],
     outputs: {id: $response.body#/id}}
  outputs: {id: $steps.read.outputs.id}
"""
POLL = """
- workflowId: poll
  inputs: {type: object, properties: {n: {type: integer}}}
  steps:
  - {stepId: start, operationId: start, outputs: {id: $response.body#/id}}
  - stepId: look
    operationId: read
    parameters: [{name: id, in: path, value: $inputs.n}]
    successCriteria: [{condition: $statusCode == 200}]
    onFailure: [{name: again, type: retry, retryAfter: 0.05, retryLimit: 50}]
  - {stepId: last, operationId: list}
"""

TIMED = """
- workflowId: outer
  inputs: {type: object, properties: {n: {type: integer}}}
  steps:
  - {stepId: first, operationId: list}
  - {stepId: call, workflowId: inner, timeout: 300}
- workflowId: inner
  steps:
  - {stepId: one, operationId: read, parameters: [{name: id, in: path, value: 1}]}
  - {stepId: two, operationId: start}
"""


def ok(body: bytes = b"{}", status: int = 200, **headers: str) -> Response:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, (("Content-Type", "application/json"), *fields), body)


class Rows:
    """Rows of a plan, what they send, and what becomes of them."""

    def __init__(self, plan: Plan, answer: Answer, count: int) -> None:
        self.plan, self.answer, self.count = plan, answer, count
        self.begun = 0
        self.now = self.most = 0
        self.sent: list[tuple[int, str]] = []
        self.times: list[float] = []
        self.done: dict[int, Done] = {}

    def __iter__(self) -> Iterator[Row]:
        for number in range(self.count):
            self.begun += 1
            yield self.row(number)

    def row(self, number: int) -> Row:
        machine = Machine(self.plan, begin(self.plan, {"n": number}, now=time.time()), clock=time.time)

        async def exchange(command: Send) -> Response:
            assert not command.again
            self.now += 1
            self.most = max(self.most, self.now)
            self.sent.append((number, f"{command.request.method} {command.request.target}"))
            self.times.append(time.time())
            try:
                return await self.answer(number, command)
            finally:
                self.now -= 1

        return Row(number, machine, exchange)

    def finish(self, row: Row, done: Done) -> None:
        assert row.key not in self.done
        self.done[row.key] = done

    def batch(self, **options: Any) -> Batch:
        return Batch(iter(self), self.finish, **options)

    def run(self, **options: Any) -> Paused | None:
        return asyncio.run(asyncio.wait_for(self.batch(**options).run(), 30))

    def paths(self, number: int) -> list[str]:
        return [what for who, what in self.sent if who == number]


async def at_once(number: int, command: Send) -> Response:
    return ok(b'{"id":%d}' % number)


async def soon(number: int, command: Send) -> Response:
    await asyncio.sleep(0.002)
    return ok(b'{"id":%d}' % number)


def test_every_row_ends_with_outputs_of_its_own(compiled: Compile) -> None:
    rows = Rows(compiled(ONE), soon, 300)
    assert rows.run(concurrency=20) is None
    assert {key: done.outputs for key, done in rows.done.items()} == {n: {"id": n} for n in range(300)}
    assert rows.most == 20


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_rows_and_many_slots(compiled: Compile, count: int) -> None:
    rows = Rows(compiled(ONE), at_once, count)
    assert rows.run(concurrency=50) is None
    assert len(rows.done) == count


def test_rows_begin_as_slots_get_free(compiled: Compile) -> None:
    """At no time are more rows in memory than are under way."""
    plan = compiled(ONE)
    ahead = 0

    async def answer(number: int, command: Send) -> Response:
        nonlocal ahead
        await asyncio.sleep(0)
        ahead = max(ahead, rows.begun - len(rows.done))
        return ok()

    rows = Rows(plan, answer, 500)
    rows.run(concurrency=10)
    assert ahead <= 10
    gc.collect()
    assert sum(type(each) is Machine for each in gc.get_objects()) < 15


def test_a_row_that_waits_holds_no_slot(compiled: Compile) -> None:
    """Two slots, and twenty rows that wait most of the time: their waits lie beside each other."""
    looked: dict[int, int] = {}

    async def answer(number: int, command: Send) -> Response:
        if command.step.id != "look":
            return ok()
        looked[number] = looked.get(number, 0) + 1
        return ok(status=200 if looked[number] > 4 else 404)

    rows = Rows(compiled(POLL), answer, 20)
    begun = time.monotonic()
    assert rows.run(concurrency=2) is None
    assert time.monotonic() - begun < 2  # 20 rows times 4 waits of 0.05 s are 4 s
    assert {done.status for done in rows.done.values()} == {"succeeded"}
    for number in range(20):
        expected = ["POST /jobs", *[f"GET /items/{number}"] * 5, "GET /items"]
        assert rows.paths(number) == expected


class Ledgered(Writing):
    """Sends as an exchange does, and then takes its time to write the answer down."""

    def __init__(self, send: Callable[[Send], Awaitable[Response]], written: Callable[[], Any]) -> None:
        self._send = send
        self._written = written

    async def __call__(self, command: Send) -> Response:
        response = await self._send(command)
        self.on_answer()
        self.on_answer()  # once is enough, and more often does no harm
        await self._written()
        return response


class WritingRows(Rows):
    """Rows whose answers are written down."""

    writing = most_writing = 0

    def row(self, number: int) -> Row:
        row = super().row(number)
        row.exchange = Ledgered(row.exchange, self._write)
        return row

    async def _write(self) -> None:
        self.writing += 1
        self.most_writing = max(self.most_writing, self.writing)
        await asyncio.sleep(0.004)
        self.writing -= 1


def test_while_an_answer_is_written_down_its_slot_is_anothers(compiled: Compile) -> None:
    """Never more requests at once than were asked for, and never more rows at once than twice as many."""
    rows = WritingRows(compiled(POLL), soon, 60)
    begun = time.monotonic()
    assert rows.run(concurrency=6) is None
    took = time.monotonic() - begun
    assert rows.most == 6
    assert 2 <= rows.most_writing <= 12
    assert len(rows.done) == 60
    for number in range(60):
        assert rows.paths(number) == ["POST /jobs", f"GET /items/{number}", "GET /items"]
    assert took < 60 * 3 / 6 * 0.006  # as long as all of it one after the other in six slots
    gc.collect()
    assert sum(type(each) is Machine for each in gc.get_objects()) < 15


def test_rows_that_write_leave_nothing_for_the_garbage_collector(compiled: Compile) -> None:
    plan = compiled(ONE)
    gc.collect()
    gc.disable()
    try:
        WritingRows(plan, at_once, 50).run(concurrency=5)
        assert sum(type(each) is Ledgered for each in gc.get_objects()) < 12
    finally:
        gc.enable()


def test_one_at_a_time_is_one_row_at_a_time(compiled: Compile) -> None:
    rows = WritingRows(compiled(POLL), at_once, 5)
    assert rows.run(concurrency=1) is None
    assert rows.most_writing == 1
    assert [number for number, _ in rows.sent] == [n for n in range(5) for _ in range(3)]


def test_whose_answer_is_written_down_waits_at_the_gate_as_all_do(compiled: Compile) -> None:
    """Who has waited for his own answer to be written does not pass the others, nor the rate."""
    rows = WritingRows(compiled(POLL), at_once, 6)
    assert rows.run(concurrency=4, gates={"api": Gate(40)}) is None
    assert len(rows.done) == 6
    took = rows.times[-1] - rows.times[0]
    assert took > (len(rows.times) - 1) / 40 - 0.05


def test_ended_while_answers_are_written_down(compiled: Compile) -> None:
    """Rows that wait for a slot to go on with are under way as all others are."""
    rows = WritingRows(compiled(POLL), at_once, 40)
    batch = rows.batch(concurrency=3)

    async def run() -> None:
        running = asyncio.ensure_future(batch.run())
        while len(rows.sent) < 9:
            await asyncio.sleep(0)
        batch.stop()
        await asyncio.wait_for(running, 30)

    asyncio.run(run())
    assert batch.under_way() == []
    assert len(rows.done) == rows.begun < 20
    for number in rows.done:
        assert len(rows.paths(number)) == 3


def test_the_time_of_a_row_is_not_used_up_by_others(compiled: Compile) -> None:
    """Whose workflow has a time limit keeps the slot; and it begins with one in hand."""

    async def answer(number: int, command: Send) -> Response:
        if number >= 2:
            await asyncio.sleep(0.4)
        return ok()

    rows = WritingRows(compiled(TIMED, version="1.1.0"), answer, 4)
    assert rows.run(concurrency=2) is None
    assert {number for number, done in rows.done.items() if done.status == "succeeded"} >= {0, 1}
    for number in (0, 1):
        assert rows.paths(number) == ["GET /items", "GET /items/1", "POST /jobs"]


def test_what_waits_at_a_gate_is_not_sent_after_its_time(compiled: Compile) -> None:
    rows = Rows(compiled(TIMED, version="1.1.0"), at_once, 2)
    lefts: list[float | None] = []

    async def answer(number: int, command: Send) -> Response:
        lefts.append(command.request.left)
        return ok()

    rows.answer = answer
    assert rows.run(concurrency=2, gates={"api": Gate(4)}) is None
    assert {done.failure.code for done in rows.done.values() if done.failure} == {"timeout"}
    assert len(rows.done) == 2
    assert not any(what == "POST /jobs" for _, what in rows.sent)
    # What waited for a while has that much less.
    assert all(left is None or left < 0.3 for left in lefts)


def test_what_may_have_been_sent_before_stays_so_at_a_gate(compiled: Compile) -> None:
    """A request that was under way when the run was interrupted, and now has to wait besides."""
    plan = compiled(ONE)
    state = begin(plan, {"n": 1}, now=time.time())
    Machine(plan, state, clock=time.time).next()
    assert state.in_flight
    seen: list[bool] = []

    async def exchange(command: Send) -> Response:
        seen.append(command.again)
        return ok()

    gate = Gate()
    gate.closed_until = time.time() + 0.1
    row = Row(1, Machine(plan, state, clock=time.time), exchange)
    assert asyncio.run(Batch(iter([row]), lambda *_: None, gates={"api": gate}).run()) is None
    assert seen == [True]


def test_rows_that_fail_disturb_no_other(compiled: Compile) -> None:
    async def answer(number: int, command: Send) -> Response:
        await asyncio.sleep(0)
        kind = number % 5
        if kind == 1:
            return ok(status=400)
        if kind == 2:
            raise OutcomeUnknown("no response")
        if kind == 3:
            raise NotSent("refused")
        return ok(b"{" if kind == 4 else b'{"id":1}')

    rows = Rows(compiled(ONE), answer, 100)
    assert rows.run(concurrency=7) is None
    by_kind = [{rows.done[n].status for n in range(100) if n % 5 == kind} for kind in range(5)]
    assert by_kind == [{"succeeded"}, {"failed"}, {"failed"}, {"failed"}, {"succeeded"}]
    codes = [done.failure.code for n, done in sorted(rows.done.items()) if done.failure][:3]
    assert codes == ["criteria", "no-response", "not-sent"]


def test_a_fault_of_ours_ends_the_batch_and_is_not_swallowed(compiled: Compile) -> None:
    async def answer(number: int, command: Send) -> Response:
        if number == 30:
            raise ZeroDivisionError
        await asyncio.sleep(0.001)
        return ok()

    rows = Rows(compiled(ONE), answer, 100)
    with pytest.raises(ZeroDivisionError):
        rows.run(concurrency=4)
    assert len(rows.sent) < 40


def test_a_rate_holds_for_all_rows_together(compiled: Compile) -> None:
    rows = Rows(compiled(ONE), at_once, 60)
    rows.run(concurrency=16, gates={"api": Gate(100)})
    took = rows.times[-1] - rows.times[0]
    assert 0.5 < took < 1.2
    assert len(rows.done) == 60
    # A line of waiting rows is no reason to begin ever more of them.
    assert rows.begun == 60


def test_a_line_at_the_gate_holds_back_new_rows(compiled: Compile) -> None:
    rows = Rows(compiled(ONE), at_once, 1000)
    batch = rows.batch(concurrency=8, gates={"api": Gate(20)})

    async def a_while() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(batch.run(), 0.3)

    asyncio.run(a_while())
    assert rows.begun - len(rows.done) <= 17


def test_what_a_service_asks_one_row_all_rows_do(compiled: Compile) -> None:
    told = False

    async def answer(number: int, command: Send) -> Response:
        nonlocal told
        await asyncio.sleep(0.001)
        if number >= 8 and not told:
            told = True
            return ok(status=200, X_RateLimit_Remaining="0", X_RateLimit_Reset="1")
        return ok()

    rows = Rows(compiled(ONE), answer, 60)
    assert rows.run(concurrency=4, gates={"api": Gate()}) is None
    gaps = sorted(after - before for before, after in zip(rows.times, rows.times[1:], strict=False))
    assert gaps[-1] > 0.9
    assert gaps[-2] < 0.3
    assert len(rows.done) == 60


def test_when_all_wait_for_long_it_says_so_and_goes_on_from_stored_states(compiled: Compile) -> None:
    plan = compiled(POLL.replace("0.05", "60"))
    asked: list[int] = []

    async def answer(number: int, command: Send) -> Response:
        if command.step.id == "look" and number < 3 and asked.count(number) == 0:
            asked.append(number)
            return ok(status=404)
        return ok()

    rows = Rows(plan, answer, 6)
    batch = rows.batch(concurrency=2, longest_wait=0.2)
    paused = asyncio.run(batch.run())
    assert paused is not None
    assert 59 < paused.seconds <= 60
    assert "retry 1 of 50" in paused.reason
    assert sorted(rows.done) == [3, 4, 5]
    waiting = batch.under_way()
    assert sorted(row.key for row in waiting) == [0, 1, 2]
    stored = {row.key: encode_state(row.machine.state) for row in waiting}
    later = Rows(plan, answer, 0)

    def again() -> Iterator[Row]:
        for key, text in stored.items():
            row = later.row(key)
            machine = Machine(plan, decode_state(text), clock=lambda: time.time() + 60)
            yield Row(key, machine, row.exchange)

    assert asyncio.run(Batch(again(), later.finish).run()) is None
    assert {done.status for done in later.done.values()} == {"succeeded"}
    assert [later.paths(key) for key in (0, 1, 2)] == [[f"GET /items/{n}", "GET /items"] for n in (0, 1, 2)]


def test_a_request_that_never_left_is_not_taken_for_lost(compiled: Compile) -> None:
    """Its row was stored while it stood in line; nothing of it has to be looked up."""
    plan = compiled(POLL)
    rows = Rows(plan, at_once, 3)
    gate = Gate()
    gate.closed_until = time.time() + 100
    batch = rows.batch(gates={"api": gate}, longest_wait=0.1)
    paused = asyncio.run(batch.run())
    assert paused is not None
    assert "'api' wants no requests" in paused.reason
    [row, *_] = batch.under_way()
    assert row.unsent
    machine = Machine(plan, decode_state(encode_state(row.machine.state)), clock=time.time)
    restored = Row(row.key, machine, rows.row(row.key).exchange, unsent=True)
    assert asyncio.run(Batch(iter([restored]), rows.finish).run()) is None
    assert rows.paths(row.key) == ["POST /jobs", f"GET /items/{row.key}", "GET /items"]


def test_who_must_come_later_does(compiled: Compile) -> None:
    plan = compiled(ONE)
    turned_away: set[int] = set()
    rows = Rows(plan, at_once, 5)

    def begun() -> Iterator[Row]:
        for row in rows:
            below = row.exchange

            async def exchange(command: Send, number: int = row.key, below: Any = below) -> Response:
                if number not in turned_away:
                    turned_away.add(number)
                    raise Later(0.1, "another attempt is under way")
                return await below(command.__class__(command.request, command.step, command.path, 1))

            row.exchange = exchange
            yield row

    assert asyncio.run(Batch(begun(), rows.finish).run()) is None
    assert len(rows.done) == len(turned_away) == 5
    assert len(rows.sent) == 5


def test_too_many_that_wait_keep_others_from_beginning(compiled: Compile) -> None:
    async def answer(number: int, command: Send) -> Response:
        return ok(status=404) if command.step.id == "look" else ok()

    rows = Rows(compiled(POLL.replace("0.05", "60")), answer, 100)
    batch = rows.batch(concurrency=4, most_waiting=10, longest_wait=0.1)
    assert asyncio.run(batch.run()) is not None
    assert len(batch.under_way()) == 10 == rows.begun


def test_stop(compiled: Compile) -> None:
    rows = Rows(compiled(ONE), soon, 100)
    batch = rows.batch(concurrency=4)
    plain = rows.finish

    def finish(row: Row, done: Done) -> None:
        plain(row, done)
        batch.stop()

    batch._finish = finish
    assert asyncio.run(batch.run()) is None
    assert len(rows.done) == len(rows.sent) == rows.begun == 4
