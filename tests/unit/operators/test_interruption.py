"""Airflow's time limit reaches coroutines where they wait, and nowhere else."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_arazzo.operators import interruption


class TimeIsOver(BaseException):
    """As Airflow's: no Exception, and raised by a signal handler."""


@pytest.fixture
def limit() -> Iterator[Any]:
    """Limits what follows to so many seconds, as Airflow does."""

    def raises(*_: Any) -> None:
        raise TimeIsOver

    before = signal.signal(signal.SIGALRM, raises)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert signal.getsignal(signal.SIGALRM) is raises, "the handler is back"
    signal.signal(signal.SIGALRM, before)


async def waits(heard: list[str], seconds: float = 10) -> str:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        heard.append("cancelled")
        raise
    return "done"


def test_work_that_takes_too_long_is_cancelled_where_it_waits(limit: Any) -> None:
    heard: list[str] = []
    limit(0.1)
    with pytest.raises(TimeIsOver):
        interruption.run(waits(heard))
    assert heard == ["cancelled"]


def test_work_that_is_quick_enough_is_done(limit: Any) -> None:
    limit(5)
    assert interruption.run(waits([], 0.01)) == "done"


def test_work_that_is_done_all_the_same_is_not_lost(limit: Any) -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "what came of it"
        return "done"

    limit(0.1)
    assert interruption.run(work()) == "what came of it"


def test_work_that_has_just_ended_is_not_lost(limit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit strikes when the loop is closed and Airflow's handler is not back yet."""
    real = asyncio.run

    def run(*given: Any) -> Any:
        result = real(*given)
        signal.raise_signal(signal.SIGALRM)
        return result

    monkeypatch.setattr(asyncio, "run", run)
    assert interruption.run(waits([], 0.01)) == "done"


def test_a_cancellation_of_its_own_is_none_of_airflows(limit: Any) -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        interruption.run(work())


def test_without_a_limit_it_is_asyncios_run() -> None:
    assert interruption.run(waits([], 0.01)) == "done"


def test_in_another_thread_there_is_no_limit(limit: Any) -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(interruption.run(waits([], 0.01))))
    thread.start()
    thread.join(5)
    assert found == ["done"]


def test_whatever_the_loop_does_nobody_waits_for_ever(limit: Any) -> None:
    """The limit strikes at any point of a busy loop, many times over."""
    chance = random.Random(1)

    async def busy() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def give() -> None:
            for number in range(10**9):
                await queue.put(number)

        async def take() -> None:
            while True:
                await queue.get()

        await asyncio.gather(*(each() for each in (give, take) * 8))

    for _ in range(100):
        limit(chance.uniform(0.001, 0.01))
        with pytest.raises(TimeIsOver):
            interruption.run(asyncio.wait_for(busy(), 10))
