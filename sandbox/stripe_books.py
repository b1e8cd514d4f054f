"""What Stripe knows: customers, invoice items, invoices, and answers kept under idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.collection import Collection
from sandbox.idempotency import KeyStore
from sandbox.reply import Reply


@dataclass
class StripeBooks:
    """Stripe's own records.

    :param pending: for each customer the items that the next invoice can take, oldest first.
    :param lines: for each invoice its items, oldest first.
    :param deleted_customers: what is left of them; they can still be read.
    """

    customers: Collection = field(default_factory=lambda: Collection("email"))
    items: Collection = field(default_factory=lambda: Collection("customer", "invoice"))
    invoices: Collection = field(default_factory=lambda: Collection("customer", "status"))
    pending: dict[str, dict[str, None]] = field(default_factory=dict)
    lines: dict[str, dict[str, None]] = field(default_factory=dict)
    deleted_customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: KeyStore[Reply] = field(default_factory=KeyStore)
