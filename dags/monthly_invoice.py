"""Every month: ``specs/arazzo/fin-amberflo-usage-to-stripe-invoice.yml`` for the month that has ended.

The document has a fixed time in it; the overlay makes that an input, which gets the start of the month.
"""

from pendulum import datetime

from airflow_arazzo import ArazzoDag

ArazzoDag(
    "../specs/arazzo/fin-amberflo-usage-to-stripe-invoice.yml",
    overlays=["../specs/overlays/fin-amberflo-usage-to-stripe-invoice-period.yml"],
    dag_id="monthly-invoice",
    schedule="@monthly",
    start_date=datetime(2025, 1, 1, tz="Europe/Berlin"),
    inputs={
        "meterApiName": "api-calls",
        "meterTimeInMillis": "{{ period.start_ms }}",
        "customerId": "acme",
        "usageValue": "{{ var.value.acme_usage }}",
        "stripeCustomer": "cus_acme",
        "currency": "usd",
    },
    # Amberflo counts events with the same uniqueId once; Stripe remembers a key for a day.
    idempotency={
        "amberfloMeteringApi.ingestMeterEvents": {"body": "uniqueId"},
        "stripeInvoiceApi": {"header": "Idempotency-Key", "lifetime": 23 * 3600},
    },
)
