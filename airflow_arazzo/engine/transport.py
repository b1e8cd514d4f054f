"""Sending requests, authenticated: what :mod:`airflow_arazzo.engine.channel` sends, and how often.

A request goes out once. It goes out a second time only after a 401, which refuses it without an effect: with
a renewed token, or with the answer to a digest challenge. Redirects are responses, unless the connection has
those of GET and HEAD followed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airflow_arazzo.engine.channel import Channel, Progress
from airflow_arazzo.engine.connection import Connection, channel_of, origin_of
from airflow_arazzo.engine.credentials import Credentials
from airflow_arazzo.engine.deadlines import Deadlines
from airflow_arazzo.engine.digest import DigestSession, DigestUser, read_challenge
from airflow_arazzo.engine.egress import next_hop
from airflow_arazzo.engine.messages import Request, Response
from airflow_arazzo.engine.observe import ObservedChannel, Observer
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.engine.security import authenticate
from airflow_arazzo.engine.token_store import Ask, TokenStore
from airflow_arazzo.engine.tokens import TokenError
from airflow_arazzo.engine.wire import Wire, prepare
from airflow_arazzo.plan.model import Source

DEFAULT_TIMEOUT = 30.0
"""Seconds for a whole exchange, where neither the request nor the connection says otherwise."""

DEFAULT_LIMIT = 50 * 1024 * 1024
"""Bytes of a decoded response body."""

_CHOICES_KEPT = 256
"""Ways of authentication that are remembered: one for each operation and connection, as a rule."""

_DIGESTS_KEPT = 100
"""Signatures of digest authentication that are remembered for masking; each is good for one request."""


class Transport:
    """Sends requests; an async context manager that keeps connections and tokens between them.

    :param limit: bytes that a response body may have once decoded.
    :param clock: seconds, monotonic; for :attr:`Response.elapsed` and the life of tokens.
    :param on_secret: is told of every token that is fetched, before its first use, so that logs can mask it.
    :param observer: is told of the requests of exchanges that are
        :func:`~airflow_arazzo.engine.observe.watched`.
    """

    def __init__(
        self,
        *,
        limit: int = DEFAULT_LIMIT,
        clock: Callable[[], float] = time.monotonic,
        on_secret: Callable[[str], None] | None = None,
        observer: Observer | None = None,
    ) -> None:
        ask: Ask = self._ask
        if observer is None:
            self._channel = Channel(limit, clock)
        else:
            self._channel = observed = ObservedChannel(limit, clock, observer)
            ask = observed.asking(ask)
        self._on_secret = on_secret
        self._fetched: dict[str, None] = {}
        self._deadlines = Deadlines()
        self._signatures: deque[str] = deque(maxlen=_DIGESTS_KEPT)
        self._tokens = TokenStore(ask, clock, self._hide)
        self._digests: dict[tuple[Any, ...], DigestSession] = {}
        self._chosen: dict[tuple[Any, ...], tuple[Credentials, Source, Connection]] = {}

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, and forget all tokens; what is to be masked is still known."""
        await self._tokens.close()
        self._digests.clear()
        self._deadlines.close()
        await self._channel.close()

    def secrets(self) -> tuple[str, ...]:
        """What must be masked beyond the connections' secrets: fetched tokens, and the last signatures."""
        return (*self._fetched, *self._signatures)

    async def send(self, request: Request, source: Source, connection: Connection) -> Response:
        """Send a request; its timeout covers all that is done for it, from the token to the last byte.

        :return: the complete response, whatever its status. After redirects :attr:`Response.url` is still
            the URL that was asked, since the last one may be a signed one.
        :raises NotSent: when the request certainly had no effect. Of this kind are
            :class:`~airflow_arazzo.engine.connection.BadConnection`,
            :class:`~airflow_arazzo.engine.security.MissingCredential` and
            :class:`~airflow_arazzo.engine.tokens.TokenRefused`, which a repetition does not cure.
        :raises OutcomeUnknown: when it may have had one.
        """
        seconds = request.seconds(connection.timeout or DEFAULT_TIMEOUT)
        credentials = self._credentials(request, source, connection)
        wire = prepare(request, source, connection, credentials)
        call = _Call(request, source, connection, credentials, prepared=wire)
        progress = Progress(wire, self.secrets())
        try:
            with self._deadlines.after(seconds):
                return await self._followed(call, progress)
        except TimeoutError:
            what = "the response is not complete" if progress.left else f"there is no {progress.stage}"
        raise progress.failure(f"{what} after {seconds:g} s")

    def _credentials(self, request: Request, source: Source, connection: Connection) -> Credentials:
        """As :func:`authenticate`, which says the same of requests that differ in their values only."""
        names = tuple([name.casefold() for name, _ in request.headers])
        if "?" in request.target or "cookie" in names:
            return authenticate(request, source, connection)
        key = (id(source), id(connection), request.security, request.credentials, names)
        known = self._chosen.get(key)
        if known is None:
            if len(self._chosen) >= _CHOICES_KEPT:
                self._chosen.clear()
            # With what the key names, which therefore stays what it is.
            known = self._chosen[key] = (authenticate(request, source, connection), source, connection)
        return known[0]

    async def _followed(self, call: _Call, progress: Progress) -> Response:
        """The response to a call, or to the last of the redirects that it leads to."""
        response, wire = await self._authenticated(call, progress)
        shown = redact(response.url, hidden) if (hidden := self.secrets()) else response.url
        for _ in range(call.connection.follow_redirects):
            hop = next_hop(call.request, wire.url, response, call.connection, call.hidden(self.secrets()))
            if hop is None:
                break
            # Once credentials are left behind they stay behind, also if a redirect leads back.
            credentials = Credentials() if hop.foreign else call.credentials
            call = _Call(hop.request, call.source, call.connection, credentials, hop.url)
            response, wire = await self._authenticated(call, progress)
        return response if response.url == shown else msgspec.structs.replace(response, url=shown)

    async def _authenticated(self, call: _Call, progress: Progress) -> tuple[Response, Wire]:
        """One URL asked, and asked again if it was refused for want of a token or of a digest."""
        if call.credentials.token is not None:
            return await self._with_token(call, progress)
        if call.credentials.digest is not None:
            return await self._with_digest(call, call.credentials.digest, progress)
        return await self._exchanged(call, call.credentials, progress)

    async def _with_token(self, call: _Call, progress: Progress) -> tuple[Response, Wire]:
        used = await self._token(call, progress)
        answer = await self._exchanged(call, call.credentials.with_token(used), progress)
        if answer[0].status != 401:
            return answer
        try:
            renewed = await self._token(call, progress, refused=used)
        except TokenError:
            return answer  # the service's word on the request says more than the token endpoint's
        return await self._exchanged(call, call.credentials.with_token(renewed), progress)

    async def _token(self, call: _Call, progress: Progress, refused: str = "") -> str:
        assert call.credentials.token is not None  # noqa: S101
        progress.await_first("access token")
        return await self._tokens.token(call.credentials.token.grant, call.connection, refused)

    async def _with_digest(self, call: _Call, user: DigestUser, progress: Progress) -> tuple[Response, Wire]:
        """Sign with what the last challenge said; without one, ask first and then answer (RFC 7616, 3.3)."""
        key = (channel_of(call.connection), origin_of(call.wire(call.credentials).url), user)
        answer = await self._exchanged(call, self._signed(call, self._digests.get(key)), progress)
        response = answer[0]
        if response.status != 401:
            return answer
        asked = [value for name, value in response.headers if name.casefold() == "www-authenticate"]
        challenge = read_challenge(asked)
        if challenge is None:
            return answer
        self._digests[key] = session = DigestSession(challenge, user)
        return await self._exchanged(call, self._signed(call, session), progress)

    def _signed(self, call: _Call, session: DigestSession | None) -> Credentials:
        """The call's credentials with a signature of it, or as they are before any challenge."""
        if session is None:
            return call.credentials
        wire = call.wire(call.credentials)
        parts = urlsplit(wire.url)
        uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        header, signature = session.sign(wire.method, uri)
        self._signatures.append(signature)
        return call.credentials.with_authorization(header, signature)

    async def _exchanged(
        self, call: _Call, credentials: Credentials, progress: Progress
    ) -> tuple[Response, Wire]:
        wire = call.wire(credentials)
        hidden = (*call.connection.secret_values(), *credentials.secrets, *self.secrets())
        return await self._channel.exchange(wire, call.connection, hidden, progress), wire

    async def _ask(self, wire: Wire, connection: Connection, secrets: tuple[str, ...]) -> Response:
        """A request of the token store, bounded by itself since several calls may wait for it."""
        progress = Progress()
        seconds = connection.timeout or DEFAULT_TIMEOUT
        try:
            with self._deadlines.after(seconds):
                return await self._channel.exchange(wire, connection, secrets, progress)
        except TimeoutError:
            pass
        raise progress.failure(f"there is no answer after {seconds:g} s")

    def _hide(self, secret: str) -> None:
        if secret not in self._fetched:
            self._fetched[secret] = None
            if self._on_secret is not None:
                self._on_secret(secret)


class _Call(msgspec.Struct, frozen=True):
    """What :meth:`Transport.send` was asked for, and where redirects have led it.

    :param credentials: without the token or the digest that is still to come.
    :param at: URL of the last redirect, or empty.
    :param prepared: what :meth:`wire` gives for the credentials, where it is known already.
    """

    request: Request
    source: Source
    connection: Connection
    credentials: Credentials
    at: str = ""
    prepared: Wire | None = None

    def wire(self, credentials: Credentials) -> Wire:
        """The call as it is sent with these credentials."""
        if self.prepared is not None and credentials is self.credentials:
            return self.prepared
        return prepare(self.request, self.source, self.connection, credentials, self.at)

    def hidden(self, secrets: tuple[str, ...]) -> Credentials:
        """The call's credentials, knowing all that must not go to another origin."""
        return msgspec.structs.replace(self.credentials, secrets=(*self.credentials.secrets, *secrets))
