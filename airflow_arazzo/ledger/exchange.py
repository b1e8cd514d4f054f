"""Sending with the ledger: an intent before every request that changes something, its outcome after."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping

import msgspec

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Request, Response, TransportError
from airflow_arazzo.engine.observe import quietly
from airflow_arazzo.engine.redact import CREDENTIAL_HEADERS, holds, redact
from airflow_arazzo.engine.run import Exchange
from airflow_arazzo.engine.scope import Exchange as Exchanged
from airflow_arazzo.engine.scope import RunScope
from airflow_arazzo.engine.transport import DEFAULT_TIMEOUT
from airflow_arazzo.engine.wire import base_url
from airflow_arazzo.expression.criteria import criteria_hold
from airflow_arazzo.ledger.book import PAUSES as PAUSES_BEFORE
from airflow_arazzo.ledger.book import Asked, Book, outcome_of
from airflow_arazzo.ledger.database import boot_clock
from airflow_arazzo.ledger.keys import Identity, effect_key, fingerprint, protection, wire_key, with_key
from airflow_arazzo.ledger.model import (
    AmbiguousEffect,
    Description,
    EffectUnderWay,
    LedgerUnavailable,
    Outcome,
    Permission,
    Replay,
)
from airflow_arazzo.ledger.probe import look_up, lookup_of, next_look
from airflow_arazzo.plan.model import IDEMPOTENT_METHODS, SAFE_METHODS, Idempotency, OperationCall, Plan, Step

MAX_REQUEST_TEXT = 16 * 1024
"""Characters of a request that the ledger keeps for people."""

PAUSES = (0.5, 2.0, 5.0, 15.0)
"""Seconds between attempts to write an outcome. What is not written is unknown to the next attempt."""

log = logging.getLogger(__name__)


class LedgeredExchange:
    """An exchange that goes through the ledger for every request that changes something.

    :param send: the exchange below, over the transport.
    :param connections: by source name.
    :param attempt: who asks, for people: task and try number.
    :param secrets: gives what must not be written down, also when a service echoes it. Asked for every
        request, since tokens are fetched along the way.
    :param scope: gives what the expressions of the step under way see; without it nothing is looked up.
    :param tell: is told, for the log, why something is sent once more, or not.
    :param pauses: seconds, see :data:`PAUSES`.
    :param on_replay: is told of requests that are not sent since the ledger has their response.
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
        secrets: Callable[[], Iterable[str]] = tuple,
        scope: Callable[[], RunScope] | None = None,
        tell: Callable[[str], None] = log.info,
        pauses: tuple[float, ...] = PAUSES,
        on_replay: Callable[[Send], None] | None = None,
    ) -> None:
        self._send = send
        self._book = book
        self._identity = identity
        self._plan = plan
        self._connections = connections
        self._attempt = attempt
        self._secrets = secrets
        self._scope = scope
        self._tell = tell
        self._pauses = pauses
        self._on_replay = on_replay

    async def __call__(self, command: Send) -> Response:
        """Send a request, or give the response that it had when it took effect.

        :raises EffectUnderWay: when another attempt may still be waiting for its response.
        :raises TransportError: as the exchange below, and as :meth:`Book.open`.
        """
        request, step = command.request, command.step
        if request.method in SAFE_METHODS:
            return await self._send(command)
        if is_repeatable(step):
            return await self._send(msgspec.structs.replace(command, again=False))
        key = effect_key(self._identity, command.path, command.visit)
        try:
            response = await self._once(key, command)
        except TransportError as error:
            error.key = key
            raise
        unsure = outcome_of(response.status) is Outcome.UNKNOWN
        return msgspec.structs.replace(response, key=key) if unsure else response

    async def _once(self, key: str, command: Send) -> Response:
        """Send a request that changes something, unless it took effect before."""
        request, step = command.request, command.step
        idempotency = _idempotency(step)
        # Before an intent is written that nothing comes of.
        keyed = with_key(request, idempotency, key) if idempotency is not None else request
        try:
            allowed = await self._open(key, command, idempotency)
        except AmbiguousEffect as unknown:
            allowed = await self._found_out(key, command, idempotency, unknown)
        if isinstance(allowed, Replay):
            self._tell(
                f"{step.id}: it took effect before; its stored response is read again (key {key[:12]})"
            )
            if self._on_replay is not None:
                quietly(self._on_replay, command)
            return allowed.response
        if allowed.doubt:
            self._tell(f"{step.id}: what became of it is not known, and it may safely be sent again")
        if idempotency is not None:
            again = allowed.generation > 0
            request = with_key(request, idempotency, wire_key(key, allowed.generation)) if again else keyed
        # The ledger knows what became of earlier requests; the exchange below need not be careful.
        plain = msgspec.structs.replace(command, request=request, again=False)
        try:
            response = await self._exchange(plain, allowed)
            if not self._is_lost(plain, response, idempotency):
                return response
            what = f"status {response.status}"
        except OutcomeUnknown as error:
            if step.probe is None or lifetime_of(request, idempotency) is not None:
                raise
            what = str(error)
        lost = AmbiguousEffect(f"{what}; whether it took effect is unknown, and it is not sent again", key)
        return await self._looked_up(key, msgspec.structs.replace(command, again=True), idempotency, lost)

    # --- finding out ---------------------------------------------------------------------------

    def _is_lost(self, command: Send, response: Response, idempotency: Idempotency | None) -> bool:
        """Whether nobody knows from a response what became of a request, and a lookup may tell.

        That a document calls a response a success is its author's word.
        """
        step = command.step
        unknown = outcome_of(response.status) is Outcome.UNKNOWN
        if step.probe is None or self._scope is None or not unknown:
            return False
        if lifetime_of(command.request, idempotency) is not None:
            return False
        scope = self._scope().during(Exchanged(command.request, response))
        return not step.criteria or not criteria_hold(step.criteria, scope)[0]

    async def _looked_up(
        self, key: str, command: Send, idempotency: Idempotency | None, lost: AmbiguousEffect
    ) -> Response:
        """The response to a request whose own was lost, as far as a lookup can stand for it."""
        try:
            found = await self._found_out(key, command, idempotency, lost)
        except LedgerUnavailable:
            raise lost from None  # which would say that nothing was sent
        if isinstance(found, Permission):  # somebody has settled it meanwhile
            self._book.take_back(found)
            raise NotSent("it had no effect, as somebody else has found out")
        return found.response

    async def _found_out(
        self, key: str, command: Send, idempotency: Idempotency | None, unknown: AmbiguousEffect
    ) -> Permission | Replay:
        """Ask the service whether an effect exists, before its unknown outcome is given up.

        That it exists counts at once; that it does not only some time after it was last asked for.

        :raises EffectUnderWay: when it is too early to tell.
        :raises NotSent: when the request of this very attempt had no effect.
        :raises AmbiguousEffect: the given one when there is nothing to be found out, else with what was.
        """
        probe = command.step.probe
        if probe is None or self._scope is None:
            raise unknown
        entry, now = await asyncio.to_thread(self._book.look, key)
        if entry is None or entry.known(now) is not Outcome.UNKNOWN:
            raise unknown
        request = command.request
        if idempotency is not None:
            request = with_key(request, idempotency, wire_key(key, entry.generation))
        finding = await look_up(command, request, probe, self._scope(), self._send)
        reason = redact(f"{lookup_of(probe)}: {finding.reason}", tuple(self._secrets()))
        passed = now - entry.changed
        if finding.happened is not True and passed < probe.wait:
            seconds = next_look(passed, probe.wait)
            raise EffectUnderWay(f"not known yet whether it took effect ({reason})", seconds)
        if finding.happened is None:
            raise AmbiguousEffect(f"{unknown}. The lookup does not tell: {reason}", key)
        response = finding.response if finding.happened and probe.response else None
        kept = self._clean(response) if response and not command.step.secret_outputs else None
        self._tell(f"{command.step.id}: {'it took' if finding.happened else 'it had no'} effect: {reason}")
        settled = await asyncio.to_thread(self._book.settle, entry, finding.happened, reason, kept)
        if settled and command.again and not finding.happened:
            raise NotSent(f"it was sent and had no effect: {reason}")
        return await self._open(key, command, idempotency)

    # --- before ----------------------------------------------------------------------------------

    async def _open(self, key: str, command: Send, idempotency: Idempotency | None) -> Permission | Replay:
        """Ask the ledger. Who is interrupted meanwhile takes the intent back: nothing was sent."""
        timeout, lifetime = self._timeout(command.request), lifetime_of(command.request, idempotency)
        asked = self._book.asked(self._describe(command, idempotency), timeout=timeout, lifetime=lifetime)
        allowed: Permission | Replay | None = None
        try:
            allowed = await self._allowed(key, asked)
            await asyncio.sleep(0)  # for a cancellation that came while the ledger was written
        except BaseException as interruption:
            if isinstance(allowed, Permission):
                self._book.take_back(allowed)
            elif not isinstance(interruption, Exception):
                self._book.withdraw(key, asked)
            raise
        return allowed

    async def _allowed(self, key: str, asked: Asked) -> Permission | Replay:
        for pause in PAUSES_BEFORE:
            try:
                return self._book.open_once(key, asked)
            except LedgerUnavailable:
                # Its commit may have been lost, or only the confirmation; the next attempt finds out.
                await asyncio.sleep(pause)
        return self._book.open_once(key, asked)

    def _timeout(self, request: Request) -> float:
        return request.seconds(self._connections[request.source].timeout or DEFAULT_TIMEOUT)

    def _describe(self, command: Send, idempotency: Idempotency | None) -> Description:
        request, secrets = command.request, tuple(self._secrets())
        base = base_url(
            request.servers, self._plan.sources[request.source], self._connections[request.source]
        )
        url = base + request.target
        body = (request.body or b"").decode(errors="replace")
        text = redact(f"{request.method} {url}\n\n{body}", secrets)
        return Description(
            fingerprint=fingerprint(request, url, secrets),
            request=text[:MAX_REQUEST_TEXT],
            source=request.source,
            run=f"{self._identity.namespace} {self._identity.run} {self._identity.row}".strip(),
            step=".".join(command.path[1::2]),
            attempt=self._attempt,
            protection=protection(request, idempotency),
        )

    # --- sending ---------------------------------------------------------------------------------

    async def _exchange(self, command: Send, allowed: Permission) -> Response:
        """Send, and write what comes of it. Between the response and the first write nothing is awaited."""
        try:
            if boot_clock() > allowed.until:
                raise NotSent("too late: others may already take this attempt for lost")
            response = await self._send(command)
        except NotSent as error:
            await self._settle(allowed, Outcome.NOT_SENT, None, str(error))
            raise _doubtful(command, allowed, Outcome.NOT_SENT, str(error)) or error from None
        except OutcomeUnknown as error:
            outcome = outcome_of(error.status)
            await self._settle(allowed, outcome, None, str(error))
            raise _doubtful(command, allowed, outcome, str(error)) or error from None
        if _is_replayed(command, response):
            # The service answers for the first request with this key, so no doubt about that one is left.
            allowed = msgspec.structs.replace(allowed, doubt=False)
        outcome, note = outcome_of(response.status), f"status {response.status}"
        secret = bool(command.step.secret_outputs)
        kept = response if secret else self._clean(response)
        note += "; it holds a credential" if secret else ""
        await self._settle(allowed, outcome, kept, note, keep=not secret)
        unsure = _doubtful(command, allowed, outcome, f"status {response.status}")
        if unsure is not None:
            raise unsure
        return response

    async def _settle(
        self,
        allowed: Permission,
        outcome: Outcome,
        response: Response | None,
        note: str,
        *,
        keep: bool = True,
    ) -> None:
        """Write the outcome. When that fails the intent stays, and counts as unknown."""
        note = redact(note, tuple(self._secrets()))

        def close() -> None:
            self._book.close(allowed, outcome, response, note, keep=keep)

        try:
            for pause in (*self._pauses, None):
                try:
                    return await self._close(allowed, outcome, response, note, keep)
                except LedgerUnavailable as error:
                    failure = error
                if pause is not None:
                    await asyncio.sleep(pause)
        except BaseException as interruption:
            if not isinstance(interruption, Exception):
                try:
                    close()
                except LedgerUnavailable as error:
                    _tell_unwritten(allowed, outcome, note, error)
            raise
        _tell_unwritten(allowed, outcome, note, failure)

    async def _close(
        self, allowed: Permission, outcome: Outcome, response: Response | None, note: str, keep: bool
    ) -> None:
        self._book.close(allowed, outcome, response, note, keep=keep)

    def _clean(self, response: Response) -> Response:
        """The response without secrets."""
        secrets = tuple(self._secrets())
        text = response.body.decode("utf-8", "surrogateescape")
        headers = tuple([pair for pair in response.headers if pair[0].lower() not in CREDENTIAL_HEADERS])
        # The usual case: a service that repeats nothing of what is secret.
        if not holds("\n".join([text, response.url, *[value for _, value in headers]]), secrets):
            return msgspec.structs.replace(response, headers=headers)
        headers = tuple([(name, redact(value, secrets)) for name, value in headers])
        return msgspec.structs.replace(
            response,
            body=redact(text, secrets).encode("utf-8", "surrogateescape"),
            headers=headers,
            url=redact(response.url, secrets),
        )


def is_repeatable(step: Step) -> bool:
    """Whether a step may be repeated at will, so that the ledger has nothing to say about it.

    That is so where its operation is declared to be repeatable, and for signing in: an operation that asks
    for no credential, and whose outputs are sent as one. Nobody can be billed by a request that does not
    say who sends it.
    """
    call = step.call
    if not isinstance(call, OperationCall):
        return False
    if call.idempotency is not None:
        return not call.idempotency.name
    carries = call.credentials or any(parameter.credential for parameter in call.parameters)
    return bool(step.secret_outputs) and not carries and not any(call.security)


def _idempotency(step: Step) -> Idempotency | None:
    return step.call.idempotency if isinstance(step.call, OperationCall) else None


def lifetime_of(request: Request, idempotency: Idempotency | None) -> float | None:
    """Seconds for which a request may be sent again when its outcome is unknown; None for never."""
    if request.method in IDEMPOTENT_METHODS:
        return math.inf
    return idempotency.lifetime if idempotency else None


def _is_replayed(command: Send, response: Response) -> bool:
    """Whether a service says that this is the stored answer to the first request with the same key."""
    idempotency = _idempotency(command.step)
    if idempotency is None or idempotency.place != "header":
        return False
    return (response.header("Idempotent-Replayed") or "").casefold() == "true"


def _doubtful(command: Send, allowed: Permission, outcome: Outcome, what: str) -> OutcomeUnknown | None:
    """What to say instead of a refusal, when an earlier request with the same key may have had its effect.

    A workflow that hears of a refusal goes on with its failure actions, which may bill in another way.
    """
    if allowed.counts(outcome) is outcome or command.request.method in IDEMPOTENT_METHODS:
        return None
    return OutcomeUnknown(f"{what}; but an earlier attempt with the same key may have had its effect")


def _tell_unwritten(allowed: Permission, outcome: Outcome, note: str, error: LedgerUnavailable) -> None:
    happened = {Outcome.EFFECT: "--happened", Outcome.UNKNOWN: ""}.get(outcome, "--not-happened")
    advice = f"; tell it later: airflow-arazzo ledger resolve {allowed.key} {happened}" if happened else ""
    log.error(
        "effect %s: outcome %r (%s) could not be written: %s%s",
        allowed.key,
        str(outcome),
        note,
        error,
        advice,
    )
