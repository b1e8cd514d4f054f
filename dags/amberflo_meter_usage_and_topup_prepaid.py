"""The DAG of ``specs/arazzo/amberflo-meter-usage-and-topup-prepaid-workflow.yml``."""

from airflow_arazzo import arazzo_dags

arazzo_dags(
    "../specs/arazzo/amberflo-meter-usage-and-topup-prepaid-workflow.yml",
    # Amberflo counts events with the same uniqueId once. A prepaid order has no such field: sent once only.
    idempotency={"meteringApi.ingestMeterEvents": {"body": "uniqueId"}},
)
