"""The DAG of ``specs/arazzo/fin-amberflo-usage-to-stripe-invoice.yml``."""

from airflow_arazzo import arazzo_dags

arazzo_dags(
    "../specs/arazzo/fin-amberflo-usage-to-stripe-invoice.yml",
    # Amberflo counts events with the same uniqueId once; Stripe remembers a key for a day.
    idempotency={
        "amberfloMeteringApi.ingestMeterEvents": {"body": "uniqueId"},
        "stripeInvoiceApi": {"header": "Idempotency-Key", "lifetime": 23 * 3600},
    },
)
