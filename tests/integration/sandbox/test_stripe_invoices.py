from __future__ import annotations

import pytest

ITEM = {"customer": "cus_1", "amount": "1250", "currency": "usd"}


@pytest.fixture(autouse=True)
def customers(sandbox):
    sandbox.seed(stripe={"customers": [{"id": "cus_1"}, {"id": "cus_2"}]})


def post(client, path, form=None, **more):
    answer = client.stripe("POST", path, {**(form or {}), **more})
    assert answer.status == 200, answer.body
    return answer.json()


def refused(client, path, form=None, status=400):
    answer = client.stripe("POST", path, form or {})
    assert answer.status == status, answer.body
    return answer.error()


def test_create_item(client, sandbox):
    item = post(client, "/v1/invoiceitems", ITEM, description="calls", **{"metadata[a]": "b"})
    assert item["id"].startswith("ii_")
    assert (item["object"], item["amount"], item["currency"]) == ("invoiceitem", 1250, "usd")
    assert (item["invoice"], item["quantity"], item["metadata"]) == (None, 1, {"a": "b"})
    assert client.stripe("GET", f"/v1/invoiceitems/{item['id']}").json() == item
    assert client.stripe("GET", f"/v1/Invoice%20Items/{item['id']}").json() == item
    [effect] = sandbox.ledger()
    assert (effect["kind"], effect["data"]) == ("stripe.invoiceitem.created", item)


@pytest.mark.parametrize(
    ("form", "amount"),
    [
        ({"unit_amount": "7", "quantity": "3"}, 21),
        ({"unit_amount_decimal": "0.5", "quantity": "3"}, 2),
        ({"unit_amount_decimal": "0.49"}, 0),
        ({"amount": "-5"}, -5),
        ({"price_data[currency]": "usd", "price_data[product]": "p", "price_data[unit_amount]": "9"}, 9),
    ],
)
def test_amounts_of_items(client, form, amount):
    assert post(client, "/v1/invoiceitems", form, customer="cus_1", currency="usd")["amount"] == amount


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ({"amount": "12.50", "currency": "usd"}, "parameter_invalid_integer", "amount"),
        ({"amount": "5"}, "parameter_missing", "currency"),
        ({"currency": "usd"}, "parameter_missing", "amount"),
        ({"amount": "5", "unit_amount": "5", "currency": "usd"}, "parameters_exclusive", "unit_amount"),
        ({"amount": "5", "quantity": "2", "currency": "usd"}, "parameters_exclusive", "quantity"),
        ({"amount": "5", "currency": "dollars"}, None, "currency"),
        ({"price": "price_1"}, "resource_missing", "price"),
        ({"amount": "5", "currency": "usd", "subscription": "sub_1"}, "resource_missing", "subscription"),
        ({"amount": "5", "currency": "usd", "invoice": "in_no"}, "resource_missing", "invoice"),
        ({"amount": "5", "currency": "usd", "customer": "cus_no"}, "resource_missing", "customer"),
    ],
)
def test_wrong_items(client, sandbox, form, code, param):
    error = refused(client, "/v1/invoiceitems", {"customer": "cus_1", **form})
    assert (error.get("code"), error["param"]) == (code, param)
    assert sandbox.ledger() == []


def test_update_and_delete_items(client, sandbox):
    item = post(client, "/v1/invoiceitems", ITEM)
    path = f"/v1/invoiceitems/{item['id']}"
    assert post(client, path, amount="300", description="new")["amount"] == 300
    assert post(client, path, quantity="2")["amount"] == 600
    assert client.stripe("DELETE", path).json() == {
        "id": item["id"],
        "object": "invoiceitem",
        "deleted": True,
    }
    assert client.stripe("GET", path).status == 404
    assert post(client, "/v1/invoices", customer="cus_1")["total"] == 0
    assert sandbox.kinds()[-2:] == ["stripe.invoiceitem.deleted", "stripe.invoice.created"]


def test_an_invoice_takes_pending_items_by_default(client, sandbox):
    first = post(client, "/v1/invoiceitems", ITEM)
    post(client, "/v1/invoiceitems", ITEM, amount="50", customer="cus_2")
    second = post(client, "/v1/invoiceitems", ITEM, amount="75")
    invoice = post(client, "/v1/invoices", customer="cus_1", auto_advance="false")
    assert (invoice["status"], invoice["currency"], invoice["auto_advance"]) == ("draft", "usd", False)
    assert (invoice["total"], invoice["amount_due"]) == (1325, 1325)
    lines = invoice["lines"]
    assert [line["invoice_item"] for line in lines["data"]] == [first["id"], second["id"]]
    assert (lines["total_count"], lines["has_more"]) == (2, False)
    assert client.stripe("GET", f"/v1/invoiceitems/{first['id']}").json()["invoice"] == invoice["id"]
    assert post(client, "/v1/invoices", customer="cus_1")["lines"]["data"] == []
    assert sandbox.ledger("stripe.invoice.created")[0]["data"] == invoice


@pytest.mark.parametrize(
    ("setting", "parameter", "total"),
    [
        ("include", None, 1250),
        ("exclude", None, 0),
        ("include", "exclude", 0),
        ("exclude", "include", 1250),
        ("exclude", "include_and_require", 1250),
    ],
)
def test_whether_pending_items_are_taken(client, sandbox, setting, parameter, total):
    sandbox.configure(pending_items=setting)
    post(client, "/v1/invoiceitems", ITEM)
    form = {"pending_invoice_items_behavior": parameter} if parameter else {}
    invoice = post(client, "/v1/invoices", form, customer="cus_1")
    assert invoice["total"] == total
    pending = client.stripe("GET", "/v1/invoiceitems?customer=cus_1&pending=true").json()["data"]
    assert len(pending) == (0 if total else 1)


def test_required_pending_items(client, sandbox):
    form = {"customer": "cus_1", "pending_invoice_items_behavior": "include_and_require"}
    assert refused(client, "/v1/invoices", form)["code"] == "invoice_no_customer_line_items"
    assert sandbox.ledger() == []


def test_only_items_in_the_invoices_currency_are_taken(client):
    post(client, "/v1/invoiceitems", ITEM)
    post(client, "/v1/invoiceitems", ITEM, currency="EUR", amount="7")
    assert post(client, "/v1/invoices", customer="cus_1", currency="eur")["total"] == 7
    assert post(client, "/v1/invoices", customer="cus_1")["total"] == 1250


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ({}, "parameter_missing", "customer"),
        ({"customer": ""}, "parameter_invalid_empty", "customer"),
        ({"customer": "cus_no"}, "resource_missing", "customer"),
        ({"customer": "cus_1", "currency": ""}, "parameter_invalid_empty", "currency"),
        ({"customer": "cus_1", "collection_method": "send_invoice"}, "parameter_missing", "days_until_due"),
        ({"customer": "cus_1", "days_until_due": "3"}, None, "days_until_due"),
        ({"customer": "cus_1", "collection_method": "mail"}, None, "collection_method"),
        ({"customer": "cus_1", "amount": "5"}, "parameter_unknown", "amount"),
    ],
)
def test_wrong_invoices(client, sandbox, form, code, param):
    error = refused(client, "/v1/invoices", form)
    assert (error.get("code"), error["param"]) == (code, param)
    assert sandbox.ledger() == []


def test_due_dates(client):
    invoice = post(
        client, "/v1/invoices", customer="cus_1", collection_method="send_invoice", days_until_due="30"
    )
    assert invoice["due_date"] - invoice["created"] == 30 * 86_400


def test_an_invoice_without_lines_finalizes_to_paid(client, sandbox):
    invoice = post(client, "/v1/invoices", customer="cus_1")
    final = post(client, f"/v1/invoices/{invoice['id']}/finalize")
    assert (final["status"], final["amount_due"], final["paid"]) == ("paid", 0, True)
    assert [e["data"]["status"] for e in sandbox.ledger(service="stripe")] == ["draft", "paid"]


def test_an_invoice_with_lines_finalizes_to_open(client, sandbox):
    post(client, "/v1/invoiceitems", ITEM)
    invoice = post(client, "/v1/invoices", customer="cus_1")
    assert invoice["number"] is None
    answer = client.stripe("POST", f"/v1/invoices/{invoice['id']}/finalize")
    final = answer.json()
    assert (answer.status, final["status"], final["amount_due"]) == (200, "open", 1250)
    assert (final["amount_remaining"], final["amount_paid"], final["paid"]) == (1250, 0, False)
    assert final["number"]
    assert final["status_transitions"]["finalized_at"] >= invoice["created"]
    assert sandbox.kinds()[-1] == "stripe.invoice.finalized"


def test_finalizing_can_turn_on_auto_advance(client):
    post(client, "/v1/invoiceitems", ITEM)
    invoice = post(client, "/v1/invoices", customer="cus_1", auto_advance="false")
    final = post(client, f"/v1/invoices/{invoice['id']}/finalize", auto_advance="true")
    assert (invoice["auto_advance"], final["auto_advance"]) == (False, True)


def test_an_invoice_holds_250_items(client, sandbox):
    sandbox.seed(stripe={"invoiceitems": [ITEM] * 251})
    invoice = post(client, "/v1/invoices", customer="cus_1")
    assert (invoice["lines"]["total_count"], invoice["total"]) == (250, 250 * 1250)
    assert refused(client, "/v1/invoiceitems", {**ITEM, "invoice": invoice["id"]})["param"] == "invoice"
    assert post(client, "/v1/invoices", customer="cus_1")["lines"]["total_count"] == 1


def test_finalizing_twice_is_refused(client, sandbox):
    invoice = post(client, "/v1/invoices", customer="cus_1")
    path = f"/v1/invoices/{invoice['id']}/finalize"
    post(client, path)
    assert refused(client, path)["code"] == "invoice_not_editable"
    assert sandbox.kinds().count("stripe.invoice.finalized") == 1
    assert refused(client, "/v1/invoices/in_no/finalize", status=404)["code"] == "resource_missing"


def opened(client):
    post(client, "/v1/invoiceitems", ITEM)
    invoice = post(client, "/v1/invoices", customer="cus_1")
    post(client, f"/v1/invoices/{invoice['id']}/finalize")
    return f"/v1/invoices/{invoice['id']}"


def test_pay(client, sandbox):
    path = opened(client)
    paid = post(client, f"{path}/pay")
    assert (paid["status"], paid["amount_paid"], paid["amount_remaining"]) == ("paid", 1250, 0)
    refused(client, f"{path}/pay")
    refused(client, f"{path}/void")
    assert sandbox.kinds().count("stripe.invoice.paid") == 1
    assert client.stripe("GET", "/v1/invoices?status=paid").json()["data"][0]["status"] == "paid"
    assert client.stripe("GET", "/v1/invoices?status=open").json()["data"] == []


def test_paying_a_draft_finalizes_it_first(client, sandbox):
    post(client, "/v1/invoiceitems", ITEM)
    invoice = post(client, "/v1/invoices", customer="cus_1")
    assert post(client, f"/v1/invoices/{invoice['id']}/pay", paid_out_of_band="true")["paid_out_of_band"]
    assert sandbox.kinds()[-2:] == ["stripe.invoice.finalized", "stripe.invoice.paid"]


def test_void_needs_an_open_invoice(client, sandbox):
    draft = post(client, "/v1/invoices", customer="cus_1")
    refused(client, f"/v1/invoices/{draft['id']}/void")
    path = opened(client)
    assert post(client, f"{path}/void")["status"] == "void"
    refused(client, f"{path}/void")
    refused(client, f"{path}/pay")
    assert sandbox.kinds().count("stripe.invoice.voided") == 1


def test_uncollectible_and_send(client, sandbox):
    path = opened(client)
    assert post(client, f"{path}/mark_uncollectible")["status"] == "uncollectible"
    refused(client, f"{path}/send")
    sent = post(
        client, "/v1/invoices", customer="cus_1", collection_method="send_invoice", days_until_due="1"
    )
    post(client, f"/v1/invoices/{sent['id']}/send")
    assert sandbox.kinds()[-4:] == [
        "stripe.invoice.marked_uncollectible",
        "stripe.invoice.created",
        "stripe.invoice.finalized",
        "stripe.invoice.sent",
    ]


def test_a_final_invoice_is_fixed(client):
    path = opened(client)
    assert refused(client, path, {"description": "x"})["code"] == "invoice_not_editable"
    assert post(client, path, {"metadata[a]": "b"})["metadata"] == {"a": "b"}
    error = refused(client, "/v1/invoiceitems", {**ITEM, "invoice": path.rpartition("/")[2]})
    assert error["code"] == "invoice_not_editable"
    [line] = client.stripe("GET", f"{path}/lines").json()["data"]
    assert refused(client, f"/v1/invoiceitems/{line['invoice_item']}", {"amount": "1"})
    assert client.stripe("DELETE", f"/v1/invoiceitems/{line['invoice_item']}").status == 400
    assert client.stripe("DELETE", path).status == 400
    assert client.stripe("GET", path).json()["total"] == 1250


def test_items_for_a_named_draft(client):
    draft = post(client, "/v1/invoices", customer="cus_1", currency="eur")
    post(client, "/v1/invoiceitems", customer="cus_1", amount="9", invoice=draft["id"])
    assert client.stripe("GET", f"/v1/invoices/{draft['id']}").json()["total"] == 9
    form = {**ITEM, "invoice": draft["id"]}
    assert refused(client, "/v1/invoiceitems", form)["param"] == "currency"
    form = {**ITEM, "invoice": draft["id"], "currency": "eur", "customer": "cus_2"}
    assert refused(client, "/v1/invoiceitems", form)["param"] == "invoice"


def test_deleting_a_draft_frees_its_items(client):
    post(client, "/v1/invoiceitems", ITEM)
    draft = post(client, "/v1/invoices", customer="cus_1")
    path = f"/v1/invoices/{draft['id']}"
    assert client.stripe("DELETE", path).json()["deleted"] is True
    assert client.stripe("GET", path).status == 404
    assert post(client, "/v1/invoices", customer="cus_1")["total"] == 1250


def test_many_lines_are_paged(client, sandbox):
    sandbox.seed(stripe={"invoiceitems": [{**ITEM, "amount": n} for n in range(12)]})
    invoice = post(client, "/v1/invoices", customer="cus_1")
    assert (invoice["total"], len(invoice["lines"]["data"]), invoice["lines"]["has_more"]) == (66, 10, True)
    path = f"/v1/invoices/{invoice['id']}/lines"
    first = client.stripe("GET", f"{path}?limit=5").json()
    assert ([line["amount"] for line in first["data"]], first["has_more"]) == ([0, 1, 2, 3, 4], True)
    last = client.stripe("GET", f"{path}?limit=8&starting_after={first['data'][-1]['id']}").json()
    assert ([line["amount"] for line in last["data"]], last["has_more"]) == ([5, 6, 7, 8, 9, 10, 11], False)
    back = client.stripe("GET", f"{path}?limit=2&ending_before={last['data'][0]['id']}").json()
    assert ([line["amount"] for line in back["data"]], back["has_more"]) == ([3, 4], True)


def test_lists_of_invoices_and_items(client):
    post(client, "/v1/invoiceitems", ITEM)
    one = post(client, "/v1/invoices", customer="cus_1")
    two = post(client, "/v1/invoices", customer="cus_2")
    listed = client.stripe("GET", "/v1/invoices").json()["data"]
    assert [invoice["id"] for invoice in listed] == [two["id"], one["id"]]
    assert listed[1]["total"] == 1250
    assert client.stripe("GET", "/v1/invoices?customer=cus_1&status=draft").json()["data"][0] == one
    assert client.stripe("GET", "/v1/invoices?customer=cus_1&status=open").json()["data"] == []
    items = client.stripe("GET", f"/v1/invoiceitems?invoice={one['id']}").json()["data"]
    assert [item["amount"] for item in items] == [1250]
    assert client.stripe("GET", "/v1/invoiceitems?pending=true").json()["data"] == []
