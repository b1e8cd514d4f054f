"""Fetching tokens and keeping them: one fetch for all who wait, renewed when expired or refused."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from airflow_arazzo.engine.connection import Connection, channel_of
from airflow_arazzo.engine.messages import Response, TransportError
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.engine.tokens import (
    Grant,
    TokenAnswer,
    TokenError,
    TokenRefused,
    read_discovery,
    read_token,
    token_request,
)
from airflow_arazzo.engine.wire import Wire, plain_wire

Ask = Callable[[Wire, Connection, tuple[str, ...]], Awaitable[Response]]
"""Sends a request, given the connection with its TLS settings and what errors must not show."""

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


class _Held(NamedTuple):
    value: str
    until: float


class TokenStore:
    """Access tokens in memory, for as long as the transport lives.

    :param ask: sends one request, without following redirects.
    :param clock: seconds, monotonic.
    :param on_secret: is told of every token before it is used.
    """

    def __init__(self, ask: Ask, clock: Callable[[], float], on_secret: Callable[[str], None]) -> None:
        self._ask = ask
        self._clock = clock
        self._on_secret = on_secret
        self._held: dict[tuple[Any, ...], _Held] = {}
        self._fetching: dict[tuple[Any, ...], asyncio.Task[str]] = {}
        self._refresh: dict[tuple[Any, ...], str] = {}
        self._endpoints: dict[tuple[Any, ...], str] = {}

    async def token(self, grant: Grant, connection: Connection, refused: str = "") -> str:
        """A token that has not expired; a fetch that others wait for already is shared.

        :param refused: a token that the service did not accept, and that must not be given again.
        :raises TokenError: when there is none to be had.
        """
        key = (channel_of(connection), grant)
        held = self._held.get(key)
        if held is not None and held.value != refused and self._clock() < held.until:
            return held.value
        task = self._fetching.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(key, grant, connection))
            self._fetching[key] = task
            task.add_done_callback(lambda done: self._fetched(key, done))
        # Whoever stops waiting must not take the token from the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Stop fetching, and forget all tokens."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for kept in (self._held, self._refresh, self._endpoints):
            kept.clear()

    def _fetched(self, key: tuple[Any, ...], task: asyncio.Task[str]) -> None:
        self._fetching.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waits any more

    async def _fetch(self, key: tuple[Any, ...], grant: Grant, connection: Connection) -> str:
        refresh_token = self._refresh.get(key, grant.refresh_token)
        url = await self._url(grant, connection)
        current = msgspec.structs.replace(grant, refresh_token=refresh_token, url=url)
        started = self._clock()
        answer = await self._asked(current, connection)
        self._on_secret(answer.value)
        if answer.refresh_token:
            self._on_secret(answer.refresh_token)
            self._rotate(key, current, answer, connection)
        lives = answer.usable_for()
        self._held[key] = _Held(answer.value, math.inf if math.isinf(lives) else started + lives)
        return answer.value

    def _rotate(
        self, key: tuple[Any, ...], grant: Grant, answer: TokenAnswer, connection: Connection
    ) -> None:
        """Use a refresh token that replaces the connection's, as long as this process can."""
        if grant.kind == "refresh_token" and answer.refresh_token != grant.refresh_token:
            self._refresh[key] = answer.refresh_token
            log.warning(
                "connection %r: the service replaced the refresh token; the connection still holds the old"
                " one, which the service may no longer accept next time",
                connection.id,
            )

    async def _asked(self, grant: Grant, connection: Connection) -> TokenAnswer:
        headers, body = token_request(grant)
        wire = plain_wire("POST", grant.url, headers, body)
        return await self._exchange(wire, grant, connection, read_token)

    async def _url(self, grant: Grant, connection: Connection) -> str:
        """The token endpoint, discovered once."""
        if grant.url:
            return grant.url
        key = (channel_of(connection), grant.discovery, grant.origins)
        if key not in self._endpoints:
            headers = (("Accept", "application/json"),)
            wire = plain_wire("GET", grant.discovery, headers)
            self._endpoints[key] = await self._exchange(
                wire, grant, connection, lambda response: read_discovery(grant, response)
            )
        return self._endpoints[key]

    async def _exchange(
        self, wire: Wire, grant: Grant, connection: Connection, read: Callable[[Response], Answer]
    ) -> Answer:
        """Ask, and turn every failure into one of the request that waits for the token: it was not sent."""
        hidden = (*connection.secret_values(), *grant.secret_values())
        refusal: TokenRefused | None = None
        try:
            return read(await self._ask(wire, connection, hidden))
        except TokenRefused as error:
            refusal, problem = error, str(error)
        except TransportError as error:
            problem = str(error)
        problem = f"no token for connection '{connection.id}': {redact(problem, hidden)}"
        # Raised out here so that what the service said about secrets is no context of the exception.
        if refusal is not None:
            raise TokenRefused(problem, redact(refusal.error, hidden))
        raise TokenError(problem)
