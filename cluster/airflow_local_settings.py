"""Airflow reads this in every service: what a worker has imported, none of its tasks has to import anew."""

from airflow_arazzo import arazzo_dags  # noqa: F401
