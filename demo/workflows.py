"""What the demonstration runs, and which effects it expects to find afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from demo.usage import seeds

CUSTOMERS = ("hooli", "umbrella", "wonka")
"""Customers of the usage table."""

PERIOD = {"period_start": "2026-05-01", "period_end": "2026-05-02"}
MONTH = {"period_start": "2026-05-01", "period_end": "2026-06-01"}

_USAGE = seeds(CUSTOMERS)

SEEDS: dict[str, Any] = {
    "amberflo": {
        "customers": [
            {"customerId": "acme", "customerName": "Acme GmbH", "customerEmail": "billing@acme.example"},
            *_USAGE["amberflo"]["customers"],
        ],
        "meters": _USAGE["amberflo"]["meters"],
    },
    "stripe": {
        "customers": [{"id": "cus_acme", "name": "Acme GmbH"}, *_USAGE["stripe"]["customers"]],
        "invoiceitems": [
            {"customer": "cus_acme", "amount": 4200, "currency": "usd", "description": "Usage in May"}
        ],
    },
}
"""Set-up: what exists before the first workflow runs. The invoice workflow as written adds no line to its
invoice, so one item waits to be billed."""


@dataclass(frozen=True)
class Demonstration:
    """A workflow to run.

    :param effects: kinds of effects that the run must cause, in order.
    """

    dag_id: str
    conf: dict[str, Any]
    effects: tuple[str, ...]


DEMONSTRATIONS = (
    Demonstration(
        "provision-customer-billing",
        {"customerId": "globex", "customerName": "Globex Inc", "productId": "pay-as-you-go", "amount": 250.5},
        ("amberflo.customer.created", "amberflo.plan.assigned", "amberflo.prepaid.created"),
    ),
    Demonstration(
        "launch-usage-based-product",
        {
            "meterApiName": "gpu-seconds",
            "displayName": "GPU seconds",
            "type": "SUM_OF_ALL_USAGE",
            "customerId": "initech",
            "customerName": "Initech LLC",
            "customerEmail": "ap@initech.example",
            "productId": "gpu-standard",
            "meterValue": 12.25,
            "meterTimeInMillis": 1767225600000,
        },
        (
            "amberflo.meter.created",
            "amberflo.customer.created",
            "amberflo.plan.assigned",
            "amberflo.event.ingested",
        ),
    ),
    Demonstration(
        "meter-usage-and-topup-prepaid",
        {
            "meterApiName": "api-calls",
            "customerId": "acme",
            "meterValue": 1200,
            "meterTimeInMillis": 1767225600000,
            "amount": 99.99,
            "currency": "USD",
        },
        ("amberflo.event.ingested", "amberflo.prepaid.created"),
    ),
    Demonstration(
        "sync-customer-to-stripe",
        {"amberfloCustomerId": "acme", "customerEmail": "billing@acme.example"},
        ("stripe.customer.created",),
    ),
    Demonstration(
        "meter-usage-and-invoice",
        {
            "meterApiName": "api-calls",
            "customerId": "acme",
            "usageValue": 1200,
            "stripeCustomer": "cus_acme",
            "currency": "usd",
        },
        ("amberflo.event.ingested", "stripe.invoice.created", "stripe.invoice.finalized"),
    ),
    Demonstration(
        "nightly-usage", PERIOD, len(CUSTOMERS) * ("amberflo.event.ingested", "amberflo.prepaid.created")
    ),
    Demonstration(
        "monthly-billing",
        MONTH,
        len(CUSTOMERS)
        * (
            "amberflo.event.ingested",
            "stripe.invoice.created",
            "stripe.invoiceitem.created",
            "stripe.invoice.finalized",
        ),
    ),
)

WORKFLOWS = tuple(each for each in DEMONSTRATIONS if each.dag_id not in ("nightly-usage", "monthly-billing"))
"""Those that are no batches: the five shipped documents, once each."""

AMBERFLO_SOURCES = ("meteringApi", "billingApi", "amberfloMeteringApi", "amberfloBillingApi", "amberflo")
STRIPE_SOURCES = ("stripeCustomersApi", "stripeInvoiceApi", "stripe")
