"""The demonstration: workflows on a real Airflow, against the sandbox."""
