"""The ledger for many rows at once: intents and outcomes of several effects in one transaction.

The rules are those of :class:`~airflow_arazzo.ledger.book.Book`, which runs here inside a transaction that
is under way: every change is a compare-and-set on the effect's own key, and nobody hears of a permission
before the transaction that holds its intent is committed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from airflow_arazzo.engine.batch import Later
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.run import Exchange
from airflow_arazzo.ledger.book import GRACE, PAUSES, Asked, Book, Closing
from airflow_arazzo.ledger.database import Turn, boot_clock
from airflow_arazzo.ledger.exchange import LedgeredExchange, lifetime_of
from airflow_arazzo.ledger.model import (
    AmbiguousEffect,
    Description,
    EffectUnderWay,
    LedgerUnavailable,
    OtherRequest,
    Outcome,
    Permission,
    Replay,
)
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.plan.model import Idempotency

MOST = 200
"""Effects in one transaction: others wait meanwhile, and a permission is good for some seconds only."""

log = logging.getLogger(__name__)


class _Open:
    """A database whose only transaction is one that is under way."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Turn]:
        yield self._turn


class _Within(Store):
    """A store whose every change is part of a transaction that is under way."""

    def __init__(self, turn: Turn) -> None:
        self._database: Any = _Open(turn)


class _Item:
    """Something to be written, and who waits for it.

    :ivar given: the permission, once it is committed.
    :ivar abandoned: whether nobody waits for it any more.
    """

    def __init__(self, key: str, work: Asked | Closing, waiting: asyncio.Future[Any]) -> None:
        self.key = key
        self.work = work
        self.waiting = waiting
        self.given: Permission | None = None
        self.abandoned = False


class GroupBook:
    """A ledger whose writes go in groups: whatever comes while a transaction is written goes into the next.

    It belongs to one event loop.

    :param book: the ledger.
    """

    def __init__(
        self, book: Book, *, grace: float = GRACE, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.book = book
        self._grace = grace
        self._sleep = sleep
        self._name = secrets.token_hex(8)
        self._count = count()
        self._pending: list[_Item] = []
        self._writer: asyncio.Task[None] | None = None

    async def open(
        self, key: str, description: Description, *, timeout: float, lifetime: float | None
    ) -> Permission | Replay:
        """As :meth:`Book.open`. Who is cancelled meanwhile takes the intent back: nothing was sent."""
        owner = f"{self._name}.{next(self._count):x}"
        asked = Asked(description, lifetime, timeout + self._grace, owner, boot_clock())
        item = self._add(key, asked)
        try:
            allowed: Permission | Replay = await item.waiting
        except asyncio.CancelledError:
            item.abandoned = True
            self._take_back(item)
            raise
        return allowed

    async def close(self, closing: Closing) -> None:
        """As :meth:`Book.close`. It may be called again, and the book's own method as well."""
        await self._add(closing.permission.key, closing).waiting

    # --- writing ---------------------------------------------------------------------------------

    def _add(self, key: str, work: Asked | Closing) -> _Item:
        item = _Item(key, work, asyncio.get_running_loop().create_future())
        self._pending.append(item)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.ensure_future(self._write_all())
        return item

    async def _write_all(self) -> None:
        while self._pending:
            group, self._pending = self._group()
            try:
                results = await asyncio.to_thread(self._write, group)
            except LedgerUnavailable as error:
                results = [LedgerUnavailable(str(error)) for _ in group]
            except Exception as error:
                results = [error] * len(group)
            for item, result in zip(group, results, strict=True):
                if item.waiting.done():
                    continue
                if isinstance(result, Exception):
                    item.waiting.set_exception(result)
                else:
                    item.waiting.set_result(result)

    def _group(self) -> tuple[list[_Item], list[_Item]]:
        """What goes into the next transaction, in the order of keys, and what has to wait.

        All transactions lock effects in the same order, so that no two wait for each other for ever.
        """
        group: dict[str, _Item] = {}
        rest: list[_Item] = []
        for item in self._pending:
            if len(group) < MOST and item.key not in group:
                group[item.key] = item
            else:
                rest.append(item)
        return [group[key] for key in sorted(group)], rest

    def _write(self, group: list[_Item]) -> list[Any]:
        """Write a group, in a thread; what comes of each is a result or an exception.

        :raises LedgerUnavailable: when nothing could be written.
        """
        for pause in (*PAUSES, None):
            try:
                results = self._transact(group)
                break
            except LedgerUnavailable:
                # The commit may have been lost, or only its confirmation; the next attempt finds out.
                if pause is None:
                    raise
                self._sleep(pause)
        for item, result in zip(group, results, strict=True):
            if isinstance(result, Permission):
                item.given = result
                if item.abandoned:
                    self._take_back(item)
        return results

    def _transact(self, group: list[_Item]) -> list[Any]:
        with self.book.store.transaction() as turn:
            within = Book(_Within(turn), grace=self._grace)
            # The usual case: effects that nobody has asked for before, outcomes that nobody else knows.
            opened = within.open_first({i.key: i.work for i in group if isinstance(i.work, Asked)})
            closed = within.close_all([i.work for i in group if isinstance(i.work, Closing)])
            return [self._result(within, item, opened, closed) for item in group]

    def _result(self, within: Book, item: _Item, opened: dict[str, Permission], closed: bool) -> Any:
        if isinstance(item.work, Closing):
            return None if closed else self._one(within, item)
        return opened.get(item.key) or self._one(within, item)

    def _one(self, within: Book, item: _Item) -> Any:
        work = item.work
        try:
            if isinstance(work, Closing):
                return within.close(*work[:4], keep=work.keep)
            return within.open_once(item.key, work)
        except (EffectUnderWay, OtherRequest, AmbiguousEffect) as error:
            return error  # about this effect alone

    def _take_back(self, item: _Item) -> None:
        """Nobody will send what was permitted."""
        if item.given is None:
            return
        try:
            self.book.close(item.given, Outcome.NOT_SENT, note="interrupted before it was sent")
        except LedgerUnavailable as error:
            log.warning("the intent of effect %s could not be taken back: %s", item.key[:12], error)


class GroupedExchange(LedgeredExchange):
    """An exchange through the ledger for a row of a batch.

    :param group: the ledger, shared by all rows.
    """

    def __init__(self, send: Exchange, group: GroupBook, *rest: Any, **options: Any) -> None:
        super().__init__(send, group.book, *rest, **options)
        self._group = group

    async def __call__(self, command: Send) -> Response:
        """As :class:`~airflow_arazzo.ledger.exchange.LedgeredExchange` does.

        :raises Later: when another attempt may still be waiting for its response.
        :raises TransportError: as there.
        """
        try:
            return await super().__call__(command)
        except EffectUnderWay as busy:
            raise Later(busy.seconds, str(busy)) from None

    async def _open(self, key: str, command: Send, idempotency: Idempotency | None) -> Permission | Replay:
        return await self._group.open(
            key,
            self._describe(command, idempotency),
            timeout=self._timeout(command.request),
            lifetime=lifetime_of(command.request, idempotency),
        )

    async def _close(
        self, allowed: Permission, outcome: Outcome, response: Response | None, note: str, keep: bool
    ) -> None:
        await self._group.close(Closing(allowed, outcome, response, note, keep))
