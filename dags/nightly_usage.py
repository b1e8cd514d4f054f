"""Every night: ``specs/arazzo/amberflo-meter-usage-and-topup-prepaid-workflow.yml`` for each row of a table.

The table ``usage`` of the connection ``usage_db`` has a row for each day and customer: what was used, and by
how many cents the prepaid balance is funded. ``airflow backfill create`` bills the days before the DAG began.
"""

from pendulum import datetime

from airflow_arazzo import ArazzoDag, SqlRows

ArazzoDag(
    "../specs/arazzo/amberflo-meter-usage-and-topup-prepaid-workflow.yml",
    dag_id="nightly-usage",
    schedule="@daily",
    start_date=datetime(2025, 1, 1, tz="UTC"),
    max_active_runs=4,
    for_each=SqlRows(
        """
        SELECT customer_id AS "customerId", quantity AS "meterValue", meter AS "meterApiName",
               printf('%d.%02d', cents / 100, cents % 100) AS "amount"
        FROM usage
        WHERE day = '{{ period.start_date }}' AND cents > 0
        ORDER BY customer_id, meter
        """,
        conn_id="usage_db",
    ),
    row_key=["customerId", "meterApiName"],
    inputs={"meterTimeInMillis": "{{ period.start_ms }}", "currency": "USD"},
    # Amberflo counts events with the same uniqueId once. A prepaid order has no such field: sent once only.
    idempotency={"meteringApi.ingestMeterEvents": {"body": "uniqueId"}},
)
