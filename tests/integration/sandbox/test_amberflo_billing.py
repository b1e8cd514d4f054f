from __future__ import annotations

from decimal import Decimal

import pytest

CUSTOMER = {"customerId": "c-1", "customerName": "Acme"}
PREPAID = "/payments-pricing-amberflo-customer-prepaid"
PLAN = "/payments-pricing-amberflo-customer-pricing"
INVOICES = "/payments-billing-customer-product-invoice"


@pytest.mark.parametrize("key", [None, "", "wrong", "prefix"])
def test_every_request_needs_the_key(client, sandbox, key):
    if key == "prefix":
        key = sandbox.amberflo_key[:-1]
    headers = [("Content-Type", "application/json")] + ([("X-API-KEY", key)] if key is not None else [])
    answer = client.send("POST", "/customers", b'{"customerId":"c","customerName":"n"}', headers)
    assert answer.status == 401
    assert answer.json()["code"] == "UNAUTHORIZED"
    assert set(answer.json()) <= {"message", "code", "details"}
    assert sandbox.ledger() == []


def test_two_keys_are_none(client, sandbox):
    headers = [("X-API-KEY", sandbox.amberflo_key), ("X-API-KEY", "other")]
    assert client.send("GET", "/customers", None, headers).status == 401


def test_the_stripe_key_does_not_open_amberflo(client, sandbox):
    headers = [("X-API-KEY", sandbox.stripe_key)]
    assert client.send("GET", "/customers", None, headers).status == 401


def test_create_customer_answers_200_with_times(client, sandbox):
    body = {**CUSTOMER, "customerEmail": "a@b.c", "lifecycleStage": "ACTIVE", "traits": {"a": "b"}}
    answer = client.amberflo("POST", "/customers", body)
    assert answer.status == 200
    assert answer.headers.get_content_type() == "application/json"
    created = answer.json()
    assert created == {**body, "createTime": created["createTime"], "updateTime": created["createTime"]}
    assert created["createTime"] > 1_700_000_000_000
    assert client.amberflo("GET", "/customers/c-1").json() == created
    assert client.amberflo("GET", "/customers").json() == [created]
    [effect] = sandbox.ledger("amberflo.customer.created")
    assert (effect["id"], effect["data"]) == ("c-1", created)


def test_a_taken_identifier_is_refused_without_effect(client, sandbox):
    client.amberflo("POST", "/customers", CUSTOMER)
    answer = client.amberflo("POST", "/customers", {**CUSTOMER, "customerName": "Other"})
    assert (answer.status, answer.json()["code"]) == (400, "DUPLICATE")
    assert client.amberflo("GET", "/customers/c-1").json()["customerName"] == "Acme"
    assert len(sandbox.ledger()) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"customerId": None}, "customerId"),
        ({"customerName": None}, "customerName"),
        ({"customerEmail": None}, "customerEmail"),
        ({"customerEmail": "nobody"}, "customerEmail"),
        ({"customerId": 7}, "customerId"),
        ({"customerId": ""}, "customerId"),
        ({"test": "true"}, "test"),
        ({"lifecycleStage": "active"}, "lifecycleStage"),
        ({"traits": {"a": 1}}, "traits.a"),
        ({"address": {"line1": "x", "city": "y"}}, "country"),
        ({"address": []}, "address"),
    ],
)
def test_wrong_fields_of_a_customer_are_refused(client, sandbox, change, named):
    answer = client.amberflo("POST", "/customers", {**CUSTOMER, **change})
    assert answer.status == 400
    assert named in answer.json()["message"]
    assert sandbox.ledger() == []


@pytest.mark.parametrize("missing", ["customerId", "customerName"])
def test_required_fields_of_a_customer(client, missing):
    body = {name: value for name, value in CUSTOMER.items() if name != missing}
    answer = client.amberflo("POST", "/customers", body)
    assert answer.status == 400
    assert missing in answer.json()["message"]


def test_unknown_fields_are_ignored(client):
    answer = client.amberflo("POST", "/customers", {**CUSTOMER, "colour": None})
    assert answer.status == 200
    assert "colour" not in answer.json()


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[1", b'"text"', b"null", b'{"a":NaN}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_body_that_is_not_a_json_object_is_refused(client, raw):
    answer = client.amberflo("POST", "/customers", raw=raw)
    assert answer.status == 400
    assert answer.json()["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_other_content_types_are_refused(client, sandbox, content_type):
    headers = [("X-API-KEY", sandbox.amberflo_key)]
    headers += [("Content-Type", content_type)] if content_type else []
    answer = client.send("POST", "/customers", b'{"customerId":"c","customerName":"n"}', headers)
    assert (answer.status, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert sandbox.ledger() == []


def test_a_charset_in_the_content_type_is_accepted(client, sandbox):
    headers = [("X-API-KEY", sandbox.amberflo_key), ("Content-Type", "Application/JSON; charset=utf-8")]
    body = '{"customerId":"c","customerName":"Zoë"}'.encode()
    assert client.send("POST", "/customers", body, headers).json()["customerName"] == "Zoë"


def test_auto_create_in_stripe_takes_one_value(client):
    target = "/customers?autoCreateCustomerInStripe="
    assert client.amberflo("POST", target + "if_payment_provider", CUSTOMER).status == 200
    assert client.amberflo("POST", target + "yes", {**CUSTOMER, "customerId": "c-2"}).status == 400


def test_update_replaces_and_keeps_the_creation_time(client, sandbox):
    created = client.amberflo("POST", "/customers", {**CUSTOMER, "description": "old"}).json()
    sandbox.configure(clock_offset=60)
    answer = client.amberflo("PUT", "/customers", {**CUSTOMER, "customerName": "New", "createTime": 1})
    assert answer.status == 200
    assert answer.json()["createTime"] == created["createTime"]
    assert answer.json()["updateTime"] >= created["updateTime"] + 60_000
    assert answer.json()["customerName"] == "New"
    assert "description" not in client.amberflo("GET", "/customers/c-1").json()
    assert sandbox.kinds() == ["amberflo.customer.created", "amberflo.customer.updated"]
    assert sandbox.ledger()[0]["data"]["customerName"] == "Acme"


def test_updating_nobody_is_refused(client, sandbox):
    assert client.amberflo("PUT", "/customers", CUSTOMER).status == 400
    assert sandbox.ledger() == []


def test_delete_frees_the_identifier(client, sandbox):
    client.amberflo("POST", "/customers", CUSTOMER)
    answer = client.amberflo("DELETE", "/customers/c-1")
    assert (answer.status, answer.body) == (200, b"")
    assert client.amberflo("GET", "/customers/c-1").status == 404
    assert client.amberflo("DELETE", "/customers/c-1").json()["code"] == "NOT_FOUND"
    assert client.amberflo("POST", "/customers", CUSTOMER).status == 200
    assert len(sandbox.ledger("amberflo.customer.deleted")) == 1


def test_identifiers_in_paths_are_percent_decoded(client):
    client.amberflo("POST", "/customers", {**CUSTOMER, "customerId": "a/b c%"})
    assert client.amberflo("GET", "/customers/a%2Fb%20c%25").json()["customerId"] == "a/b c%"


def test_assign_plan(client, sandbox):
    client.amberflo("POST", "/customers", CUSTOMER)
    answer = client.amberflo("POST", PLAN, {"customerId": "c-1", "productId": "p-1", "startTime": 5})
    assert (answer.status, answer.json()) == (
        200,
        {"customerId": "c-1", "productId": "p-1", "startTime": 5},
    )
    [effect] = sandbox.ledger("amberflo.plan.assigned")
    assert effect["data"] == answer.json()


@pytest.mark.parametrize(
    "body",
    [
        {"customerId": "nobody", "productId": "p"},
        {"customerId": "c-1"},
        {"productId": "p"},
        {"customerId": "c-1", "productId": None},
        {"customerId": "c-1", "productId": "p", "startTime": "5"},
        {"customerId": "c-1", "productId": "p", "startTime": 5.0},
    ],
)
def test_wrong_assignments_are_refused(client, sandbox, body):
    client.amberflo("POST", "/customers", CUSTOMER)
    assert client.amberflo("POST", PLAN, body).status == 400
    assert sandbox.ledger("amberflo.plan.assigned") == []


def test_products_can_be_made_to_matter(client, sandbox):
    sandbox.seed(amberflo={"customers": [CUSTOMER], "products": [{"productId": "p-1"}]})
    sandbox.configure(unknown_products="refuse")
    assert client.amberflo("POST", PLAN, {"customerId": "c-1", "productId": "p-1"}).status == 200
    assert client.amberflo("POST", PLAN, {"customerId": "c-1", "productId": "p-2"}).status == 400


def test_prepaid_amounts_keep_their_digits(client, sandbox):
    client.amberflo("POST", "/customers", CUSTOMER)
    raw = b'{"customerId":"c-1","amount":90071992547409.930,"expirationTime":1749686400000}'
    answer = client.amberflo("POST", PREPAID, raw=raw)
    assert answer.status == 200
    assert b'"amount":90071992547409.930,' in answer.body
    order = answer.json()
    assert order["currency"] == "USD"
    assert order["expirationTime"] == 1749686400000
    [effect] = sandbox.ledger("amberflo.prepaid.created")
    assert (effect["id"], str(effect["data"]["amount"])) == (order["orderId"], "90071992547409.930")


def test_two_equal_orders_are_two_effects(client, sandbox):
    client.amberflo("POST", "/customers", CUSTOMER)
    body = {"customerId": "c-1", "amount": 5, "currency": "EUR"}
    first, second = (client.amberflo("POST", PREPAID, body).json() for _ in range(2))
    assert first["orderId"] != second["orderId"]
    assert [e["data"]["amount"] for e in sandbox.ledger("amberflo.prepaid.created")] == [Decimal(5)] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"customerId": "nobody"},
        {"amount": "5"},
        {"amount": None},
        {"amount": True},
        {"amount": 0},
        {"amount": -1},
        {"currency": None},
        {"expirationTime": None},
        {"expirationTime": 2**63},
    ],
)
def test_wrong_orders_are_refused(client, sandbox, change):
    client.amberflo("POST", "/customers", CUSTOMER)
    body = {"customerId": "c-1", "amount": 5, **change}
    assert client.amberflo("POST", PREPAID, body).status == 400
    assert sandbox.ledger("amberflo.prepaid.created") == []


def test_invoices_are_the_seeded_ones(client, sandbox):
    seed = {"customerId": "c-1", "invoiceId": "inv-1", "totalAmount": 99.5, "status": "PAID"}
    sandbox.seed(amberflo={"invoices": [seed]})
    assert client.amberflo("GET", f"{INVOICES}?customerId=c-1").json() == [seed]
    assert client.amberflo("GET", f"{INVOICES}?customerId=c-2").json() == []
    assert client.amberflo("GET", INVOICES).status == 400


def test_unknown_paths_and_methods_answer_in_amberflos_form(client, sandbox):
    assert client.amberflo("GET", "/nothing").json()["code"] == "NOT_FOUND"
    answer = client.amberflo("PATCH", "/customers", CUSTOMER)
    assert (answer.status, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert client.send("GET", "/nothing").status == 401
