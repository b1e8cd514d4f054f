"""The ledger for many rows at once: intents and outcomes of several effects in one transaction.

The rules are those of :class:`~airflow_arazzo.ledger.book.Book`, which runs here inside a transaction that
is under way: every change is a compare-and-set on the effect's own key, and nobody hears of a permission
before the transaction that holds its intent is committed.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeAlias

from airflow_arazzo.engine.batch import Later, Writing
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.run import Exchange
from airflow_arazzo.ledger.book import PAUSES, Asked, Book, Closing
from airflow_arazzo.ledger.database import Turn
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

QUICK = 0.02
"""Seconds for which a transaction may keep the event loop waiting."""

MOST = 200
"""Effects in one transaction: others wait meanwhile, and a permission is good for some seconds only."""


class _Open:
    """A database whose only transaction is one that is under way."""

    is_local = False  # not a driver's transaction

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Turn]:
        yield self._turn


class _Within(Store):
    """A store whose every change is part of a transaction that is under way."""

    def __init__(self, turn: Turn) -> None:
        self._database: Any = _Open(turn)


_Results: TypeAlias = dict[str, Any]
"""By key of the effect: a permission, a stored exchange, None for an outcome, or what is wrong."""


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

    def __init__(self, book: Book, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.book = book
        self._sleep = sleep
        self._name = secrets.token_hex(8)
        self._count = count()
        self._pending: list[_Item] = []
        self._took = 0.0
        self._writer: asyncio.Task[None] | None = None

    async def open(
        self, key: str, description: Description, *, timeout: float, lifetime: float | None
    ) -> Permission | Replay:
        """As :meth:`Book.open`. Who is cancelled meanwhile takes the intent back: nothing was sent."""
        owner = f"{self._name}.{next(self._count):x}"
        asked = self.book.asked(description, timeout=timeout, lifetime=lifetime, owner=owner)
        item = _Item(key, asked, asyncio.get_running_loop().create_future())
        try:
            self._add(item)
            allowed: Permission | Replay = await item.waiting
        except BaseException as interruption:
            if not isinstance(interruption, Exception):
                item.abandoned = True
                if item.given is not None:
                    self.book.take_back(item.given)
            raise
        return allowed

    async def close(self, closing: Closing) -> None:
        """As :meth:`Book.close`. It may be called again, and the book's own method as well."""
        item = _Item(closing.permission.key, closing, asyncio.get_running_loop().create_future())
        self._add(item)
        await item.waiting

    # --- writing ---------------------------------------------------------------------------------

    def _add(self, item: _Item) -> None:
        self._pending.append(item)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.ensure_future(self._write_all())

    async def _write_all(self) -> None:
        while self._pending:
            group: list[_Item] = []
            try:
                await self._gathered()
                group, self._pending = self._group()
                self._tell(group, await self._written(group))
            except BaseException as interruption:
                if not self._interrupted(group, interruption):
                    raise

    async def _written(self, group: list[_Item]) -> _Results:
        """Write a group; what comes of each is a result or an exception."""
        began = time.monotonic()
        results = self._written_here(group)
        rest = [item for item in group if item.key not in results]
        try:
            if rest:
                results |= await asyncio.to_thread(self._write, rest)
        except Exception as error:
            results |= dict.fromkeys([item.key for item in rest], error)
        self._took = time.monotonic() - began
        return results

    def _tell(self, group: list[_Item], results: _Results) -> None:
        for item in group:
            if item.waiting.done():
                continue
            result = results[item.key]
            if isinstance(result, Exception):
                item.waiting.set_exception(result)
            else:
                item.waiting.set_result(result)

    def _interrupted(self, group: list[_Item], interruption: BaseException) -> bool:
        """Nobody waits any more, and nothing is sent of what nobody has heard may be sent.

        :return: whether somebody has heard of the interruption.
        """
        # Who has heard that he may send does so: that must not be taken back.
        unheard = [item for item in (*group, *self._pending) if not item.waiting.done()]
        self._pending = []
        for item in unheard:
            item.waiting.set_exception(interruption)
        for item in unheard:
            if item.given is not None:
                self.book.take_back(item.given)
            elif isinstance(item.work, Asked):
                self.book.withdraw(item.key, item.work)
        return bool(unheard)

    async def _gathered(self) -> None:
        """Wait for as long as others who are ready to run ask for something, too."""
        seen = 0
        while seen < len(self._pending) < MOST:
            seen = len(self._pending)
            await asyncio.sleep(0)

    def _written_here(self, group: list[_Item]) -> _Results:
        """Write a group in the loop's own thread, where that takes less time than to hand it to another one.

        What is left has to be waited for: a server, a slow disk, a file that others write to, or something
        is known of the effect already.
        """
        if not self.book.store.is_local or self._took > QUICK:
            return {}
        try:
            return self._plainly(group, wait=QUICK)
        except LedgerUnavailable:
            return {}

    def _group(self) -> tuple[list[_Item], list[_Item]]:
        """What goes into the next transaction, in the order of keys, and what has to wait.

        All transactions lock effects in the same order, so that no two wait for each other for ever.
        """
        group: dict[str, _Item] = {}
        rest: list[_Item] = []
        for item in self._pending:
            if item.abandoned:
                continue
            if len(group) < MOST and item.key not in group:
                group[item.key] = item
            else:
                rest.append(item)
        return [group[key] for key in sorted(group)], rest

    def _write(self, group: list[_Item]) -> _Results:
        """Write a group, in a thread; what comes of each is a result or an exception."""
        results: _Results = {}
        for pause in (*PAUSES, None):
            rest = [item for item in group if item.key not in results]
            try:
                # What the first transaction has committed stands, whatever becomes of the second.
                results |= self._plainly(rest)
                return results | self._carefully([item for item in rest if item.key not in results])
            except LedgerUnavailable as error:
                # The commit may have been lost, or only its confirmation; the next attempt finds out.
                why = str(error)
            if pause is not None:
                self._sleep(pause)
        return {item.key: LedgerUnavailable(why) for item in group} | results

    def _carefully(self, group: list[_Item]) -> _Results:
        """Effects of which something is known already, one by one, in one transaction."""
        if not group:
            return {}
        with self.book.store.transaction() as turn:
            within = self.book.at(_Within(turn))
            found = {item.key: self._one(within, item) for item in group}
        return self._noted(group, found)

    def _plainly(self, group: list[_Item], *, wait: float | None = None) -> _Results:
        """The usual case: effects that nobody has asked for before, outcomes that nobody else knows."""
        opened, closed = self.book.write(
            {item.key: item.work for item in group if isinstance(item.work, Asked)},
            [item.work for item in group if isinstance(item.work, Closing)],
            wait=wait,
        )
        return self._noted(group, dict.fromkeys(closed) | opened)

    def _noted(self, group: list[_Item], results: _Results) -> _Results:
        """Permissions are with their items once they are committed."""
        for item in group:
            result = results.get(item.key)
            if isinstance(result, Permission):
                item.given = result
                if item.abandoned:
                    self.book.take_back(result)
        return results

    def _one(self, within: Book, item: _Item) -> Any:
        work = item.work
        try:
            if isinstance(work, Closing):
                return within.close(*work[:4], keep=work.keep)
            return within.open_once(item.key, work)
        except (EffectUnderWay, OtherRequest, AmbiguousEffect) as error:
            return error  # about this effect alone


class GroupedExchange(LedgeredExchange, Writing):
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
        # Else the service may be asked what became of it, or it may be sent again.
        is_certain = response is not None or outcome is Outcome.NOT_SENT
        if is_certain and allowed.counts(outcome) is not Outcome.UNKNOWN:
            self.on_answer()
        await self._group.close(Closing(allowed, outcome, response, note, keep))
