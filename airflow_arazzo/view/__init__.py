"""The tab of a DAG and of a run that draws the workflow with all its jumps, behind Airflow's login."""
