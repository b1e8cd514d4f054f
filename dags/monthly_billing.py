"""Every month: ``specs/arazzo/bill-usage-period.yml`` for each customer of a table.

The table ``subscriptions`` of the connection ``usage_db`` has a row for each month and customer: how many
seats there were, and what one costs.
The document itself says how its requests may be repeated, so there is nothing to declare here.
"""

from pendulum import datetime

from airflow_arazzo import ArazzoDag, SqlRows

ArazzoDag(
    "../specs/arazzo/bill-usage-period.yml",
    dag_id="monthly-billing",
    schedule="@monthly",
    start_date=datetime(2025, 1, 1, tz="UTC"),
    max_active_runs=1,
    for_each=SqlRows(
        """
        SELECT customer_id AS "customerId", stripe_customer AS "stripeCustomer", seats AS "usage",
               seats * cents_per_seat AS "amount"
        FROM subscriptions
        WHERE month = '{{ period.start_date }}' AND seats > 0
        ORDER BY customer_id
        """,
        conn_id="usage_db",
    ),
    row_key="customerId",
    inputs={
        "meterApiName": "seats",
        "currency": "usd",
        "meterTimeInMillis": "{{ period.start_ms }}",
        "periodStart": "{{ period.start_ms // 1000 }}",
        "periodEnd": "{{ period.end_ms // 1000 }}",
        "description": "Seats from {{ period.start_date }} until {{ period.end_date }}",
    },
)
