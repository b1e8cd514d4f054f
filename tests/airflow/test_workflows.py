"""The five workflows through Airflow's operators send what the engine sends for the same inputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli.main import main
from sandbox.testing import RunningSandbox, running_sandbox

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
SPECS = ROOT / "specs" / "arazzo"
SEEDS = SHARED / "seeds"
REFERENCE = SHARED / "reference" / "openapi"

BILLING, METERING = "amberflo-billing-openapi.yaml", "amberflo-metering-openapi.yaml"
CUSTOMERS, INVOICES = "stripe-customers-api-openapi.yml", "stripe-invoice-api-openapi.yml"

ACME = {"customers": [{"customerId": "c/1 ü", "customerName": "Ä & Co"}]}
METER = {"meters": [{"meterApiName": "calls", "displayName": "Calls", "type": "SUM_OF_ALL_USAGE"}]}
ITEM = {"customer": "cus_1", "amount": 1250, "currency": "usd"}


@dataclass(frozen=True)
class Case:
    """A workflow and what it is run with.

    :param needed: inputs without which it cannot run.
    :param optional: all its other inputs.
    :param effects: how many requests it sends.
    """

    document: str
    workflow: str
    sources: dict[str, str]
    needed: dict[str, Any]
    optional: dict[str, Any]
    requests: int
    seeds: dict[str, Any]


CASES = {
    "launch": Case(
        "amberflo-launch-usage-based-product-workflow.yml",
        "launch-usage-based-product",
        {"meteringApi": METERING, "billingApi": BILLING},
        {
            "meterApiName": "gpu",
            "displayName": 'GPU "s"',
            "type": "SUM_OF_ALL_USAGE",
            "customerId": "c-1",
            "customerName": "Zoë / Sons",
            "productId": "007",
            "meterValue": 12.25,
            "meterTimeInMillis": 1767225600000,
        },
        {"customerEmail": "z@acme.example"},
        4,
        {},
    ),
    "top up": Case(
        "amberflo-meter-usage-and-topup-prepaid-workflow.yml",
        "meter-usage-and-topup-prepaid",
        {"meteringApi": METERING, "billingApi": BILLING},
        {
            "meterApiName": "calls",
            "customerId": "c/1 ü",
            "meterValue": 1200,
            "meterTimeInMillis": 1767225600000,
            "amount": 99.99,
        },
        {"uniqueId": "u-1", "currency": "USD", "expirationTime": 1749686400000},
        2,
        {"amberflo": {**ACME, **METER}},
    ),
    "provision": Case(
        "amberflo-provision-customer-billing-workflow.yml",
        "provision-customer-billing",
        {"billingApi": BILLING},
        {"customerId": "c-1", "customerName": "Ä", "productId": "p1", "amount": 10.5},
        {"customerEmail": "a@b.example", "currency": "EUR", "expirationTime": 1749686400000},
        3,
        {},
    ),
    "sync": Case(
        "fin-amberflo-customer-to-stripe-customer.yml",
        "sync-customer-to-stripe",
        {"amberfloBillingApi": BILLING, "stripeCustomersApi": CUSTOMERS},
        {"amberfloCustomerId": "c/1 ü"},
        {"customerEmail": "a+b@c.example"},
        2,
        {"amberflo": ACME},
    ),
    "invoice": Case(
        "fin-amberflo-usage-to-stripe-invoice.yml",
        "meter-usage-and-invoice",
        {"amberfloMeteringApi": METERING, "stripeInvoiceApi": INVOICES},
        {"meterApiName": "calls", "customerId": "c/1 ü", "usageValue": 0.5, "stripeCustomer": "cus_1"},
        {"invoiceId": "in_unused", "amount": 1250, "currency": "usd"},
        3,
        {"amberflo": {**ACME, **METER}, "stripe": {"customers": [{"id": "cus_1"}], "invoiceitems": [ITEM]}},
    ),
}

NOT_COMPARED = {"host", "user-agent", "x-api-key", "authorization"}
"""The sandbox listens elsewhere each time and has other keys; that the keys are right it checks itself."""


def documents() -> list[Any]:
    """Each case with the shipped document and with the verbatim one."""
    absent = pytest.mark.skipif(
        not (SEEDS.is_dir() and REFERENCE.is_dir()),
        reason="the verbatim documents are not beside the repository (../shared/seeds, ../shared/reference)",
    )
    found = []
    for name, case in CASES.items():
        sources = {source: str(REFERENCE / file) for source, file in case.sources.items()}
        found.append(pytest.param(case, SPECS / case.document, {}, id=f"{name}, shipped"))
        found.append(pytest.param(case, SEEDS / case.document, sources, id=f"{name}, verbatim", marks=absent))
    return found


def connections(sandbox: RunningSandbox, case: Case) -> dict[str, dict[str, str]]:
    return {
        name: {
            "conn_type": "arazzo",
            "host": sandbox.url,
            "password": sandbox.stripe_key if name.startswith("stripe") else sandbox.amberflo_key,
        }
        for name in case.sources
    }


def sent(sandbox: RunningSandbox) -> list[tuple[str, str, list[list[str]], str]]:
    """Requests as they arrived; ids that the sandbox made up are replaced."""
    made_up = [effect["id"] for effect in sandbox.ledger() if effect["kind"] == "stripe.invoice.created"]
    found = []
    for request in sandbox.requests():
        target = request["target"]
        for number, invented in enumerate(made_up):
            target = target.replace(invented, f"INVOICE-{number}")
        headers = [[k, v] for k, v in request["headers"] if k.lower() not in NOT_COMPARED]
        names = [k.lower() for k, _ in request["headers"]]
        assert ("x-api-key" in names) != ("authorization" in names)
        found.append((request["method"], target, headers, request["body"]))
    return found


def sent_by_engine(case: Case, document: Path, sources: dict[str, str], inputs: dict[str, Any]) -> list[Any]:
    with running_sandbox(record_credentials=True) as sandbox:
        sandbox.seed(**case.seeds)
        arguments = ["run", str(document), case.workflow, "--inputs", json.dumps(inputs), "--format", "json"]
        for name, fields in connections(sandbox, case).items():
            arguments += ["--connection", f"{name}={json.dumps(fields)}"]
        for name, file in sources.items():
            arguments += ["--source", f"{name}={file}"]
        assert main(arguments) == 0
        return sent(sandbox)


@pytest.mark.parametrize("with_optional", [True, False], ids=["all inputs", "needed inputs"])
@pytest.mark.parametrize(("case", "document", "sources"), documents())
def test_same_requests(
    case: Case,
    document: Path,
    sources: dict[str, str],
    with_optional: bool,
    dag_file: Any,
    run_dag: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = {**case.needed, **(case.optional if with_optional else {})}
    by_path = "" if sources else f", source_path=[{str(ROOT / 'specs' / 'openapi')!r}]"
    monkeypatch.setenv("ARAZZO_SOURCE_PATH", str(ROOT / "specs" / "openapi"))
    module = dag_file(
        "workflow",
        "from airflow_arazzo import ArazzoDag\n"
        f"dag = ArazzoDag({str(document)!r}, dag_id='w', sources={sources!r}{by_path})\n",
    )
    with running_sandbox(record_credentials=True) as sandbox:
        sandbox.seed(**case.seeds)
        ran = run_dag(module.dag, inputs, connections=connections(sandbox, case))
        assert ran.state == "success"
        assert set(ran.states.values()) == {"success"}
        requests = sent(sandbox)
    assert requests == sent_by_engine(case, document, sources, inputs)
    assert len(requests) == case.requests
    assert not [body for *_, body in requests if "null" in body or "None" in body]
    assert all(ran.xcom(task) is not None for task in ran.states)


def test_provisioning(dag_file: Any, run_dag: Any) -> None:
    """What one workflow does, literally."""
    document = SPECS / CASES["provision"].document
    module = dag_file(
        "provision", f"from airflow_arazzo import ArazzoDag\ndag = ArazzoDag({str(document)!r})\n"
    )
    with running_sandbox() as sandbox:
        ran = run_dag(
            module.dag, CASES["provision"].needed, connections=connections(sandbox, CASES["provision"])
        )
        assert ran.state == "success"
        assert sandbox.kinds() == [
            "amberflo.customer.created",
            "amberflo.plan.assigned",
            "amberflo.prepaid.created",
        ]
        bodies = [request["body"] for request in sandbox.requests()]
        assert bodies[0] == '{"customerId":"c-1","customerName":"Ä","lifecycleStage":"ACTIVE"}'
        order = sandbox.ledger("amberflo.prepaid.created")[0]["id"]
    outputs = ran.xcom("createPrepaid", "workflow_outputs")
    assert outputs == {"customerId": "c-1", "assignedProductId": "p1", "orderId": order}
    assert ran.xcom("createCustomer") == {"customerId": "c-1"}
