"""``python -m bench.contenders.by_hand``: the same calls in a loop, with aiohttp and with requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import requests

from bench.contender import serve
from bench.contenders.workflow import KEY, PATHS, STEPS, bodies, clock, inputs

_HEADERS = {"X-API-KEY": KEY}


class ByHand:
    """Loops that know the calls already. Each keeps its connections, and reads the answers as JSON."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._aiohttp = self._loop.run_until_complete(self._open())
        self._requests = requests.Session()

    def with_aiohttp(self, url: str, times: int, processor: bool = False) -> float:
        """Milliseconds for each call."""
        return self._loop.run_until_complete(self._loop_aiohttp(url, times, clock(processor)))

    def with_requests(self, url: str, times: int, processor: bool = False) -> float:
        """Milliseconds for each call."""
        read = clock(processor)
        given = [inputs() for _ in range(times)]
        began = read()
        for each in given:
            for path, body in zip(PATHS, bodies(each), strict=True):
                response = self._requests.post(url + path, json=body, headers=_HEADERS)
                if response.status_code != 200 or "customerId" not in response.json():
                    raise RuntimeError(f"{path} answered {response.status_code}")
        return (read() - began) / times / STEPS * 1000

    def close(self) -> None:
        """Close the connections."""
        self._requests.close()
        self._loop.run_until_complete(self._aiohttp.close())
        self._loop.close()

    async def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def _loop_aiohttp(self, url: str, times: int, read: Callable[[], float]) -> float:
        given = [inputs() for _ in range(times)]
        began = read()
        for each in given:
            for path, body in zip(PATHS, bodies(each), strict=True):
                async with self._aiohttp.post(url + path, json=body, headers=_HEADERS) as response:
                    if response.status != 200 or "customerId" not in await response.json():
                        raise RuntimeError(f"{path} answered {response.status}")
        return (read() - began) / times / STEPS * 1000


if __name__ == "__main__":
    loops = ByHand()
    serve({"aiohttp": loops.with_aiohttp, "requests": loops.with_requests})
    loops.close()
