"""The account: what was intended, what the services were made to do, and what is left for a person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

from airflow_arazzo.ledger.model import Entry, Outcome
from chaos.settings import Effect, Scale, amount, intended, milliseconds

_SPOILING = frozenset({"content_type", "echo", "truncate"})
"""Faults of the sandbox that replace or cut the response to a request that took effect."""


@dataclass
class Account:
    """What became of every intended effect.

    :param found: how often each effect stands in the sandbox's ledger.
    :param unknown: effects that are left for a person, with the ledger's entry.
    :param ambiguous: for each of those what made it ambiguous, from the sandbox's log of requests.
    :param spoiled: effects that were answered with something else than their response, and what made it so:
        they are never sent again, and a person has to give the response before later steps can run.
    """

    scale: Scale
    found: Counter[Effect] = field(default_factory=Counter)
    strangers: list[str] = field(default_factory=list)
    unknown: dict[Effect, Entry] = field(default_factory=dict)
    settled: dict[Effect, Entry] = field(default_factory=dict)
    ambiguous: dict[Effect, str] = field(default_factory=dict)
    spoiled: dict[Effect, str] = field(default_factory=dict)

    @property
    def duplicated(self) -> list[Effect]:
        """Effects that happened more than once."""
        return sorted(effect for effect, times in self.found.items() if times > 1)

    @property
    def lost(self) -> list[Effect]:
        """Effects that the ledger takes for done and that did not happen."""
        done = (e for e, entry in self.settled.items() if entry.outcome is Outcome.EFFECT)
        return sorted(effect for effect in done if not self.found[effect])

    @property
    def unproven(self) -> list[Effect]:
        """Effects left for a person although nothing ambiguous happened to their requests."""
        return sorted(set(self.unknown) - set(self.ambiguous))


def take_account(
    scale: Scale,
    effects: Iterable[Mapping[str, Any]],
    requests: list[Mapping[str, Any]],
    entries: Iterable[Entry],
) -> Account:
    """Compare the sandbox's ledger and log with ours."""
    account = Account(scale)
    invoices: dict[str, Effect] = {}
    names = _Names(scale, invoices)
    for effect in effects:
        name = names.of_effect(effect)
        if name is None:
            account.strangers.append(f"{effect['kind']} {effect['id']}")
        else:
            account.found[name] += 1
    for entry in entries:
        name = _of_entry(entry)
        if entry.outcome in (Outcome.UNKNOWN, Outcome.INTENT):
            account.unknown[name] = entry
        else:
            account.settled[name] = entry
    by_effect: dict[Effect, list[str]] = {}
    for request in requests:
        asked = names.of_request(request, invoices)
        if asked is not None:
            by_effect.setdefault(asked, []).append(_fate(request))
    for name, entry in account.settled.items():
        spoilt = [fate for fate in by_effect.get(name, []) if fate.removeprefix("fault ") in _SPOILING]
        if spoilt and entry.outcome is Outcome.EFFECT:
            account.spoiled[name] = spoilt[-1]
    for name in account.unknown:
        fates = by_effect.get(name, [])
        doubtful = [fate for fate in fates if fate]
        if doubtful:
            account.ambiguous[name] = doubtful[-1]
        elif not fates:
            account.ambiguous[name] = "no request arrived: its sender was killed, or the connection was lost"
        elif account.found[name]:
            account.ambiguous[name] = "answered, and the one who asked was killed before it could note that"
    return account


def _of_entry(entry: Entry) -> Effect:
    """The effect that an entry of our ledger is about: ``run`` is namespace and interval."""
    namespace, _, run = entry.description.run.partition(" ")
    return Effect(namespace, run[:10], entry.description.step.rsplit(".", 1)[-1])


def _fate(request: Mapping[str, Any]) -> str:
    """What happened to a request that its sender could not be sure of; empty for a plain answer."""
    fault, status = request.get("fault"), request["status"]
    if status is None:
        return f"connection reset ({fault})" if fault else "the connection was lost before the answer"
    if fault:
        return f"fault {fault}"
    return f"status {status}" if status >= 500 or status in (408, 409, 425) else ""


class _Names:
    """Tells from a request's content which run it is for."""

    def __init__(self, scale: Scale, invoices: dict[str, Effect]) -> None:
        self._days = {milliseconds(d.date().isoformat()): d.date().isoformat() for d in scale.dates}
        self._amounts = {
            (name, amount(name, d.date().isoformat())): d.date().isoformat()
            for name in scale.names
            for d in scale.dates
        }
        self._invoices = invoices
        self.expected = set(intended(scale))

    def of_effect(self, effect: Mapping[str, Any]) -> Effect | None:
        """The effect behind an entry of the sandbox's ledger; invoices are remembered by id."""
        name = self.of_request(effect["request"], self._invoices)
        if name is not None and effect["kind"] == "stripe.invoice.created":
            self._invoices[effect["id"]] = Effect(name.dag_id, name.day, "finalize-invoice")
        return name

    def of_request(self, request: Mapping[str, Any], invoices: Mapping[str, Effect]) -> Effect | None:
        """The effect that a request asks for."""
        target, body = request["target"], request["body"]
        if target == "/ingest":
            return self._event(json.loads(body)) if body else None
        if target.endswith("customer-prepaid") and body:
            order = json.loads(body, parse_float=str)
            key = (order["customerId"], Decimal(str(order["amount"])))
            day = self._amounts.get(key)
            return Effect(f"topup-{order['customerId']}", day, "topUpPrepaid") if day else None
        if target == "/v1/invoices" and body:
            form = {name: values[0] for name, values in parse_qs(body).items()}
            customer = form["customer"].replace("cus_", "customer-")
            return Effect(f"invoice-{customer}", form["metadata[period]"], "add-invoice-item")
        if target.endswith("/finalize"):
            return invoices.get(target.split("/")[3])
        return None

    def _event(self, body: Any) -> Effect | None:
        event = body[0] if isinstance(body, list) else body
        day = self._days.get(int(event["meterTimeInMillis"]))
        if day is None:
            return None
        kind, step = ("invoice", "ingest-usage") if isinstance(body, list) else ("topup", "ingestEvent")
        return Effect(f"{kind}-{event['customerId']}", day, step)
