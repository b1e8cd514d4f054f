"""What the sandbox answers is what the published descriptions say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from sandbox import stripe_parameters

SPECS = Path(__file__).parents[3] / "specs" / "openapi"
METHODS = ("get", "put", "post", "delete", "patch")


def _as_json_schema(node):
    """OpenAPI 3.0 says nullable where JSON Schema says null."""
    if isinstance(node, list):
        return [_as_json_schema(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    copy = {name: _as_json_schema(entry) for name, entry in node.items()}
    if node.get("nullable") is True:
        copy.pop("nullable")
        return {"anyOf": [copy, {"type": "null"}]}
    return copy


@cache
def description(name):
    with (SPECS / name).open() as file:
        return _as_json_schema(yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def check(name, schema, value):
    document = description(name)
    root = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    jsonschema.Draft7Validator(root).validate(value)


BILLING = "amberflo-billing-openapi.yaml"
METERING = "amberflo-metering-openapi.yaml"
CUSTOMERS = "stripe-customers-api-openapi.yml"
INVOICES = "stripe-invoice-api-openapi.yml"


def test_amberflo_answers(client):
    customer = client.amberflo("POST", "/customers", {"customerId": "c", "customerName": "n"}).json()
    check(BILLING, "Customer", customer)
    order = client.amberflo(
        "POST", "/payments-pricing-amberflo-customer-prepaid", {"customerId": "c", "amount": 5}
    ).json()
    check(BILLING, "PrepaidOrder", order)
    plan = client.amberflo(
        "POST", "/payments-pricing-amberflo-customer-pricing", {"customerId": "c", "productId": "p"}
    ).json()
    check(BILLING, "PricingPlanAssignment", plan)
    body = {"meterApiName": "m", "displayName": "M", "type": "MAX_IN_PERIOD"}
    check(METERING, "MeterDefinition", client.amberflo("POST", "/meter-definition", body).json())
    check(METERING, "ErrorResponse", client.amberflo("POST", "/ingest", {}).json())
    check(BILLING, "ErrorResponse", client.amberflo("GET", "/customers/x").json())
    event = {"meterApiName": "m", "meterValue": 2, "meterTimeInMillis": 1_718_153_645_993}
    assert client.amberflo("POST", "/ingest", event).status == 200
    query = {
        "meterApiName": "m",
        "startTimeInSeconds": 1_718_000_000,
        "endTimeInSeconds": 1_719_000_000,
        "aggregation": "MAX",
        "timeGroupingInterval": "DAY",
    }
    usage = client.amberflo("POST", "/usage", query).json()
    assert usage["clientMeters"]["m"]
    check(METERING, "UsageQueryResponse", usage)


def test_stripe_answers(client):
    customer = client.stripe("POST", "/v1/customers", "name=a").json()
    check(CUSTOMERS, "customer", customer)
    form = {"customer": customer["id"], "amount": "5", "currency": "usd"}
    check(INVOICES, "invoiceitem", client.stripe("POST", "/v1/invoiceitems", form).json())
    invoice = client.stripe("POST", "/v1/invoices", {"customer": customer["id"]}).json()
    check(INVOICES, "invoice", invoice)
    assert invoice["lines"]["data"]
    check(INVOICES, "line_item", invoice["lines"]["data"][0])
    for action in ("finalize", "pay"):
        check(INVOICES, "invoice", client.stripe("POST", f"/v1/invoices/{invoice['id']}/{action}").json())
    check(INVOICES, "error", client.stripe("POST", "/v1/invoices", "x=y").json())


@pytest.mark.parametrize("name", [BILLING, METERING])
def test_all_of_amberflo_is_served(client, name):
    for path, operations in description(name)["paths"].items():
        for method in METHODS:
            if method in operations:
                target = path.replace("{customerId}", "x").replace("{meterApiName}", "x")
                answer = client.amberflo(method.upper(), target, {} if method in ("post", "put") else None)
                assert answer.status in (200, 400, 404), (method, path)
                assert answer.status != 404 or "There is no" in answer.json()["message"], (method, path)


OPERATIONS = {
    "/v1/customers": stripe_parameters.CREATE_CUSTOMER,
    "/v1/customers/{customer}": stripe_parameters.UPDATE_CUSTOMER,
    "/v1/invoices": stripe_parameters.CREATE_INVOICE,
    "/v1/invoices/{invoice}": stripe_parameters.UPDATE_INVOICE,
    "/v1/invoices/{invoice}/finalize": stripe_parameters.FINALIZE,
    "/v1/invoices/{invoice}/pay": stripe_parameters.PAY,
    "/v1/invoices/{invoice}/void": stripe_parameters.ONLY_EXPAND,
    "/v1/invoiceitems": stripe_parameters.CREATE_ITEM,
    "/v1/invoiceitems/{invoiceitem}": stripe_parameters.UPDATE_ITEM,
}


@pytest.mark.parametrize("name", [CUSTOMERS, INVOICES])
def test_stripe_takes_the_described_parameters(name):
    document = description(name)
    seen = 0
    for path, operations in document["paths"].items():
        if "post" in operations and "requestBody" in operations["post"]:
            schema = operations["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"][
                "schema"
            ]
            if "$ref" in schema:
                schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            taken = OPERATIONS[path]
            assert set(schema["properties"]) <= set(taken.fields), path
            assert set(taken.required) <= set(schema.get("required", [])) | {"customer"}, path
            assert set(schema.get("required", [])) <= set(taken.required), path
            seen += 1
    assert seen
