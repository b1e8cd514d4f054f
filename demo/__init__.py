"""The demonstration: five workflows on a real Airflow, against the sandbox."""
