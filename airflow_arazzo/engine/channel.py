"""One request out, one response in, over connections that are kept between exchanges.

Whatever goes wrong before a byte of a request may have left is :class:`NotSent`, whatever goes wrong after
is :class:`OutcomeUnknown`. Nothing is sent twice. Redirects are responses; cookies are not kept; nothing is
added to a request but what :func:`airflow_arazzo.engine.wire.wire_headers` says, and ``Host``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from airflow_arazzo.engine.connection import Connection, channel_of
from airflow_arazzo.engine.dial import Origin, Unreachable, dial, origin, proxy_headers, proxy_of
from airflow_arazzo.engine.http1 import BrokenExchange, Http1
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.engine.wire import Wire

KEEP_ALIVE = 3.0
"""Seconds that an idle connection is kept for the next request. Servers close idle connections, often after
five seconds; a request that meets such a closing is lost with an unknown outcome, so we are quicker: also by
a second than a server that says for how long it keeps them."""


_WAYS_KEPT = 256
"""Origins that are remembered, with their proxies."""


class Progress:
    """How far a request has come, for whoever stops waiting for it.

    :ivar stage: what is awaited before the request can leave.
    :ivar left: whether a byte of it may have left.
    :ivar status: of the response whose head has arrived.
    """

    def __init__(self, wire: Wire | None = None, secrets: Iterable[str] = ()) -> None:
        self.begin(wire, secrets)

    def begin(self, wire: Wire | None, secrets: Iterable[str] = ()) -> None:
        """Start over, before the first request or after one that was refused.

        :param wire: what is asked.
        :param secrets: that are not to be shown of it.
        """
        self._wire, self._secrets = wire, secrets
        self.await_first("connection")

    def await_first(self, stage: str) -> None:
        """Start over with the same request, which needs something else first."""
        self.stage = stage
        self.left = False
        self.status: int | None = None

    def failure(self, problem: str) -> NotSent | OutcomeUnknown:
        """The exception that a problem amounts to at this point."""
        what = self._wire.describe() if self._wire is not None else ""
        message = redact(f"{what}: {problem}", self._secrets)
        error = OutcomeUnknown(message, status=self.status) if self.left else NotSent(message)
        error.url = redact(what.partition(" ")[2], self._secrets)
        return error


class Channel:
    """Open connections, and one exchange at a time over each.

    :param limit: bytes that a response body may have once decoded.
    :param clock: seconds, monotonic; for :attr:`Response.elapsed`.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._idle: dict[tuple[Any, ...], deque[Http1]] = {}
        self._open: set[Http1] = set()
        self._ways: dict[tuple[str, int], tuple[Origin, str, tuple[Any, ...], Connection]] = {}

    async def close(self) -> None:
        """Close all connections."""
        for http in self._open:
            http.abort()
        self._open.clear()
        self._idle.clear()
        await asyncio.sleep(0)  # asyncio closes sockets in its next turn

    async def exchange(
        self, wire: Wire, connection: Connection, secrets: Iterable[str], progress: Progress
    ) -> Response:
        """Send a request once, and read its whole response.

        :param secrets: that exceptions must not show.
        :raises NotSent: when the request certainly had no effect.
        :raises OutcomeUnknown: when it may have had one.
        """
        progress.begin(wire, secrets)
        started = self._clock()
        try:
            status, headers, body = await self._exchange(wire, connection, progress)
        except (Unreachable, BrokenExchange, OSError, ValueError) as error:
            problem = str(error) or type(error).__name__
        else:
            elapsed = self._clock() - started
            return Response(status=status, headers=headers, body=body, url=wire.shown_url, elapsed=elapsed)
        # Raised out here so that no exception that may hold the URL is its context.
        raise progress.failure(problem)

    async def _exchange(
        self, wire: Wire, connection: Connection, progress: Progress
    ) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """One request and its whole response."""
        base, target = _split(wire.url)
        where, proxy, key = self._way(base, connection)
        head = _head(wire, where, target, proxy)
        http = self._kept(key) or await self._dialled(where, proxy, connection)
        if not http.is_usable():
            self._drop(http)
            raise Unreachable("the server closed the connection before the request")
        progress.left = True
        try:
            answer = await http.exchange(wire.method, head, wire.body, self._limit)
        finally:
            progress.status = http.status
            if http.is_usable():
                self._keep(key, http)
            else:
                self._drop(http)
        headers = tuple([(_decoded(name), _decoded(value)) for name, value in answer.headers])
        return answer.status, headers, answer.body

    def _way(self, base: str, connection: Connection) -> tuple[Origin, str, tuple[Any, ...]]:
        """The origin of a URL, the proxy to it, and what decides which kept connections may serve it."""
        asked = (base, id(connection))
        if asked not in self._ways:
            if len(self._ways) >= _WAYS_KEPT:
                self._ways.clear()
            where, proxy = origin(base), proxy_of(base, connection)
            # With what the key names, which therefore stays what it is.
            self._ways[asked] = (where, proxy, (*channel_of(connection), base, proxy), connection)
        return self._ways[asked][:3]

    def _keep(self, key: tuple[Any, ...], http: Http1) -> None:
        """Keep a connection for the next request, no longer than its server says."""
        asked = http.patience
        http.idle_until = self._clock() + (KEEP_ALIVE if asked is None else min(KEEP_ALIVE, asked - 1))
        self._idle.setdefault(key, deque()).append(http)

    def _drop(self, http: Http1) -> None:
        self._open.discard(http)
        http.abort()

    def _kept(self, key: tuple[Any, ...]) -> Http1 | None:
        """The connection that was used last, if one is fresh enough."""
        idle = self._idle.get(key)
        while idle:
            http = idle.pop()
            if http.is_usable() and self._clock() < http.idle_until and http.is_quiet():
                return http
            self._drop(http)
        return None

    async def _dialled(self, where: Origin, proxy: str, connection: Connection) -> Http1:
        http = await dial(where, proxy, connection)
        self._open.add(http)
        return http


def _split(url: str) -> tuple[str, str]:
    """Scheme and authority of a URL, and what is asked for there."""
    at = url.find("/", url.find("://") + 3)
    question = url.find("?")
    if question >= 0 and (at < 0 or question < at):
        return url[:question], f"/{url[question:]}"
    base, target = (url[:at], url[at:]) if at >= 0 else (url, "/")
    return base, target.partition("#")[0]


def _head(wire: Wire, where: Origin, target: str, proxy: str) -> bytes:
    """Request line and headers (RFC 9112, sections 3 and 5)."""
    extra = ""
    if proxy and where.scheme == "http":
        target, extra = f"http://{where.authority}{target}", proxy_headers(proxy)
    lines = "".join([f"{name}: {value}\r\n" for name, value in wire.headers])
    head = f"{wire.method} {target} HTTP/1.1\r\nHost: {where.authority}\r\n{lines}{extra}\r\n"
    return head.encode("ascii")


def _decoded(raw: bytes) -> str:
    """A header as text: UTF-8 where it is, else Latin-1, which always is."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
