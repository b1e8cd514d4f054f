"""Telling an observer of every HTTP request that is sent: for metrics and traces.

Only a transport that was given an observer has an :class:`ObservedChannel`, and only exchanges over it are
:func:`watched`; any other transport runs the same code as if this module did not exist. Whatever an observer
raises is logged and forgotten: between a response and the ledger nothing may go wrong for its sake.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from airflow_arazzo.engine.channel import Channel, Progress
from airflow_arazzo.engine.connection import Connection, origin_of
from airflow_arazzo.engine.messages import NotSent, Response, TransportError
from airflow_arazzo.engine.token_store import Ask
from airflow_arazzo.engine.wire import Wire

if TYPE_CHECKING:
    from airflow_arazzo.engine.machine import Machine, Send

TRACEPARENT = "traceparent"
"""Header that hands a trace on (W3C Trace Context, section 3.2)."""

Purpose = Literal["step", "lookup", "token"]
"""What a request is for: a step, finding out what became of one, or a credential."""

Fate = Literal["not_sent", "unknown"]
"""What is known of a request without a response."""


class UnderWay:
    """A step's request under way, for which one HTTP request is sent or several.

    :param workflow: key of the workflow in its plan.
    :param step: id of the step.
    :param template: path of the operation with ``{name}`` for its parameters; empty when there is none.
    :param resends: how often the request was sent before.
    :param hidden: gives secrets that must not be shown, beyond those of connections.
    """

    __slots__ = ("_last", "_url", "hidden", "purpose", "resends", "source", "step", "template", "workflow")

    def __init__(
        self,
        purpose: Purpose,
        source: str,
        workflow: str,
        step: str,
        *,
        template: str = "",
        resends: int = 0,
        hidden: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.purpose = purpose
        self.source = source
        self.workflow = workflow
        self.step = step
        self.template = template
        self.resends = resends
        self.hidden = hidden
        self._url = ""
        self._last: tuple[Sent, Fate] | None = None

    def goes_to(self, url: str) -> None:
        """Note the URL of the request that is about to be sent; the first one is the request's own."""
        self._url = self._url or url

    def is_own_origin(self, url: str) -> bool:
        """Whether a URL is of the request's own origin, and not of one that a redirect led to."""
        return origin_of(url) == origin_of(self._url)

    def is_own_path(self, url: str) -> bool:
        """Whether a URL is the request's own, and not that of a redirect; queries aside."""
        return url.partition("?")[0] == self._url.partition("?")[0]

    def stopped(self, sent: Sent, fate: Fate) -> None:
        """Nobody waits any more for the response; why is known to whoever stopped."""
        self._last = sent, fate

    def settle(self, kind: str, message: str = "") -> None:
        """Say why nobody waits any more, if that is so."""
        if self._last is not None:
            (sent, fate), self._last = self._last, None
            quietly(sent.failed, fate, kind, message)


class Sent(Protocol):
    """What an observer makes of one HTTP request."""

    @property
    def traceparent(self) -> str:
        """Value of the header that hands the trace on; empty when there is none."""

    def answered(self, response: Response) -> None:
        """The response is complete."""

    def failed(self, fate: Fate, kind: str, message: str) -> None:
        """No response, or not all of it.

        :param kind: one of few names of what went wrong, such as ``timeout``.
        :param message: without the connection's secrets; may be empty.
        """


class Observer(Protocol):
    """Is told of every HTTP request."""

    def sending(self, under_way: UnderWay, wire: Wire, secrets: Iterable[str]) -> Sent:
        """A request is about to be sent.

        :param secrets: that must not be shown, beyond those of the request under way.
        """


_UNDER_WAY: ContextVar[UnderWay | None] = ContextVar("arazzo_under_way", default=None)

log = logging.getLogger(__name__)


class ObservedChannel(Channel):
    """A channel that tells an observer of its exchanges."""

    def __init__(self, limit: int, clock: Callable[[], float], observer: Observer) -> None:
        super().__init__(limit, clock)
        self._observer = observer

    async def exchange(
        self, wire: Wire, connection: Connection, secrets: Iterable[str], progress: Progress
    ) -> Response:
        """As :meth:`Channel.exchange`; hands the trace on where the connection says so."""
        under_way = _UNDER_WAY.get()
        if under_way is None:
            return await super().exchange(wire, connection, secrets, progress)
        under_way.goes_to(wire.url)
        sent = quietly(self._observer.sending, under_way, wire, secrets)
        under_way.resends += 1
        if sent is None:
            return await super().exchange(wire, connection, secrets, progress)
        if connection.propagate_trace and sent.traceparent and _may_carry(under_way, wire):
            wire = msgspec.structs.replace(wire, headers=(*wire.headers, (TRACEPARENT, sent.traceparent)))
        try:
            response = await super().exchange(wire, connection, secrets, progress)
        except TransportError as error:
            fate: Fate = "not_sent" if isinstance(error, NotSent) else "unknown"
            quietly(sent.failed, fate, type(error).__name__, str(error))
            raise
        except BaseException:  # above all cancellation, also that of a time-out
            under_way.stopped(sent, "unknown" if progress.left else "not_sent")
            raise
        quietly(sent.answered, response)
        return response

    def asking(self, ask: Ask) -> Ask:
        """What asks for tokens, observed: for the request that needs one first."""

        async def observed(wire: Wire, connection: Connection, secrets: tuple[str, ...]) -> Response:
            asker = _UNDER_WAY.get()
            if asker is None:
                return await ask(wire, connection, secrets)
            token = UnderWay("token", asker.source, asker.workflow, asker.step, hidden=asker.hidden)
            return await _within(token, ask(wire, connection, secrets))

        return observed


def watched(
    send: Callable[[Send], Awaitable[Response]],
    machine: Machine,
    *,
    hidden: Callable[[], Iterable[str]] = tuple,
    on_retry: Callable[[Send], None] | None = None,
) -> Callable[[Send], Awaitable[Response]]:
    """An exchange whose requests are told to the observer of its transport.

    :param machine: that asks for the requests.
    :param hidden: gives secrets beyond those of connections and machine.
    :param on_retry: is told of requests that a ``retry`` action sends again.
    """

    def secrets() -> tuple[str, ...]:
        return (*hidden(), *machine.secret_values())

    async def exchange(command: Send) -> Response:
        retries = _retries(machine, command)
        if retries and on_retry is not None:
            quietly(on_retry, command)
        # Step ids hold no blanks; what a lookup is called does.
        step, _, lookup = command.step.id.partition(" ")
        under_way = UnderWay(
            "lookup" if lookup else "step",
            command.request.source,
            command.path[-2].partition("#")[0],
            step,
            template=getattr(command.step.call, "path", ""),
            resends=retries,
            hidden=secrets,
        )
        return await _within(under_way, send(command))

    return exchange


async def _within(under_way: UnderWay, response: Awaitable[Response]) -> Response:
    """Wait for a response; requests that are sent meanwhile belong to what is under way."""
    before = _UNDER_WAY.set(under_way)
    try:
        return await response
    except TransportError as error:
        under_way.settle("timeout", str(error))
        raise
    except BaseException:
        under_way.settle("interrupted")
        raise
    finally:
        _UNDER_WAY.reset(before)


def quietly(tell: Callable[..., Any], *values: Any) -> Any:
    """What an observer says; None when it fails. Its error may hold anything, so only its kind is logged."""
    try:
        return tell(*values)
    except Exception as error:
        what = f"{type(error).__name__} in {tell.__qualname__}"
        if what not in _failures:  # of thousands of rows the first is enough
            _failures.add(what)
            log.warning("metrics and traces are incomplete: %s", what)
        return None


_failures: set[str] = set()


def _may_carry(under_way: UnderWay, wire: Wire) -> bool:
    """Whether a trace may be handed on with a request: to the API itself, unless its document does it."""
    own = under_way.purpose != "token" and under_way.is_own_origin(wire.url)
    return own and all(name.casefold() != TRACEPARENT for name, _ in wire.headers)


def _retries(machine: Machine, command: Send) -> int:
    """How many ``retry`` actions have led to this request."""
    retry = machine.state.frames[-1].retry
    if retry is None or retry.step != command.step.id:
        return 0
    return sum(retry.used.values())
