"""How large, how wild, and with which documents and DAGs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
TIMEOUT = 2.0
"""Seconds that a request may take; the sandbox delays some for longer."""


@dataclass(frozen=True)
class Scale:
    """How much is billed.

    :param safe: whether the ledger and the idempotency keys are in use; without them the account must
        show duplicates, which proves that it would notice any.
    """

    customers: int
    days: int
    seed: int
    safe: bool = True

    @property
    def names(self) -> list[str]:
        """Customer ids."""
        return [f"customer-{number:02d}" for number in range(1, self.customers + 1)]

    @property
    def dates(self) -> list[datetime]:
        """First moments of the days that are billed."""
        return [FIRST_DAY + timedelta(days=number) for number in range(self.days)]


@dataclass(frozen=True, order=True)
class Effect:
    """What one run must cause exactly once."""

    dag_id: str
    day: str
    step: str


def intended(scale: Scale) -> Iterator[Effect]:
    """Every effect that the backfills intend."""
    for name in scale.names:
        for date in scale.dates:
            day = date.date().isoformat()
            for step in ("ingestEvent", "topUpPrepaid"):
                yield Effect(f"topup-{name}", day, step)
            for step in ("ingest-usage", "add-invoice-item", "finalize-invoice"):
                yield Effect(f"invoice-{name}", day, step)


def amount(customer: str, day: str) -> Decimal:
    """The top-up of a customer on a day: different for each, so that an order tells where it comes from."""
    date = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return Decimal((date - FIRST_DAY).days + 1) + Decimal(int(customer.rsplit("-", 1)[1])) / 100


def milliseconds(day: str) -> int:
    """The first moment of a day, in milliseconds since the epoch."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def write_documents(folder: Path) -> None:
    """Copies of the documents for the test: the invoice workflow with the period in place of its timestamp.

    The period also goes into the invoice's metadata, so that each invoice tells which run it is for; on an
    account that leaves pending items out, an invoice without lines is ``paid`` once it is finalised.
    """
    shutil.copytree(ROOT / "specs", folder)
    path = folder / "arazzo" / "fin-amberflo-usage-to-stripe-invoice.yml"
    text = path.read_text()
    inputs = "      properties:\n"
    period = "        period:\n          type: string\n        startMillis:\n          type: integer\n"
    metadata = "\n            metadata:\n              period: $inputs.period"
    for before, after in (
        (
            "              meterTimeInMillis: 1717459200000",
            "              meterTimeInMillis: $inputs.startMillis",
        ),
        ("            auto_advance: false", "            auto_advance: false" + metadata),
        ('condition: $response.body#/status == "open"', "condition: $response.body#/status == 'paid'"),
        (inputs, inputs + period),
    ):
        if text.count(before) != 1:
            raise RuntimeError(f"expected {before!r} once in {path.name}")
        text = text.replace(before, after)
    path.write_text(text)


def write_dags(folder: Path, specs: Path, scale: Scale) -> None:
    """One file for each customer, with a DAG for top-ups and one for invoices."""
    folder.mkdir(parents=True)
    for number, name in enumerate(scale.names, 1):
        (folder / f"{name.replace('-', '_')}.py").write_text(_dag_file(specs, name, number, scale))


def _dag_file(specs: Path, name: str, number: int, scale: Scale) -> str:
    common: dict[str, Any] = {
        "schedule": "@daily",
        "max_active_runs": 4,
        "default_args": {"retries": 12, "retry_delay": 1},
    }
    keys = {
        "meteringApi.ingestMeterEvents": {"body": "uniqueId"},
        "amberfloMeteringApi.ingestMeterEvents": {"body": "uniqueId"},
        "stripeInvoiceApi": {"header": "Idempotency-Key", "lifetime": 82800},
    }
    day = "{{ data_interval_start.strftime('%Y-%m-%d') }}"
    millis = "{{ data_interval_start.int_timestamp * 1000 }}"
    days = "(data_interval_start - macros.datetime(2026, 1, 1, tzinfo=data_interval_start.tzinfo)).days + 1"
    topup = {
        "meterApiName": "api-calls",
        "customerId": name,
        "meterValue": "1",
        "meterTimeInMillis": millis,
        "amount": "{{ " + days + " }}." + f"{number:02d}",
    }
    invoice = {
        "meterApiName": "api-calls",
        "customerId": name,
        "usageValue": "1",
        "startMillis": millis,
        "period": day,
        "stripeCustomer": f"cus_{number:02d}",
        "currency": "usd",
    }
    ledger = "" if scale.safe else ", ledger=False"
    documents = {
        "topup": ("amberflo-meter-usage-and-topup-prepaid-workflow.yml", topup, ("meteringApi",)),
        "invoice": ("fin-amberflo-usage-to-stripe-invoice.yml", invoice, ("amberflo", "stripe")),
    }
    calls = "".join(
        f"""
ArazzoDag(
    {str(specs / "arazzo" / document)!r},
    dag_id="{kind}-{name}",
    inputs={inputs!r},
    idempotency={ {key: value for key, value in keys.items() if key.startswith(sources)}!r}{ledger},
    **COMMON,
)
"""
        for kind, (document, inputs, sources) in documents.items()
    )
    return f'''"""Airflow DAGs of {name}."""
import datetime
from airflow_arazzo import ArazzoDag

COMMON = {common!r}
COMMON["start_date"] = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
COMMON["end_date"] = COMMON["start_date"] + datetime.timedelta(days={scale.days - 1})
{calls}'''


def faults(scale: Scale) -> list[dict[str, Any]]:
    """Rules for the sandbox: everything that can go wrong, each now and then."""
    slow = TIMEOUT + 1.0
    rules: list[dict[str, Any]] = [
        {"action": "reset", "when": "before", "probability": 0.02},
        {"action": "reset", "when": "unread", "probability": 0.02},
        {"action": "reset", "when": "after", "probability": 0.03},
        {"action": "error", "when": "before", "status": 500, "probability": 0.02},
        {"action": "error", "when": "after", "status": 500, "probability": 0.03},
        {"action": "error", "when": "after", "status": 503, "probability": 0.01},
        {"action": "rate_limit", "retry_after": 1, "probability": 0.03},
        {"action": "delay", "when": "before", "seconds": slow, "probability": 0.01},
        {"action": "delay", "when": "after", "seconds": slow, "probability": 0.02},
        {"action": "truncate", "when": "after", "probability": 0.02},
        {"action": "content_type", "when": "after", "content_type": "text/html", "probability": 0.01},
        {"action": "redirect", "location": "http://127.0.0.1:9/elsewhere", "probability": 0.01},
        {"action": "echo", "when": "after", "status": 200, "probability": 0.01},
    ]
    return [{**rule, "seed": scale.seed * 100 + number} for number, rule in enumerate(rules)]
