"""The DAG of ``specs/arazzo/amberflo-launch-usage-based-product-workflow.yml``."""

from airflow_arazzo import arazzo_dags

arazzo_dags(
    "../specs/arazzo/amberflo-launch-usage-based-product-workflow.yml",
    # Amberflo counts events with the same uniqueId once.
    idempotency={"meteringApi.ingestMeterEvents": {"body": "uniqueId"}},
)
