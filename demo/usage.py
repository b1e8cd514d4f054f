"""The usage table of the demonstrations: a SQLite file with what customers used, day by day."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

METER = "api-calls"
SEATS = "seats"
CENTS_PER_SEAT = 1250

_TABLES = """
CREATE TABLE usage (
    day TEXT NOT NULL, customer_id TEXT NOT NULL, meter TEXT NOT NULL,
    quantity INTEGER NOT NULL, cents INTEGER NOT NULL,
    PRIMARY KEY (day, customer_id, meter)
);
CREATE TABLE subscriptions (
    month TEXT NOT NULL, customer_id TEXT NOT NULL, stripe_customer TEXT NOT NULL,
    seats INTEGER NOT NULL, cents_per_seat INTEGER NOT NULL,
    PRIMARY KEY (month, customer_id)
);
"""


@dataclass(frozen=True)
class Totals:
    """What a table, or a ledger, adds up to.

    :param money: in dollars, to the cent.
    """

    events: int
    quantity: int
    orders: int
    money: Decimal

    def __str__(self) -> str:
        return (
            f"{self.events:,} events over {self.quantity:,} units, "
            f"{self.orders:,} prepaid orders over {self.money:,} USD"
        )


def write_usage(path: Path, customers: Sequence[str], first: date, days: int, *, seed: int = 1) -> None:
    """Make the file anew, with usage for every customer and day, and a subscription in the first month."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_TABLES)
        rows = _rows(customers, first, days, random.Random(seed))  # noqa: S311
        connection.executemany("INSERT INTO usage VALUES (?, ?, ?, ?, ?)", rows)
        month = first.replace(day=1).isoformat()
        seats = [(month, name, f"cus_{name}", 3 + at, CENTS_PER_SEAT) for at, name in enumerate(customers)]
        connection.executemany("INSERT INTO subscriptions VALUES (?, ?, ?, ?, ?)", seats)


def _rows(customers: Sequence[str], first: date, days: int, chance: random.Random) -> Iterator[Any]:
    for number in range(days):
        day = (first + timedelta(days=number)).isoformat()
        for name in customers:
            yield day, name, METER, chance.randrange(1, 50_000), chance.randrange(1, 100_000)


def billed_by(path: Path) -> Totals:
    """What the table says is to be billed."""
    with closing(sqlite3.connect(path)) as connection:
        count, quantity, cents = connection.execute(
            "SELECT count(*), sum(quantity), sum(cents) FROM usage"
        ).fetchone()
    return Totals(count, quantity, count, Decimal(cents) / 100)


def seeds(customers: Sequence[str]) -> dict[str, Any]:
    """What the two services know beforehand."""
    return {
        "amberflo": {
            "customers": [{"customerId": name, "customerName": name.title()} for name in customers],
            "meters": [
                {"meterApiName": name, "displayName": name, "type": "SUM_OF_ALL_USAGE"}
                for name in (METER, SEATS)
            ],
        },
        "stripe": {"customers": [{"id": f"cus_{name}", "name": name.title()} for name in customers]},
    }
