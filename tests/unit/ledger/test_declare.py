"""Declarations: what a deployment says of its services."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_arazzo.ledger.declare import declare
from airflow_arazzo.plan.codec import decode_plan, encode_plan
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.declaration import REPEATABLE
from airflow_arazzo.plan.model import Body, Idempotency, OperationCall, Plan, Source, Step, Workflow
from airflow_arazzo.plan.options import Options

SPECS = Path(__file__).resolve().parents[3] / "specs"
KEY = Idempotency("header", "Idempotency-Key", 82800.0)
UNIQUE = Idempotency("body", "uniqueId")


def call(source: str, operation: str, method: str = "POST", kind: str = "application/json") -> OperationCall:
    body = Body(kind, {}) if kind else None
    return OperationCall(source, operation, method, "/x", body=body)


def plan() -> Plan:
    inner = Workflow(
        "inner", (Step("e", call("amberflo", "ingest")), Step("f", call("stripe", "PUT /x", "PUT")))
    )
    outer = Workflow(
        "outer",
        (
            Step("a", call("amberflo", "ingest")),
            Step("b", call("amberflo", "get", "GET", "")),
            Step("c", call("amberflo", "order", kind="application/x-www-form-urlencoded")),
            Step("d", call("stripe", "postInvoices", kind="application/x-www-form-urlencoded")),
        ),
    )
    sources = {"amberflo": Source("amberflo"), "stripe": Source("stripe")}
    return Plan("outer", {"outer": outer, "inner": inner}, sources, digest="old")


def keys(declared: Plan) -> dict[str, Idempotency | None]:
    steps = [step for workflow in declared.workflows.values() for step in workflow.steps]
    return {s.id: s.call.idempotency for s in steps if isinstance(s.call, OperationCall)}


NOTHING = dict.fromkeys("abcdef")


@pytest.mark.parametrize(
    ("declarations", "expected"),
    [
        ({}, {}),
        ({"stripe": {"header": "Idempotency-Key", "lifetime": 82800}}, {"d": KEY, "f": KEY}),
        ({"stripe.postInvoices": {"header": "Idempotency-Key", "lifetime": 82800.0}}, {"d": KEY}),
        ({"stripe.PUT /x": {"header": "Idempotency-Key", "lifetime": 82800}}, {"f": KEY}),
        ({"amberflo": {"body": "uniqueId"}}, {"a": UNIQUE, "e": UNIQUE}),
        ({"amberflo.ingest": {"body": "uniqueId"}}, {"a": UNIQUE, "e": UNIQUE}),
        ({"amberflo": {"header": "K"}, "amberflo.ingest": None}, {"c": Idempotency("header", "K")}),
        (
            {"amberflo.ingest": {"body": "uniqueId"}, "amberflo": {"header": "K"}},
            {"a": UNIQUE, "e": UNIQUE, "c": Idempotency("header", "K")},
        ),
        ({"amberflo.order": {"repeatable": True}}, {"c": REPEATABLE}),
    ],
)
def test_who_is_declared(declarations: Any, expected: dict[str, Idempotency]) -> None:
    assert keys(declare(plan(), declarations)) == NOTHING | expected


def test_none_switches_off_what_the_document_declares() -> None:
    declared = declare(plan(), {"stripe": {"header": "K"}})
    assert keys(declare(declared, {"stripe": None})) == NOTHING
    assert keys(declare(declared, {"stripe.PUT /x": None})) == NOTHING | {"d": Idempotency("header", "K")}


@pytest.mark.parametrize(
    ("declarations", "said"),
    [
        ({"strip": {"header": "K"}}, "did you mean 'stripe'"),
        ({"amberflo.ingst": {"header": "K"}}, "did you mean 'amberflo.ingest'"),
        ({"amberflo.ingst": None}, "did you mean"),
        ({"ingest": {"header": "K"}}, "neither a source nor an operation"),
        ({"amberflo.get": {"header": "K"}}, "GET changes nothing"),
        ({"amberflo.order": {"body": "id"}}, "no JSON body"),
        ({"stripe": {"heder": "K"}}, "did you mean 'header'"),
        ({"stripe": {}}, "exactly one"),
        ({"stripe": {"header": "K", "body": "k"}}, "exactly one"),
        ({"stripe": {"header": ""}}, "must be a name"),
        ({"stripe": {"header": 1}}, "must be a name"),
        ({"stripe": {"header": "a b"}}, "no header"),
        ({"stripe": {"header": "Authorization"}}, "no header"),
        ({"stripe": {"repeatable": False}}, "is true"),
        ({"stripe": {"repeatable": True, "lifetime": 1}}, "without a 'lifetime'"),
        ({"stripe": "Idempotency-Key"}, "expected an object"),
        *(
            ({"stripe": {"header": "K", "lifetime": bad}}, "seconds above 0")
            for bad in (0, -1, True, "1", float("inf"), float("nan"))
        ),
    ],
)
def test_what_cannot_be(declarations: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        declare(plan(), declarations)


def test_the_digest_is_the_compilers() -> None:
    compiled, _ = compile_workflow(
        SPECS / "arazzo" / "fin-amberflo-usage-to-stripe-invoice.yml",
        options=Options(source_path=(SPECS / "openapi",)),
    )
    declared = declare(compiled, {"stripeInvoiceApi": {"header": "Idempotency-Key", "lifetime": 82800}})
    assert declared.digest != compiled.digest
    assert declare(declared, {"stripeInvoiceApi": None}).digest == compiled.digest
    bare = msgspec.structs.replace(declared, digest="", diagnostics=())
    assert declared.digest == hashlib.sha256(encode_plan(bare)).hexdigest()
    assert declared.diagnostics == compiled.diagnostics
    assert decode_plan(encode_plan(declared)) == declared
    assert declare(compiled, {}) is compiled
