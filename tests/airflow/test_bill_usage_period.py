"""The workflow that bills a period: what it sends, and what comes of interruptions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from sandbox.testing import RunningSandbox, running_sandbox

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "specs" / "arazzo" / "bill-usage-period.yml"
JANUARY = {
    "customerId": "acme",
    "stripeCustomer": "cus_acme",
    "meterApiName": "seats",
    "usage": 12.5,
    "amount": 4210,
    "currency": "usd",
    "meterTimeInMillis": 1767225600000,
    "periodStart": 1767225600,
    "periodEnd": 1769904000,
    "description": "Seats in January",
}
SEEDS: dict[str, Any] = {
    "amberflo": {
        "customers": [{"customerId": "acme", "customerName": "Acme"}],
        "meters": [{"meterApiName": "seats", "displayName": "Seats", "type": "SUM_OF_ALL_USAGE"}],
    },
    "stripe": {
        "customers": [{"id": "cus_acme"}],
        # It waits for the next invoice that takes such; this workflow's are not of them.
        "invoiceitems": [{"customer": "cus_acme", "amount": 99, "currency": "usd"}],
    },
}
KINDS = [
    "amberflo.event.ingested",
    "stripe.invoice.created",
    "stripe.invoiceitem.created",
    "stripe.invoice.finalized",
]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(pending_items="include") as running:
        running.seed(**SEEDS)
        yield running


@pytest.fixture
def bill(dag_file: Any, run_dag: Any, sandbox: RunningSandbox) -> Any:
    """Run the workflow, its pauses cut short."""
    text = DOCUMENT.read_text()
    for seconds in ("5", "10"):
        text = text.replace(f"retryAfter: {seconds}\n", "retryAfter: 0.1\n")
    text = text.replace("../openapi", str(ROOT / "specs" / "openapi"))

    def run(**inputs: Any) -> Any:
        dag = dag_file(
            "bill",
            f"from airflow_arazzo import ArazzoDag\n"
            f"import pathlib, tempfile\n"
            f"path = pathlib.Path(tempfile.mkdtemp()) / 'bill-usage-period.yml'\n"
            f"path.write_text({text!r})\n"
            f"dag = ArazzoDag(str(path), dag_id='bill')\n",
        ).dag
        keys = {"amberflo": sandbox.amberflo_key, "stripe": sandbox.stripe_key}
        connections = {
            name: {"conn_type": "arazzo", "host": sandbox.url, "password": key} for name, key in keys.items()
        }
        return run_dag(dag, {**JANUARY, **inputs}, connections=connections)

    return run


def test_what_it_sends(bill: Any, sandbox: RunningSandbox) -> None:
    ran = bill()
    assert ran.state == "success", ran.log
    assert sandbox.kinds() == KINDS
    event, usage, draft, line, final, read = sandbox.requests()
    unique = event["body"].partition('"uniqueId":"')[2].partition('"')[0]
    assert len(unique) > 20
    assert event["body"].replace(unique, "…") == (
        '{"meterApiName":"seats","customerId":"acme","meterValue":12.5,"meterTimeInMillis":1767225600000,'
        '"uniqueId":"…"}'
    )
    assert usage["body"] == (
        '{"meterApiName":"seats","startTimeInSeconds":1767225600,"endTimeInSeconds":1769904000,'
        '"timeGroupingInterval":"MONTH","aggregation":"SUM","groupBy":["customerId"],"customerFilter":["acme"]}'
    )
    assert draft["body"] == (
        "customer=cus_acme&currency=usd&auto_advance=false&pending_invoice_items_behavior=exclude"
        "&metadata[customerId]=acme&metadata[periodStart]=1767225600&metadata[periodEnd]=1769904000"
    )
    sent = parse_qs(line["body"])
    assert (sent["amount"], sent["description"]) == (["4210"], ["Seats in January"])
    assert (sent["period[start]"], sent["period[end]"]) == (["1767225600"], ["1769904000"])
    keys = [request["idempotency_key"] for request in (draft, line, final)]
    assert None not in keys
    assert len(set(keys)) == 3
    assert read["method"] == "GET"
    outputs = ran.xcoms()["confirm-invoice", "workflow_outputs"]
    assert (outputs["status"], outputs["amountDue"]) == ("open", 4210)


@pytest.mark.parametrize("path", ["/ingest", "/v1/invoices", "/v1/invoiceitems", "/v1/invoices/*/finalize"])
def test_an_error_after_the_effect(bill: Any, sandbox: RunningSandbox, path: str) -> None:
    """The document asks again, with the same key, and the service knows it."""
    sandbox.add_fault("error", when="after", status=500, path=path, method="POST", times=1)
    ran = bill()
    assert ran.state == "success", ran.log
    assert sandbox.kinds() == KINDS
    assert len(sandbox.requests()) == 7


def test_usage_that_counts_late(bill: Any, sandbox: RunningSandbox) -> None:
    """Nothing is invoiced before the usage counts."""
    sandbox.add_fault("error", when="before", status=503, path="/usage", times=3)
    ran = bill()
    assert ran.state == "success", ran.log
    targets = [request["target"] for request in sandbox.requests()]
    assert targets[:6] == ["/ingest", *4 * ["/usage"], "/v1/invoices"]


def test_an_invoice_that_somebody_else_has_finalized(bill: Any, sandbox: RunningSandbox) -> None:
    """Stripe refuses; the invoice is what was asked for, so the run succeeds."""
    sandbox.add_fault("error", when="after", status=400, path="/v1/invoices/*/finalize", times=1)
    ran = bill()
    assert ran.state == "success", ran.log
    assert sandbox.kinds() == KINDS
    assert ran.xcoms()["confirm-invoice", "workflow_outputs"]["status"] == "open"


def test_a_refused_draft(bill: Any, sandbox: RunningSandbox) -> None:
    """Where Stripe does not know the customer, there is no invoice, and the run says so."""
    ran = bill(stripeCustomer="cus_unknown")
    assert ran.state == "failed"
    assert sandbox.kinds() == KINDS[:1]
    assert "No such customer" in ran.log or "400" in ran.log
