"""Many requests at once to a server that does everything wrong, and what must hold whatever it does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Request
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.model import Source

SOURCE = Source("api")
REQUESTS, SIDE_BY_SIDE = 60, 8
KEY_LENGTH = 8


class Chaos:
    """A server that answers each request with the key in its body, or fails to.

    :ivar received: how often each key arrived.
    """

    def __init__(self, seed: int) -> None:
        self.received: Counter[bytes] = Counter()
        self._random = random.Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._random.random() < 0.03:
            writer.transport.abort()
            return
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                key = (await reader.readexactly(length))[:KEY_LENGTH]
                self.received[key] += 1
                if self._random.random() < 0.1:
                    await asyncio.sleep(self._random.random() * 0.06)
                if not await self._answer(key, writer):
                    break
        writer.close()

    async def _answer(self, key: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays."""
        good = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(key), key)
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n%b\r\n0\r\n\r\n" % key
        stale = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"
        kind = self._random.choices(
            ["good", "last", "more", "chunked", "cut", "reset", "interim", "single", "junk", "late end"],
            [50, 10, 5, 5, 5, 5, 5, 5, 3, 7],
        )[0]
        if kind == "reset":
            writer.transport.abort()
            return False
        if kind == "single":
            for byte in good:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
        sent = {
            "more": good + stale, "chunked": chunked, "cut": good[:-3], "single": b"", "junk": b"junk\n",
            "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + good,
        }  # fmt: skip
        writer.write(sent.get(kind, good))
        await writer.drain()
        if kind == "late end":
            await asyncio.sleep(0.001)
        return kind not in ("last", "cut", "late end")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_answer_is_the_requests_own_and_no_request_is_sent_twice(seed: int) -> None:
    chaos, dice = Chaos(seed), random.Random(-seed)
    outcomes: Counter[str] = Counter()
    problems: list[Any] = []

    async def one(transport: Transport, given: Connection, key: bytes) -> None:
        large = b"x" * (dice.choice([200_000, 2_000_000]) if dice.random() < 0.1 else 0)
        asked = Request("api", "POST", "/x", (), (), key + large, timeout=dice.choice([0.02, 0.05, 5.0, 5.0]))
        task = asyncio.create_task(transport.send(asked, SOURCE, given))
        if dice.random() < 0.05:
            asyncio.get_running_loop().call_later(dice.random() * 0.02, task.cancel)
        try:
            response = await task
        except NotSent:
            outcomes["not sent"] += 1
            await asyncio.sleep(0.01)
            assert chaos.received[key] == 0
        except (OutcomeUnknown, asyncio.CancelledError) as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["answered"] += 1
            assert response.body == key
            assert chaos.received[key] == 1

    async def run() -> int:
        loop: Any = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        server = await asyncio.start_server(chaos.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        given = Connection(id="c", base_url=f"http://127.0.0.1:{port}")
        async with Transport() as transport:

            async def several(worker: int) -> None:
                for number in range(REQUESTS):
                    await one(transport, given, b"%08d" % (worker * REQUESTS + number))

            await asyncio.gather(*(several(worker) for worker in range(SIDE_BY_SIDE)))
        await asyncio.sleep(0.1)
        server.close()
        await asyncio.sleep(0)
        return len(loop._selector.get_map())

    assert asyncio.run(asyncio.wait_for(run(), 60)) == 1, "no socket is left"
    assert problems == []
    assert max(chaos.received.values()) == 1
    assert outcomes["answered"] > sum(outcomes.values()) / 2
    assert outcomes["OutcomeUnknown"]
