"""The shipped workflows through Airflow's operators, against the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.testing import running_sandbox

ROOT = Path(__file__).parents[2]


def test_provisioning(dag_file: Any, run_dag: Any) -> None:
    module = dag_file(
        "provision",
        f"from airflow_arazzo import ArazzoDag\n"
        f"dag = ArazzoDag({str(ROOT / 'specs/arazzo/amberflo-provision-customer-billing-workflow.yml')!r})\n",
    )
    with running_sandbox() as sandbox:
        connection = {"conn_type": "arazzo", "host": sandbox.url, "password": sandbox.amberflo_key}
        ran = run_dag(
            module.dag,
            {"customerId": "c1", "customerName": "Ä", "productId": "p1", "amount": 10.5},
            connections={"billingApi": connection},
        )
        assert ran.state == "success"
        assert sandbox.kinds() == ["amberflo.customer.created", "amberflo.plan.assigned", "amberflo.prepaid.created"]
        bodies = [request["body"] for request in sandbox.requests()]
        assert bodies[0] == '{"customerId":"c1","customerName":"Ä","lifecycleStage":"ACTIVE"}'
    outputs = ran.xcom("createPrepaid", "workflow_outputs")
    assert outputs["customerId"] == "c1"
    assert ran.xcom("createCustomer") == {"customerId": "c1"}
