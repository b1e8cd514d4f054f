"""The DAG of ``specs/arazzo/fin-amberflo-customer-to-stripe-customer.yml``."""

from airflow_arazzo import arazzo_dags

arazzo_dags(
    "../specs/arazzo/fin-amberflo-customer-to-stripe-customer.yml",
    # Stripe remembers a key for a day.
    idempotency={"stripeCustomersApi": {"header": "Idempotency-Key", "lifetime": 23 * 3600}},
)
