"""The DAG of ``specs/arazzo/fin-amberflo-usage-to-stripe-invoice.yml``."""

from airflow_arazzo import arazzo_dags

arazzo_dags("../specs/arazzo/fin-amberflo-usage-to-stripe-invoice.yml")
