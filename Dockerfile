# Airflow with this provider, for docker-compose.yml. Airflow's own image would do as well:
#   FROM apache/airflow:3.3.2
#   RUN pip install 'airflow-arazzo[celery,sql]'
FROM python:3.11-slim

ENV AIRFLOW_HOME=/opt/airflow PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/airflow-arazzo

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY docs/tolerances.md ./docs/tolerances.md
COPY airflow_arazzo ./airflow_arazzo
RUN pip install --no-cache-dir --constraint constraints.txt '.[celery,sql,sqlite]'

COPY specs ./specs
COPY dags ./dags
# The sandbox and what sets it up; only the profile `sandbox` runs them.
COPY sandbox ./sandbox
COPY demo ./demo
COPY cluster ./cluster
COPY cluster/airflow_local_settings.py $AIRFLOW_HOME/config/
# New volumes belong to whom these folders belong to.
RUN useradd --create-home airflow \
    && mkdir -p $AIRFLOW_HOME/logs $AIRFLOW_HOME/rows \
    && chown -R airflow $AIRFLOW_HOME
USER airflow
