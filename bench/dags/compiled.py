"""Three workflows as this project's DAGs; :mod:`bench.parse` compares the file with ``by_hand.py``."""

from airflow_arazzo import ArazzoDag

ArazzoDag("../../specs/arazzo/amberflo-provision-customer-billing-workflow.yml")
ArazzoDag("../../specs/arazzo/amberflo-meter-usage-and-topup-prepaid-workflow.yml")
ArazzoDag("../../specs/arazzo/amberflo-launch-usage-based-product-workflow.yml")
