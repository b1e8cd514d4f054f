"""The wire itself: one request out, one response in. The only module of the engine that does I/O.

Whatever goes wrong before a byte of a request may have left is :class:`NotSent`, whatever goes wrong after
is :class:`OutcomeUnknown`. Redirects are responses; cookies are not kept; nothing is added to a request but
what :func:`airflow_arazzo.engine.wire.wire_headers` says.
"""

from __future__ import annotations

import io
import os
import ssl
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yarl

from airflow_arazzo.engine.connection import BadConnection, Connection, channel_of
from airflow_arazzo.engine.egress import public_socket
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.engine.wire import Wire

KEEP_ALIVE = 3.0
"""Seconds that an idle connection is kept for the next request. Servers close idle connections, often after
five seconds; a request that meets such a closing is lost with an unknown outcome, so we are quicker."""

MOST_HEADERS = 200
"""Headers of a response."""

_LONGEST_HEADER = 64 * 1024


class Progress:
    """How far a request has come, for whoever stops waiting for it.

    :ivar what: method and URL, to be shown.
    :ivar stage: what is awaited before the request can leave.
    :ivar left: whether a byte of it may have left.
    :ivar status: of the response whose head has arrived.
    """

    def __init__(self, what: str = "", stage: str = "connection") -> None:
        self.begin(what, stage)

    def begin(self, what: str, stage: str = "connection") -> None:
        """Start over, before the first request or after one that was refused."""
        self.what = what
        self.stage = stage
        self.left = False
        self.status: int | None = None

    def failure(self, problem: str) -> NotSent | OutcomeUnknown:
        """The exception that a problem amounts to at this point."""
        if self.left:
            return OutcomeUnknown(f"{self.what}: {problem}", status=self.status)
        return NotSent(f"{self.what}: {problem}")


class Channel:
    """Open connections, and one exchange at a time over each.

    :param limit: bytes that a response body may have once decoded.
    :param clock: seconds, monotonic; for :attr:`Response.elapsed`.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._sessions: dict[tuple[Any, ...], aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Close all connections."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    async def exchange(
        self, wire: Wire, connection: Connection, secrets: Iterable[str], progress: Progress
    ) -> Response:
        """Send a request once, and read its whole response.

        :param secrets: that exceptions must not show.
        :raises NotSent: when the request certainly had no effect.
        :raises OutcomeUnknown: when it may have had one.
        """
        progress.begin(redact(wire.describe(), secrets))
        session = self._session(connection)
        started = self._clock()
        try:
            status, headers, body = await self._exchange(session, wire, connection, progress)
        except _TooLarge:
            problem = f"the response is larger than {self._limit} bytes"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = redact(_reason(error), secrets)
        else:
            elapsed = self._clock() - started
            return Response(status=status, headers=headers, body=body, url=wire.shown_url, elapsed=elapsed)
        # Raised out here so that no exception of aiohttp, which may hold the URL, is its context.
        raise progress.failure(problem)

    async def _exchange(
        self, session: aiohttp.ClientSession, wire: Wire, connection: Connection, progress: Progress
    ) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """One request and its whole response."""
        async with session.request(
            wire.method,
            yarl.URL(wire.url, encoded=True),
            headers=wire.headers,
            data=_data(wire.body),
            allow_redirects=False,
            proxy=_proxy(wire.url, connection),
            trace_request_ctx=progress,
        ) as response:
            progress.status = response.status
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self._limit:
                    response.close()
                    raise _TooLarge
            headers = tuple((_decoded(name), _decoded(value)) for name, value in response.raw_headers)
            return response.status, headers, bytes(body)

    def _session(self, connection: Connection) -> aiohttp.ClientSession:
        """The session for connections with these TLS settings."""
        key = channel_of(connection)
        session = self._sessions.get(key)
        if session is None:
            connector = aiohttp.TCPConnector(
                ssl=_tls(connection),
                keepalive_timeout=KEEP_ALIVE,
                limit=0,
                socket_factory=public_socket if connection.forbid_private else None,
            )
            session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None),
                trace_configs=[_tracing()],
                middlewares=(_once,),
                max_headers=MOST_HEADERS,
                max_line_size=_LONGEST_HEADER,
                max_field_size=_LONGEST_HEADER,
            )
            self._sessions[key] = session
        return session


class _TooLarge(Exception):
    """A response body beyond the limit."""


class _Lost(aiohttp.ClientError):
    """A lost connection, in a form that aiohttp does not answer by sending the request again."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating idempotent requests by itself: what is sent is counted by the ledger."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Lost(_reason(error)) from error


def _tracing() -> aiohttp.TraceConfig:
    """Note when the head of a request is handed to a connection: from then on its fate is unknown."""

    async def leaving(session: aiohttp.ClientSession, context: Any, params: Any) -> None:
        context.trace_request_ctx.left = True

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(leaving)
    return tracing


def _data(body: bytes | None) -> bytes | io.BytesIO | None:
    """The body as aiohttp likes it: in slices when it is large."""
    return io.BytesIO(body) if body is not None and len(body) > 2**20 else body


def _reason(error: BaseException) -> str:
    """What went wrong, in words; aiohttp leaves some of its messages empty."""
    if isinstance(error, _Lost):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the server's certificate is not accepted: {error.certificate_error}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without a complete response"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the response is not valid HTTP: {error.message}"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the response body is not complete or not decodable"
    text = str(error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error)
    return text or type(error).__name__


def _decoded(raw: bytes) -> str:
    """A header as text: UTF-8 where it is, else Latin-1, which always is."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _proxy(url: str, connection: Connection) -> str | None:
    """The proxy for a URL, from the connection, else from the environment where it may be used."""
    parts = urlsplit(url)
    proxies = connection.proxies
    if not proxies and connection.trust_env and not proxy_bypass(parts.netloc):
        proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or None
    if proxy and connection.forbid_private:
        problem = "a proxy looks up hosts by itself, so 'forbid_private' cannot be kept through one"
        raise BadConnection(connection.id, [problem])
    return proxy


def _tls(connection: Connection) -> ssl.SSLContext | bool:
    """TLS settings: the system's CAs or the connection's, or none, and its client certificate."""
    if connection.verify is True and not connection.certificate:
        return True
    try:
        ca = connection.verify if isinstance(connection.verify, str) else None
        folder = ca is not None and os.path.isdir(ca)
        context = ssl.create_default_context(cafile=None if folder else ca, capath=ca if folder else None)
        if connection.certificate:
            context.load_cert_chain(*connection.certificate)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise BadConnection(
            connection.id, [f"its CA bundle or client certificate cannot be read: {reason}"]
        ) from None
    if connection.verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
