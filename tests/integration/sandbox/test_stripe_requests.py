"""What every Stripe request passes: key, form, parameters."""

from __future__ import annotations

import base64

import pytest

FORM = "application/x-www-form-urlencoded"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_the_key_as_bearer_or_basic_user(client, sandbox):
    key = sandbox.stripe_key
    for value in (f"Bearer {key}", f"bearer {key}", basic(f"{key}:")):
        assert client.send("GET", "/v1/customers", None, [("Authorization", value)]).status == 200


@pytest.mark.parametrize(
    "make",
    [
        lambda key: "Bearer wrong",
        lambda key: "Bearer ",
        lambda key: f"Bearer {key}x",
        lambda key: key,
        lambda key: f"Token {key}",
        lambda key: basic("wrong:"),
        lambda key: basic(f"{key}:secret"),
        lambda key: basic(f":{key}"),
        lambda key: basic(key),
        lambda key: f"Basic {key}",
        lambda key: "Basic ???",
        None,
    ],
)
def test_other_credentials_are_401(client, sandbox, make):
    headers = [("Content-Type", FORM)]
    headers += [("Authorization", make(sandbox.stripe_key))] if make else []
    answer = client.send("POST", "/v1/customers", b"name=a", headers)
    assert answer.status == 401
    assert answer.error()["type"] == "invalid_request_error"
    assert answer.headers["Request-Id"].startswith("req_")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert sandbox.stripe_key not in answer.body.decode()
    assert sandbox.ledger() == []


def test_two_authorizations_are_none(client, sandbox):
    headers = [("Authorization", f"Bearer {sandbox.stripe_key}")] * 2
    assert client.send("GET", "/v1/customers", None, headers).status == 401


def test_request_ids_differ(client):
    first, second = (client.stripe("GET", "/v1/customers").headers["Request-Id"] for _ in range(2))
    assert first.startswith("req_")
    assert first != second


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_a_body_must_be_a_form(client, sandbox, content_type):
    headers = [("Authorization", f"Bearer {sandbox.stripe_key}")]
    headers += [("Content-Type", content_type)] if content_type else []
    answer = client.send("POST", "/v1/customers", b'{"name":"a"}', headers)
    assert (answer.status, answer.error()["type"]) == (400, "invalid_request_error")
    assert sandbox.ledger() == []


def test_no_body_needs_no_content_type(client):
    assert client.stripe("POST", "/v1/customers").status == 200


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ("colour=red", "parameter_unknown", "colour"),
        ("address[planet]=earth", "parameter_unknown", "address[planet]"),
        ("email=", "parameter_invalid_empty", "email"),
        ("name=", "parameter_invalid_empty", "name"),
        ("balance=1.5", "parameter_invalid_integer", "balance"),
        ("balance=ten", "parameter_invalid_integer", "balance"),
        ("balance=1e3", "parameter_invalid_integer", "balance"),
        ("balance=", "parameter_invalid_empty", "balance"),
        ("balance[a]=1", None, "balance"),
        ("metadata=x", None, "metadata"),
        ("metadata[a][b]=x", None, "metadata[a]"),
        ("address=x", None, "address"),
        ("preferred_locales=en", None, "preferred_locales"),
        ("preferred_locales[a]=en", None, "preferred_locales"),
        ("tax_exempt=maybe", None, "tax_exempt"),
        ("next_invoice_sequence=0", None, "next_invoice_sequence"),
        ("phone=123456789012345678901", None, "phone"),
        ("name=a&name[b]=c", None, "name[b]"),
        ("metadata[a=1", None, "metadata[a"),
        (f"metadata[{'k' * 41}]=v", None, f"metadata[{'k' * 41}]"),
        (f"metadata[k]={'v' * 501}", None, "metadata[k]"),
    ],
)
def test_wrong_parameters(client, sandbox, form, code, param):
    answer = client.stripe("POST", "/v1/customers", form)
    assert answer.status == 400
    error = answer.error()
    assert (error["type"], error.get("code"), error["param"]) == ("invalid_request_error", code, param)
    assert sandbox.ledger() == []


def test_the_message_for_an_unknown_parameter(client):
    answer = client.stripe("POST", "/v1/customers", "colour=red")
    assert answer.error()["message"] == "Received unknown parameter: colour"


@pytest.mark.parametrize("value", ["True", "False", "1", "yes", "TRUE"])
def test_booleans_are_lower_case_words(client, sandbox, value):
    sandbox.seed(stripe={"customers": [{"id": "cus_1"}]})
    answer = client.stripe("POST", "/v1/invoices", {"customer": "cus_1", "auto_advance": value})
    assert (answer.status, answer.error()["param"]) == (400, "auto_advance")


def test_missing_parameters(client):
    answer = client.stripe("POST", "/v1/invoiceitems", "amount=5&currency=usd")
    assert (answer.status, answer.error()["code"], answer.error()["param"]) == (
        400,
        "parameter_missing",
        "customer",
    )


@pytest.mark.parametrize(
    "form",
    [
        "name=a%20b&metadata[x]=1&metadata[y]=2&preferred_locales[]=en&preferred_locales[]=de",
        "metadata%5By%5D=2&metadata%5Bx%5D=1&name=a+b&preferred_locales[1]=de&preferred_locales[0]=en",
        "name=first&name=a%20b&metadata[y]=2&metadata[x]=1&preferred_locales[]=en&preferred_locales[]=de",
    ],
)
def test_ways_to_write_the_same_form(client, form):
    customer = client.stripe("POST", "/v1/customers", form).json()
    assert customer["name"] == "a b"
    assert customer["metadata"] == {"x": "1", "y": "2"}
    assert customer["preferred_locales"] == ["en", "de"]


def test_hashes_in_lists(client, sandbox):
    sandbox.seed(stripe={"customers": [{"id": "cus_1"}]})
    form = "customer=cus_1&custom_fields[0][name]=PO&custom_fields[0][value]=7"
    invoice = client.stripe("POST", "/v1/invoices", form).json()
    assert invoice["custom_fields"] == [{"name": "PO", "value": "7"}]
    answer = client.stripe("POST", "/v1/invoices", "customer=cus_1&custom_fields[0][name]=PO")
    assert answer.error()["param"] == "custom_fields[0][value]"


def test_broken_percent_encoding_is_refused(client):
    assert client.stripe("POST", "/v1/customers", "name=%FF").status == 400


def test_query_parameters_are_checked_too(client):
    assert client.stripe("GET", "/v1/customers?limit=0").status == 400
    assert client.stripe("GET", "/v1/customers?limit=101").status == 400
    assert client.stripe("GET", "/v1/customers?colour=red").error()["code"] == "parameter_unknown"
    assert client.stripe("POST", "/v1/customers?name=a").json()["name"] == "a"


def test_unknown_paths_and_methods_are_404(client):
    for method, path in (("GET", "/v1/nothing"), ("PUT", "/v1/customers"), ("DELETE", "/v1/customers")):
        answer = client.stripe(method, path)
        assert (answer.status, answer.error()["type"]) == (404, "invalid_request_error")
        assert answer.headers["Request-Id"]
