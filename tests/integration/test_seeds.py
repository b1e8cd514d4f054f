"""The five workflows as their authors wrote them send what the shipped documents send, byte for byte."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli.main import main
from sandbox.testing import RunningSandbox, running_sandbox

REPOSITORY = Path(__file__).resolve().parents[2]
SEEDS = REPOSITORY.parent / "shared" / "seeds"
REFERENCE = REPOSITORY.parent / "shared" / "reference" / "openapi"
SPECS = REPOSITORY / "specs" / "arazzo"

AMBERFLO_KEY = "amberflo-key-of-the-seed-tests"
STRIPE_KEY = "sk_test_of_the_seed_tests"
AMBERFLO = [("X-API-KEY", AMBERFLO_KEY)]
STRIPE = [("Authorization", f"Bearer {STRIPE_KEY}")]
JSON = [("Content-Type", "application/json")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]

BILLING, METERING = "amberflo-billing-openapi.yaml", "amberflo-metering-openapi.yaml"
CUSTOMERS, INVOICES = "stripe-customers-api-openapi.yml", "stripe-invoice-api-openapi.yml"

pytestmark = pytest.mark.skipif(
    not (SEEDS.is_dir() and REFERENCE.is_dir()),
    reason="the verbatim documents are not beside the repository (../shared/seeds, ../shared/reference)",
)

Sent = tuple[str, str, list[tuple[str, str]], bytes]


def sent(method: str, target: str, body: bytes = b"", kind: list[tuple[str, str]] | None = None) -> Sent:
    """A request as it is expected: the headers that we choose, in their order."""
    credential = STRIPE if target.startswith("/v1/") else AMBERFLO
    headers = [
        ("Accept", "application/json"),
        *(kind or []),
        *credential,
        ("Accept-Encoding", "gzip, deflate"),
    ]
    if method != "GET":
        headers.append(("Content-Length", str(len(body))))
    return method, target, headers, body


@dataclass(frozen=True)
class Case:
    """A workflow with some inputs.

    :param inputs: as JSON text, so that the digits of numbers are the test's own.
    :param expected: requests in order; ``INVOICE`` stands for the id that the sandbox gave.
    """

    name: str
    document: str
    workflow: str
    sources: dict[str, str]
    warnings: list[str]
    inputs: str
    expected: list[Sent]
    amberflo: dict[str, Any] = field(default_factory=dict)
    stripe: dict[str, Any] = field(default_factory=dict)


LAUNCH = {
    "document": "amberflo-launch-usage-based-product-workflow.yml",
    "workflow": "launch-usage-based-product",
    "sources": {"meteringApi": METERING, "billingApi": BILLING},
    "warnings": ["operation-unqualified"] * 4,
}
TOP_UP = {
    "document": "amberflo-meter-usage-and-topup-prepaid-workflow.yml",
    "workflow": "meter-usage-and-topup-prepaid",
    "sources": {"meteringApi": METERING, "billingApi": BILLING},
    "warnings": ["operation-unqualified"] * 2,
    "amberflo": {
        "customers": [{"customerId": "c-1", "customerName": "A"}],
        "meters": [{"meterApiName": "calls", "displayName": "Calls", "type": "SUM_OF_ALL_USAGE"}],
    },
}
PROVISION = {
    "document": "amberflo-provision-customer-billing-workflow.yml",
    "workflow": "provision-customer-billing",
    "sources": {"billingApi": BILLING},
    "warnings": [],
}
SYNC = {
    "document": "fin-amberflo-customer-to-stripe-customer.yml",
    "workflow": "sync-customer-to-stripe",
    "sources": {"amberfloBillingApi": BILLING, "stripeCustomersApi": CUSTOMERS},
    "warnings": ["parameter-place"],
    "amberflo": {"customers": [{"customerId": "c/1 ü", "customerName": "Ä & Co"}]},
}
INVOICE: dict[str, Any] = {
    "document": "fin-amberflo-usage-to-stripe-invoice.yml",
    "workflow": "meter-usage-and-invoice",
    "sources": {"amberfloMeteringApi": METERING, "stripeInvoiceApi": INVOICES},
    "warnings": [],
    "amberflo": TOP_UP["amberflo"],
    "stripe": {
        "customers": [{"id": "cus_1", "name": "A"}],
        "invoiceitems": [{"customer": "cus_1", "amount": 1250, "currency": "usd"}],
    },
}

METER_BODY = b'{"meterApiName":"calls","displayName":"Calls","type":"SUM_OF_ALL_USAGE","dimensions":[]}'
PLAN_BODY = b'{"customerId":"c-1","productId":"p-1"}'

CASES = [
    Case(
        "launch, all inputs",
        inputs='{"meterApiName":"calls","displayName":"Calls","type":"SUM_OF_ALL_USAGE","customerId":"c-1",'
        '"customerName":"Zoë \\"Z\\" / Sons","customerEmail":"z@acme.example","productId":"p-1",'
        '"meterValue":10.10,"meterTimeInMillis":1718153645993.0}',
        expected=[
            sent("POST", "/meter-definition", METER_BODY, JSON),
            sent(
                "POST",
                "/customers",
                b'{"customerId":"c-1","customerName":"Zo\xc3\xab \\"Z\\" / Sons",'
                b'"customerEmail":"z@acme.example","lifecycleStage":"ACTIVE"}',
                JSON,
            ),
            sent("POST", "/payments-pricing-amberflo-customer-pricing", PLAN_BODY, JSON),
            sent(
                "POST",
                "/ingest",
                b'{"meterApiName":"calls","customerId":"c-1","meterValue":10.10,'
                b'"meterTimeInMillis":1718153645993}',
                JSON,
            ),
        ],
        **LAUNCH,
    ),
    Case(
        "launch, without optional inputs",
        inputs='{"meterApiName":"calls","displayName":"Calls","type":"SUM_OF_ALL_USAGE","customerId":"c-1",'
        '"customerName":"A","productId":"p-1","meterValue":3,"meterTimeInMillis":1718153645993}',
        expected=[
            sent("POST", "/meter-definition", METER_BODY, JSON),
            sent(
                "POST",
                "/customers",
                b'{"customerId":"c-1","customerName":"A","lifecycleStage":"ACTIVE"}',
                JSON,
            ),
            sent("POST", "/payments-pricing-amberflo-customer-pricing", PLAN_BODY, JSON),
            sent(
                "POST",
                "/ingest",
                b'{"meterApiName":"calls","customerId":"c-1","meterValue":3,"meterTimeInMillis":1718153645993}',
                JSON,
            ),
        ],
        **LAUNCH,
    ),
    Case(
        "top up, all inputs",
        inputs='{"meterApiName":"calls","customerId":"c-1","meterValue":0.1,"meterTimeInMillis":1718153645993,'
        '"uniqueId":"e-1","amount":250.00,"currency":"USD","expirationTime":1749686400000}',
        expected=[
            sent(
                "POST",
                "/ingest",
                b'{"meterApiName":"calls","customerId":"c-1","meterValue":0.1,'
                b'"meterTimeInMillis":1718153645993,"uniqueId":"e-1"}',
                JSON,
            ),
            sent(
                "POST",
                "/payments-pricing-amberflo-customer-prepaid",
                b'{"customerId":"c-1","amount":250.00,"currency":"USD","expirationTime":1749686400000}',
                JSON,
            ),
        ],
        **TOP_UP,
    ),
    Case(
        "top up, without optional inputs",
        inputs='{"meterApiName":"calls","customerId":"c-1","meterValue":2,"meterTimeInMillis":1718153645993,'
        '"amount":5}',
        expected=[
            sent(
                "POST",
                "/ingest",
                b'{"meterApiName":"calls","customerId":"c-1","meterValue":2,"meterTimeInMillis":1718153645993}',
                JSON,
            ),
            sent(
                "POST",
                "/payments-pricing-amberflo-customer-prepaid",
                b'{"customerId":"c-1","amount":5}',
                JSON,
            ),
        ],
        **TOP_UP,
    ),
    Case(
        "provision, all inputs",
        inputs='{"customerId":"c-1","customerName":"A","customerEmail":"a@acme.example","productId":"p-1",'
        '"amount":1e2,"currency":"EUR","expirationTime":1749686400000}',
        expected=[
            sent(
                "POST",
                "/customers",
                b'{"customerId":"c-1","customerName":"A","customerEmail":"a@acme.example",'
                b'"lifecycleStage":"ACTIVE"}',
                JSON,
            ),
            sent("POST", "/payments-pricing-amberflo-customer-pricing", PLAN_BODY, JSON),
            sent(
                "POST",
                "/payments-pricing-amberflo-customer-prepaid",
                b'{"customerId":"c-1","amount":100,"currency":"EUR","expirationTime":1749686400000}',
                JSON,
            ),
        ],
        **PROVISION,
    ),
    Case(
        "provision, without optional inputs",
        inputs='{"customerId":"c-1","customerName":"A","productId":"p-1","amount":0.10}',
        expected=[
            sent(
                "POST",
                "/customers",
                b'{"customerId":"c-1","customerName":"A","lifecycleStage":"ACTIVE"}',
                JSON,
            ),
            sent("POST", "/payments-pricing-amberflo-customer-pricing", PLAN_BODY, JSON),
            sent(
                "POST",
                "/payments-pricing-amberflo-customer-prepaid",
                b'{"customerId":"c-1","amount":0.10}',
                JSON,
            ),
        ],
        **PROVISION,
    ),
    Case(
        "sync, all inputs",
        inputs='{"amberfloCustomerId":"c/1 ü","customerEmail":"a+b@acme.example"}',
        expected=[
            sent("GET", "/customers/c%2F1%20%C3%BC"),
            sent(
                "POST",
                "/v1/customers",
                b"name=%C3%84+%26+Co&email=a%2Bb%40acme.example&metadata[amberflo_customer_id]=c%2F1+%C3%BC",
                FORM,
            ),
        ],
        **SYNC,
    ),
    Case(
        "sync, without optional inputs",
        inputs='{"amberfloCustomerId":"c/1 ü"}',
        expected=[
            sent("GET", "/customers/c%2F1%20%C3%BC"),
            sent(
                "POST",
                "/v1/customers",
                b"name=%C3%84+%26+Co&metadata[amberflo_customer_id]=c%2F1+%C3%BC",
                FORM,
            ),
        ],
        **SYNC,
    ),
    Case(
        "invoice, all inputs",
        inputs='{"meterApiName":"calls","customerId":"c-1","usageValue":250,"stripeCustomer":"cus_1",'
        '"invoiceId":"in_unused","amount":7,"currency":"usd"}',
        expected=[
            sent(
                "POST",
                "/ingest",
                b'[{"meterApiName":"calls","customerId":"c-1","meterValue":250,'
                b'"meterTimeInMillis":1717459200000}]',
                JSON,
            ),
            sent("POST", "/v1/invoices", b"customer=cus_1&currency=usd&auto_advance=false", FORM),
            sent("POST", "/v1/invoices/INVOICE/finalize"),
        ],
        **INVOICE,
    ),
    Case(
        "invoice, without optional inputs",
        inputs='{"meterApiName":"calls","customerId":"c-1","usageValue":0.5,"stripeCustomer":"cus_1"}',
        expected=[
            sent(
                "POST",
                "/ingest",
                b'[{"meterApiName":"calls","customerId":"c-1","meterValue":0.5,'
                b'"meterTimeInMillis":1717459200000}]',
                JSON,
            ),
            sent("POST", "/v1/invoices", b"customer=cus_1&auto_advance=false", FORM),
            sent("POST", "/v1/invoices/INVOICE/finalize"),
        ],
        **INVOICE,
    ),
]
BY_NAME = {case.name: case for case in CASES}


@dataclass(frozen=True)
class Outcome:
    status: int
    report: dict[str, Any]
    requests: list[Sent]
    effects: list[str]


def run(case: Case, folder: Path, capsys: pytest.CaptureFixture[str], **settings: Any) -> Outcome:
    """Run a workflow through the command line, against a sandbox of its own."""
    keys = {"amberflo_key": AMBERFLO_KEY, "stripe_key": STRIPE_KEY, "record_credentials": True}
    with running_sandbox(**keys, **settings) as sandbox:
        sandbox.seed(amberflo=case.amberflo, stripe=case.stripe)
        arguments = ["run", str(folder / case.document), case.workflow, "--inputs", case.inputs]
        for source, file in case.sources.items():
            key = STRIPE_KEY if source.startswith("stripe") else AMBERFLO_KEY
            connection = json.dumps({"conn_type": "arazzo", "host": sandbox.url, "password": key})
            arguments += ["--connection", f"{source}={connection}"]
            if folder is SEEDS:
                arguments += ["--source", f"{source}={REFERENCE / file}"]
        capsys.readouterr()
        status = main([*arguments, "--format", "json"])
        report = json.loads(capsys.readouterr().out, parse_float=Decimal)
        return Outcome(status, report, _received(sandbox), sandbox.kinds())


def _received(sandbox: RunningSandbox) -> list[Sent]:
    """What arrived, without host and user agent, and with a fixed word for the invoice's random id."""
    invoices = [effect["id"] for effect in sandbox.ledger(service="stripe") if effect["id"].startswith("in_")]
    requests = []
    for request in sandbox.requests():
        headers = [(n, v) for n, v in request["headers"] if n.lower() not in ("host", "user-agent")]
        target = request["target"]
        for invoice in invoices:
            target = target.replace(invoice, "INVOICE")
        requests.append((request["method"], target, headers, (request["body"] or "").encode()))
    return requests


@pytest.mark.parametrize("name", BY_NAME)
def test_the_verbatim_document_sends_exactly_these_bytes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = run(BY_NAME[name], SEEDS, capsys)
    assert (outcome.report["status"], outcome.report["error"], outcome.status) == ("succeeded", None, 0)
    assert outcome.requests == BY_NAME[name].expected
    assert not any(b"null" in body for _, _, _, body in outcome.requests)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_shipped_document_sends_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verbatim, shipped = (run(BY_NAME[name], folder, capsys) for folder in (SEEDS, SPECS))
    assert shipped.requests == verbatim.requests
    assert shipped.effects == verbatim.effects
    assert shipped.report["status"] == verbatim.report["status"] == "succeeded"


@pytest.mark.parametrize("case", {case.document: case for case in CASES}.values(), ids=lambda c: c.workflow)
def test_the_verbatim_document_compiles_with_exactly_these_warnings(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [
        part for name, file in case.sources.items() for part in ("--source", f"{name}={REFERENCE / file}")
    ]
    assert main(["check", str(SEEDS / case.document), "--format", "json", *sources]) == 0
    (checked,) = json.loads(capsys.readouterr().out)
    assert checked["ok"] is True
    assert checked["workflows"] == [case.workflow]
    found = sorted(d["code"] for d in checked["diagnostics"] if d["severity"] != "note")
    assert found == case.warnings
    assert {d["severity"] for d in checked["diagnostics"]} <= {"warning", "note"}


@pytest.mark.parametrize("folder", [SEEDS, SPECS], ids=["verbatim", "shipped"])
def test_an_invoice_with_the_pending_items_is_open(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(BY_NAME["invoice, all inputs"], folder, capsys, pending_items="include")
    assert outcome.status == 0
    assert outcome.report["outputs"]["ingestStatus"] == 200
    assert outcome.report["outputs"]["amountDue"] == 1250


@pytest.mark.parametrize("folder", [SEEDS, SPECS], ids=["verbatim", "shipped"])
def test_an_invoice_without_them_is_paid_at_once_and_fails_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = run(BY_NAME["invoice, all inputs"], folder, capsys, pending_items="exclude")
    assert outcome.status == 1
    error = outcome.report["error"]
    assert error["step"] == "finalize-invoice"
    assert "'paid' == 'open' is false" in error["message"]
    assert error["fate"] == "effect"
    assert outcome.requests == BY_NAME["invoice, all inputs"].expected
