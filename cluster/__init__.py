"""Airflow on the CeleryExecutor, as docker-compose.yml describes it, as processes of this machine."""
