"""The DAG of ``known-customer.yml``, for pictures of the documentation."""

from airflow_arazzo import ArazzoDag

ArazzoDag("../known-customer.yml")
