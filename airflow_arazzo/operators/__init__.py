"""Airflow operators, and what their tasks exchange."""
