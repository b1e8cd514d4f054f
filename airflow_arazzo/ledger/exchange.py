"""Sending with the ledger: an intent before every request that changes something, its outcome after."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Request, Response
from airflow_arazzo.engine.outcomes import IDEMPOTENT_METHODS, SAFE_METHODS
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.engine.run import Exchange
from airflow_arazzo.engine.transport import DEFAULT_TIMEOUT
from airflow_arazzo.engine.wire import base_url
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.ledger.book import Book, outcome_of
from airflow_arazzo.ledger.keys import Identity, effect_key, fingerprint, wire_key
from airflow_arazzo.ledger.model import Description, LedgerUnavailable, Outcome, Permission, Replay
from airflow_arazzo.plan.model import Idempotency, OperationCall, Plan

MAX_REQUEST_TEXT = 16 * 1024
"""Characters of a request that the ledger keeps for people."""

log = logging.getLogger(__name__)


class LedgeredExchange:
    """An exchange that goes through the ledger for every unsafe request.

    :param send: the exchange below, over the transport.
    :param connections: by source name.
    :param attempt: who asks, for people: task and try number.
    :param secrets: what must not be written down, also when a service echoes it.
    """

    def __init__(
        self,
        send: Exchange,
        book: Book,
        identity: Identity,
        plan: Plan,
        connections: Mapping[str, Connection],
        *,
        attempt: str = "",
        secrets: Iterable[str] = (),
    ) -> None:
        self._send = send
        self._book = book
        self._identity = identity
        self._plan = plan
        self._connections = connections
        self._attempt = attempt
        self._secrets = tuple(secrets)

    async def __call__(self, command: Send) -> Response:
        """Send a request, or give the response that it had when it took effect.

        :raises EffectUnderWay: when another attempt may still be waiting for its response.
        :raises TransportError: as the exchange below, and as :meth:`Book.open`.
        """
        request = command.request
        if request.method in SAFE_METHODS:
            return await self._send(command)
        key = effect_key(self._identity, command.path, command.visit)
        idempotency = _idempotency(command)
        allowed = await asyncio.to_thread(
            self._book.open,
            key,
            self._describe(command),
            timeout=self._timeout(request),
            lifetime=_lifetime(request, idempotency),
            repeatable=bool(command.step.secret_outputs),
        )
        if isinstance(allowed, Replay):
            log.info("%s took effect before; its stored response is read again", command.step.id)
            return allowed.response
        if idempotency is not None:
            request = with_key(request, idempotency, wire_key(key, allowed.generation))
        return await self._exchange(Send(request, command.step, command.path, command.visit), allowed)

    async def _exchange(self, command: Send, allowed: Permission) -> Response:
        try:
            response = await self._send(command)
        except NotSent as error:
            await self._settle(allowed, Outcome.NOT_SENT, None, str(error))
            raise
        except OutcomeUnknown as error:
            took_effect = error.status is not None and 200 <= error.status < 300
            outcome = Outcome.EFFECT if took_effect else Outcome.UNKNOWN
            await self._settle(allowed, outcome, None, str(error))
            raise
        kept = None if command.step.secret_outputs else self._clean(response)
        await self._settle(allowed, outcome_of(response.status), kept, f"status {response.status}")
        return response

    async def _settle(
        self, allowed: Permission, outcome: Outcome, response: Response | None, note: str
    ) -> None:
        """Write the outcome. Failing to do so loses nothing: the intent stays, and counts as unknown."""
        for pause in (0.0, 0.5, 2.0):
            await asyncio.sleep(pause)
            try:
                await asyncio.to_thread(
                    self._book.close, allowed, outcome, response, redact(note, self._secrets)
                )
            except LedgerUnavailable as error:
                log.warning("the outcome of effect %s could not be written: %s", allowed.key[:12], error)
            else:
                return

    def _timeout(self, request: Request) -> float:
        connection = self._connections[request.source]
        return request.timeout or connection.timeout or DEFAULT_TIMEOUT

    def _describe(self, command: Send) -> Description:
        request = command.request
        base = base_url(
            request.servers, self._plan.sources[request.source], self._connections[request.source]
        )
        url = redact(base + request.target, self._secrets)
        body = (request.body or b"").decode(errors="replace")
        text = f"{request.method} {url}\n\n{redact(body, self._secrets)}"
        return Description(
            fingerprint=fingerprint(request, url),
            request=text[:MAX_REQUEST_TEXT],
            source=request.source,
            run=f"{self._identity.namespace} {self._identity.run} {self._identity.row}".strip(),
            step=".".join(command.path[1::2]),
            attempt=self._attempt,
        )

    def _clean(self, response: Response) -> Response:
        """The response without secrets."""
        text = response.body.decode("utf-8", "surrogateescape")
        body = redact(text, self._secrets).encode("utf-8", "surrogateescape")
        hidden = ("set-cookie", "authorization", "www-authenticate")
        headers = tuple(
            (name, redact(value, self._secrets))
            for name, value in response.headers
            if name.lower() not in hidden
        )
        return msgspec.structs.replace(response, body=body, headers=headers)


def _idempotency(command: Send) -> Idempotency | None:
    call = command.step.call
    return call.idempotency if isinstance(call, OperationCall) else None


def _lifetime(request: Request, idempotency: Idempotency | None) -> float | None:
    """Seconds for which a request may be sent again when its outcome is unknown; None for never."""
    if request.method in IDEMPOTENT_METHODS:
        return math.inf
    return idempotency.lifetime if idempotency else None


def with_key(request: Request, idempotency: Idempotency, key: str) -> Request:
    """The request with its idempotency key, unless the document gives one itself.

    In the body of an array, such as a list of events, every object gets a key of its own.

    :raises NotSent: when the key belongs into a body that is no JSON object or array of them.
    """
    if idempotency.place == "header":
        wanted = idempotency.name.casefold()
        if any(name.casefold() == wanted for name, _ in request.headers):
            return request
        return msgspec.structs.replace(request, headers=(*request.headers, (idempotency.name, key)))
    payload = _keyed_payload(request.payload, idempotency.name, key)
    return msgspec.structs.replace(request, payload=payload, body=encode_json(payload))


def _keyed_payload(payload: Any, name: str, key: str) -> Any:
    if isinstance(payload, dict):
        return payload if payload.get(name) not in (None, "") else {**payload, name: key}
    if isinstance(payload, list) and all(isinstance(item, dict) for item in payload):
        return [_keyed_payload(item, name, f"{key}-{index}") for index, item in enumerate(payload)]
    raise NotSent(f"the key {name!r} goes into a JSON object or an array of them, and the body is neither")
