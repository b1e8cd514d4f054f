"""The DAG of ``specs/arazzo/amberflo-provision-customer-billing-workflow.yml``."""

from airflow_arazzo import arazzo_dags

arazzo_dags("../specs/arazzo/amberflo-provision-customer-billing-workflow.yml")
