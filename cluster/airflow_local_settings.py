"""Airflow reads this in every service: what a worker has imported, none of its tasks has to import anew."""

import airflow_arazzo.preload  # noqa: F401
