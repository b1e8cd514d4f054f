# Airflow with this provider, for docker-compose.yml. Airflow's own image would do as well:
#   FROM apache/airflow:3.3.2
#   RUN pip install airflow-arazzo
FROM python:3.11-slim

ENV AIRFLOW_HOME=/opt/airflow PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/airflow-arazzo

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY airflow_arazzo ./airflow_arazzo
COPY sandbox ./sandbox
RUN pip install --no-cache-dir --constraint constraints.txt . psycopg2-binary asyncpg

COPY specs ./specs
COPY dags ./dags
RUN useradd --create-home airflow && mkdir -p $AIRFLOW_HOME && chown airflow $AIRFLOW_HOME
USER airflow
