"""A sandbox on a socket."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from sandbox.app import create_app
from sandbox.settings import Settings
from sandbox.state import State


class Server:
    """Serves one sandbox within the running event loop.

    :param host: address to listen on.
    :param port: port to listen on; 0 is any free one.
    """

    def __init__(self, settings: Settings, host: str = "127.0.0.1", port: int = 0) -> None:
        self.state = State(settings)
        self.host = host
        self.port = port
        self._runner = web.AppRunner(
            create_app(settings, self.state), access_log=None, shutdown_timeout=0.1, handle_signals=False
        )
        self._site: web.TCPSite | None = None
        self._refusing: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen.

        :raises OSError: the address or port cannot be had.
        """
        await self._runner.setup()
        await self._listen()
        self.state.refuse_connections = self._refuse_soon

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True, backlog=1024)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    def _refuse_soon(self, seconds: float) -> None:
        # The answer to the request that asked for this leaves first.
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, lambda: loop.create_task(self.refuse(seconds)))

    async def refuse(self, seconds: float) -> None:
        """Stop listening for some seconds and end all connections; returns once that has begun."""
        if self._refusing is not None:
            self._refusing.cancel()
        if self._site is not None:
            site, self._site = self._site, None
            await site.stop()
        if self._runner.server is not None:
            for connection in list(self._runner.server.connections):
                connection.force_close()
        self._refusing = asyncio.get_running_loop().create_task(self._listen_in(seconds))

    async def _listen_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def stop(self) -> None:
        """Stop listening and end all connections."""
        if self._refusing is not None:
            self._refusing.cancel()
            with suppress(asyncio.CancelledError):
                await self._refusing
        await self._runner.cleanup()
