"""Time limits over one timer mean what asyncio's own mean."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_arazzo.engine.deadlines import Deadlines

Limit = Callable[[float], Any]


@pytest.fixture(params=["ours", "asyncio's"])
def limit(request: pytest.FixtureRequest) -> Limit:
    """Both, so that what is asserted is known to be what asyncio does."""
    every = Deadlines()

    @asynccontextmanager
    async def ours(seconds: float) -> AsyncIterator[None]:
        with every.after(seconds):
            yield

    return ours if request.param == "ours" else asyncio.timeout


async def limited(limit: Limit, seconds: float, work: Awaitable[Any]) -> Any:
    async with limit(seconds):
        return await work


def test_within_it_nothing_happens(limit: Limit) -> None:
    assert asyncio.run(limited(limit, 5, asyncio.sleep(0, "done"))) == "done"


def test_beyond_it_the_task_hears_a_timeout(limit: Limit) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(limited(limit, 0.05, asyncio.sleep(5)))
    assert 0.04 < time.monotonic() - began < 2


def test_a_limit_of_nothing_still_begins(limit: Limit) -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(limited(limit, 0, asyncio.sleep(5)))


def test_each_has_its_own(limit: Limit) -> None:
    async def run() -> list[Any]:
        waits = [(0.30, 5.0), (0.05, 5.0), (5.0, 0.15), (0.15, 5.0), (0.05, 0.0)]
        ends: list[int] = []

        async def one(index: int, seconds: float, takes: float) -> str:
            try:
                await limited(limit, seconds, asyncio.sleep(takes))
            except TimeoutError:
                return "late"
            finally:
                ends.append(index)
            return "done"

        found = await asyncio.gather(*(one(n, *each) for n, each in enumerate(waits)))
        return [*found, ends[0], ends[1], ends[-1]]

    assert asyncio.run(run()) == ["late", "late", "done", "late", "done", 4, 1, 0]


def test_one_after_the_other(limit: Limit) -> None:
    async def run() -> int:
        late = 0
        for takes in (0.0, 5.0, 0.0, 5.0):
            try:
                await limited(limit, 0.03, asyncio.sleep(takes))
            except TimeoutError:
                late += 1
        return late

    assert asyncio.run(run()) == 2


def test_a_cancellation_from_outside_stays_one(limit: Limit) -> None:
    async def run() -> None:
        task = asyncio.ensure_future(limited(limit, 0.05, asyncio.sleep(5)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_cancelled_and_late_it_is_cancelled(limit: Limit) -> None:
    async def run() -> None:
        async def work() -> None:
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                task.cancel()  # while it hears of its limit
                await asyncio.sleep(0)

        task = asyncio.ensure_future(limited(limit, 0.02, work()))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_an_error_of_the_work_is_its_own(limit: Limit) -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(limited(limit, 5, work()))


def test_what_came_while_the_loop_was_kept_counts() -> None:
    """A response is there, only the loop had no time to look; asyncio's own limit would lose it."""

    async def answered() -> bytes:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        with Deadlines().after(0.1):
            asyncio.get_running_loop().call_soon(keep)
            asyncio.get_running_loop().call_soon(theirs.sendall, b"here")
            got = await reader.read(4)
        writer.close()
        theirs.close()
        return got

    def keep() -> None:
        time.sleep(0.2)

    assert asyncio.run(answered()) == b"here"
