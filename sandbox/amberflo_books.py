"""What Amberflo knows: customers, meters, usage by the hour, plans, prepaid orders, invoices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.exact_json import EXACT

HOUR = 3600

_BucketKey = tuple[int, str | None, frozenset[tuple[str, str]]]


@dataclass(slots=True)
class Bucket:
    """Usage of one meter, hour, customer and set of dimensions."""

    total: Decimal = Decimal(0)
    largest: Decimal | None = None
    count: int = 0

    def add(self, value: Decimal) -> None:
        """Count one event."""
        self.total = EXACT.add(self.total, value)
        self.largest = value if self.largest is None else max(self.largest, value)
        self.count += 1

    def merge(self, other: Bucket) -> None:
        """Count all events of another bucket."""
        self.total = EXACT.add(self.total, other.total)
        if other.largest is not None:
            self.largest = other.largest if self.largest is None else max(self.largest, other.largest)
        self.count += other.count

    def value(self, aggregation: str) -> Decimal | int:
        """Return the sum, the largest value or the number of events."""
        if aggregation == "COUNT":
            return self.count
        if aggregation == "MAX":
            return self.largest if self.largest is not None else Decimal(0)
        return self.total


@dataclass
class AmberfloBooks:
    """Amberflo's own records, each under its identifier."""

    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    meters: dict[str, dict[str, Any]] = field(default_factory=dict)
    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    invoices: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seen_events: set[str] = field(default_factory=set)
    usage: dict[str, dict[_BucketKey, Bucket]] = field(default_factory=dict)

    def count_usage(self, event: Mapping[str, Any]) -> bool:
        """Add an event to the usage of its meters, and tell whether any meter counted it.

        Events for meters that do not exist, or that a filtering rule leaves out, are counted nowhere: the
        real service finds that out after it has answered, so the sender is not told.
        """
        values: dict[str, Any] = dict(event.get("values", {}))
        if "meterApiName" in event:
            values[event["meterApiName"]] = event["meterValue"]
        dimensions: dict[str, str] = event.get("dimensions", {})
        hour = event["meterTimeInMillis"] // 1000 // HOUR * HOUR
        key = (hour, event.get("customerId"), frozenset(dimensions.items()))
        counted = False
        for meter, value in values.items():
            if meter in self.meters and self._admits(meter, dimensions):
                self.usage.setdefault(meter, {}).setdefault(key, Bucket()).add(Decimal(value))
                counted = True
        return counted

    def _admits(self, meter: str, dimensions: Mapping[str, str]) -> bool:
        for rule in self.rules.get(meter, {}).values():
            if "dimensionName" not in rule or "dimensionValues" not in rule:
                continue
            listed = dimensions.get(rule["dimensionName"]) in rule["dimensionValues"]
            if listed != (rule.get("action", "INCLUDE") == "INCLUDE"):
                return False
        return True

    def query_usage(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer a usage query from the hours that begin in its period (start included, end not).

        Only periods with usage are listed, under the Unix second at which they begin (UTC).
        """
        wanted: list[str] = query.get("groupBy", [])
        groups: dict[tuple[str, ...], dict[int, Bucket]] = {}
        for (hour, customer, pairs), bucket in self.usage.get(query["meterApiName"], {}).items():
            if not query["startTimeInSeconds"] // HOUR * HOUR <= hour < query["endTimeInSeconds"]:
                continue
            dimensions = dict(pairs) | ({"customerId": customer} if customer is not None else {})
            if not _passes(query, dimensions):
                continue
            group = tuple(dimensions.get(name, "") for name in wanted)
            start = period_start(hour, query["timeGroupingInterval"])
            groups.setdefault(group, {}).setdefault(start, Bucket()).merge(bucket)
        return [
            {
                "groupInfo": dict(zip(wanted, group, strict=True)),
                "records": [
                    {str(start): bucket.value(query["aggregation"])}
                    for start, bucket in sorted(periods.items())
                ],
            }
            for group, periods in groups.items()
        ]


def _passes(query: Mapping[str, Any], dimensions: Mapping[str, str]) -> bool:
    if "customerFilter" in query and dimensions.get("customerId") not in query["customerFilter"]:
        return False
    return all(dimensions.get(name) in allowed for name, allowed in query.get("filter", {}).items())


def period_start(second: int, interval: str) -> int:
    """Return the Unix second at which the hour, day, week (Monday) or month of a moment begins, in UTC."""
    if interval == "HOUR":
        return second // HOUR * HOUR
    day = datetime.fromtimestamp(second, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "WEEK":
        day -= timedelta(days=day.weekday())
    if interval == "MONTH":
        day = day.replace(day=1)
    return int(day.timestamp())
