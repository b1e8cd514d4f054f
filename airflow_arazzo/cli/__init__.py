"""The command line: ``airflow-arazzo``, and the same commands under ``airflow arazzo``."""
