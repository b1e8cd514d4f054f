"""A sandbox inside the test process, for tests that are not asynchronous themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from sandbox.faults import Rule
from sandbox.seeds import plant
from sandbox.server import Server
from sandbox.settings import Settings
from sandbox.state import State

Result = TypeVar("Result")

_PATIENCE = 10.0  # seconds; starting and stopping take a few milliseconds


class RunningSandbox:
    """A sandbox that listens; its methods may be called from any thread but the sandbox's own.

    Numbers with a point come back as ``Decimal``, digit by digit as they were sent.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop

    @property
    def url(self) -> str:
        """Base URL of Amberflo, and of Stripe (whose paths begin with ``/v1``); no slash at the end."""
        return self._server.url

    @property
    def host(self) -> str:
        """The address."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port."""
        return self._server.port

    @property
    def amberflo_key(self) -> str:
        """The key for ``X-API-KEY``."""
        return self._server.state.settings.amberflo_key

    @property
    def stripe_key(self) -> str:
        """The key for ``Authorization``."""
        return self._server.state.settings.stripe_key

    def ledger(self, kind: str | None = None, service: str | None = None) -> list[dict[str, Any]]:
        """Return the effects so far, oldest first, of one kind or service if wanted."""
        return self._ask(lambda state: state.ledger.select(kind, service))

    def kinds(self) -> list[str]:
        """Return only the kinds of the effects so far, in order."""
        return self._ask(lambda state: [effect.kind for effect in state.ledger.effects])

    def requests(self, service: str | None = None) -> list[dict[str, Any]]:
        """Return the requests so far, refused ones included."""

        def read(state: State) -> list[dict[str, Any]]:
            show = state.settings.record_credentials
            return [r.as_json(show) for r in state.requests if service in (None, r.service)]

        return self._ask(read)

    def reset(self) -> None:
        """Forget everything, faults and changed settings included."""
        self._ask(lambda state: state.reset())

    def seed(self, **services: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        """Make objects without effects, as ``POST /_sandbox/seed`` does.

        For example ``seed(stripe={"customers": [{"id": "cus_1"}]})``.

        :raises sandbox.seeds.SeedError: an object cannot be made.
        """
        return self._ask(lambda state: plant(state, services))

    def configure(self, **changes: Any) -> None:
        """Change settings, as ``PATCH /_sandbox/settings`` does.

        :raises ValueError: a setting is unknown or fixed, or the value is not one of its.
        """

        def change(state: State) -> None:
            state.settings = state.settings.changed(changes)

        self._ask(change)

    def add_fault(self, action: str, **rule: Any) -> None:
        """Add a fault rule, as ``POST /_sandbox/faults`` does; see `sandbox.faults`.

        :raises ValueError: the rule is not one.
        """
        parsed = Rule.from_json({"action": action, **rule})
        self._ask(lambda state: state.faults.rules.append(parsed))

    def clear_faults(self) -> None:
        """Remove all fault rules."""
        self._ask(lambda state: state.faults.rules.clear())

    def refuse_connections(self, seconds: float) -> None:
        """Stop listening for some seconds, and end all connections; returns when that has happened."""
        asyncio.run_coroutine_threadsafe(self._server.refuse(seconds), self._loop).result(_PATIENCE)

    def _ask(self, question: Callable[[State], Result]) -> Result:
        # On the loop's own thread, where no request is half way through its effects.
        answer: Future[Result] = Future()

        def ask() -> None:
            try:
                answer.set_result(question(self._server.state))
            except BaseException as error:
                answer.set_exception(error)

        self._loop.call_soon_threadsafe(ask)
        return answer.result(_PATIENCE)


@contextmanager
def running_sandbox(*, host: str = "127.0.0.1", **settings: Any) -> Iterator[RunningSandbox]:
    """Run a sandbox on a free port, in a thread with an event loop of its own.

    :param host: address to listen on.
    :param settings: fields of `sandbox.settings.Settings`; keys are random unless given.
    :raises ValueError: a setting has a value it cannot have.
    """
    server = Server(Settings(**settings), host)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(_PATIENCE)
        yield RunningSandbox(server, loop)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
