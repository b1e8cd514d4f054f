"""The DAG of ``specs/arazzo/fin-amberflo-customer-to-stripe-customer.yml``."""

from airflow_arazzo import arazzo_dags

arazzo_dags("../specs/arazzo/fin-amberflo-customer-to-stripe-customer.yml")
