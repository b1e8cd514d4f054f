"""The shipped overlay of the invoice workflow: bytes on the wire with it and without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli.main import main
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.options import Options
from sandbox.testing import RunningSandbox, running_sandbox

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "specs" / "arazzo" / "fin-amberflo-usage-to-stripe-invoice.yml"
OVERLAY = REPOSITORY / "specs" / "overlays" / "fin-amberflo-usage-to-stripe-invoice-period.yml"
WORKFLOW = "meter-usage-and-invoice"
SEEDS = {
    "amberflo": {
        "customers": [{"customerId": "acme", "customerName": "Acme"}],
        "meters": [{"meterApiName": "calls", "displayName": "Calls", "type": "SUM_OF_ALL_USAGE"}],
    },
    "stripe": {
        "customers": [{"id": "cus_1"}],
        "invoiceitems": [{"customer": "cus_1", "amount": 1250, "currency": "usd"}],
    },
}
INPUTS = {
    "meterApiName": "calls",
    "customerId": "acme",
    "usageValue": 10.10,
    "stripeCustomer": "cus_1",
    "currency": "usd",
}
MARCH = 1772319600000


def run(sandbox: RunningSandbox, inputs: dict[str, Any], *more: str) -> int:
    sandbox.seed(**SEEDS)
    keys = {"amberfloMeteringApi": sandbox.amberflo_key, "stripeInvoiceApi": sandbox.stripe_key}
    connections: list[str] = []
    for name, key in keys.items():
        fields = {"conn_type": "arazzo", "host": sandbox.url, "password": key}
        connections += ["--connection", f"{name}={json.dumps(fields)}"]
    arguments = [str(DOCUMENT), WORKFLOW, "--inputs", json.dumps(inputs), "--format", "json"]
    return main(["run", *arguments, *connections, *more])


def bodies(sandbox: RunningSandbox) -> list[str]:
    return [request["body"] for request in sandbox.requests()]


def test_without_the_overlay(capsys: pytest.CaptureFixture[str]) -> None:
    """The fixed time; and an account that leaves waiting items off gets an invoice with nothing on it."""
    with running_sandbox(pending_items="exclude") as sandbox:
        assert run(sandbox, INPUTS) == 1
        assert bodies(sandbox) == [
            '[{"meterApiName":"calls","customerId":"acme","meterValue":10.1,"meterTimeInMillis":1717459200000}]',
            "customer=cus_1&currency=usd&auto_advance=false",
            "",
        ]
        (invoice,) = sandbox.ledger("stripe.invoice.finalized")
    report = json.loads(capsys.readouterr().out)
    assert report["error"]["step"] == "finalize-invoice"
    assert invoice


@pytest.mark.parametrize("pending_items", ["include", "exclude"])
def test_with_the_overlay(capsys: pytest.CaptureFixture[str], pending_items: str) -> None:
    """The time that is given; and the same invoice whatever the account does by itself."""
    with running_sandbox(pending_items=pending_items) as sandbox:
        inputs = {**INPUTS, "meterTimeInMillis": MARCH}
        assert run(sandbox, inputs, "--overlay", str(OVERLAY)) == 0
        assert bodies(sandbox) == [
            f'[{{"meterApiName":"calls","customerId":"acme","meterValue":10.1,"meterTimeInMillis":{MARCH}}}]',
            "customer=cus_1&currency=usd&auto_advance=false&pending_invoice_items_behavior=include",
            "",
        ]
    assert json.loads(capsys.readouterr().out)["outputs"]["amountDue"] == 1250


def test_the_time_has_to_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    with running_sandbox() as sandbox:
        assert run(sandbox, INPUTS, "--overlay", str(OVERLAY)) == 1
        assert bodies(sandbox) == []
    assert "input 'meterTimeInMillis' is required" in capsys.readouterr().out


def test_the_overlay_adds_no_warning() -> None:
    """And takes away the note about the fixed time."""
    codes = [
        {diagnostic.code for diagnostic in compile_workflow(DOCUMENT, "", options)[0].diagnostics}
        for options in (Options(), Options(overlays=(OVERLAY,)))
    ]
    assert codes[0] - codes[1] == {"literal-timestamp"}
    assert codes[1] - codes[0] == set()
