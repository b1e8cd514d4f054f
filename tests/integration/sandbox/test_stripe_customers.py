from __future__ import annotations

import pytest


def make(client, **form):
    answer = client.stripe("POST", "/v1/customers", form)
    assert answer.status == 200
    return answer.json()


def test_create_answers_200_with_the_customer(client, sandbox):
    customer = make(client, name="Acme", email="a@b.c", **{"metadata[amberflo_customer_id]": "c-1"})
    assert customer["id"].startswith("cus_")
    assert customer["object"] == "customer"
    assert (customer["name"], customer["email"]) == ("Acme", "a@b.c")
    assert customer["metadata"] == {"amberflo_customer_id": "c-1"}
    assert client.stripe("GET", f"/v1/customers/{customer['id']}").json() == customer
    [effect] = sandbox.ledger("stripe.customer.created")
    assert (effect["service"], effect["id"], effect["data"]) == ("stripe", customer["id"], customer)


def test_update_merges_metadata(client, sandbox):
    customer = make(client, name="A", **{"metadata[a]": "1", "metadata[b]": "2"})
    path = f"/v1/customers/{customer['id']}"
    changed = client.stripe("POST", path, "name=B&metadata[a]=&metadata[c]=3").json()
    assert (changed["name"], changed["metadata"]) == ("B", {"b": "2", "c": "3"})
    assert client.stripe("POST", path, "metadata=").json()["metadata"] == {}
    assert client.stripe("GET", path).json()["name"] == "B"
    assert sandbox.kinds() == ["stripe.customer.created"] + ["stripe.customer.updated"] * 2
    assert sandbox.ledger()[0]["data"] == customer


def test_missing_customers(client, sandbox):
    for method, form in (("GET", None), ("POST", "name=a"), ("DELETE", None)):
        answer = client.stripe(method, "/v1/customers/cus_no", form)
        assert (answer.status, answer.error()["code"], answer.error()["param"]) == (
            404,
            "resource_missing",
            "id",
        )
    assert sandbox.ledger() == []


def test_a_deleted_customer_can_be_read_but_not_billed(client, sandbox):
    customer = make(client, name="A")
    path = f"/v1/customers/{customer['id']}"
    rest = {"id": customer["id"], "object": "customer", "deleted": True}
    assert client.stripe("DELETE", path).json() == rest
    assert client.stripe("GET", path).json() == rest
    assert client.stripe("POST", path, "name=B").status == 404
    answer = client.stripe("POST", "/v1/invoices", {"customer": customer["id"]})
    assert (answer.status, answer.error()["code"]) == (400, "resource_missing")
    assert client.stripe("GET", "/v1/customers").json()["data"] == []
    assert sandbox.kinds()[-1] == "stripe.customer.deleted"


def test_pending_items_go_with_their_customer(client, sandbox):
    sandbox.seed(
        stripe={
            "customers": [{"id": "cus_1"}],
            "invoiceitems": [{"id": "ii_1", "customer": "cus_1", "amount": 5, "currency": "usd"}],
        }
    )
    assert client.stripe("GET", "/v1/invoiceitems/ii_1").status == 200
    client.stripe("DELETE", "/v1/customers/cus_1")
    assert client.stripe("GET", "/v1/invoiceitems/ii_1").status == 404


@pytest.fixture
def seven(sandbox):
    customers = [{"id": f"cus_{n}", "email": f"{n % 2}@b.c"} for n in range(7)]
    sandbox.seed(stripe={"customers": customers})


def ids(answer):
    assert answer.status == 200
    return [thing["id"] for thing in answer.json()["data"]], answer.json()["has_more"]


@pytest.mark.usefixtures("seven")
def test_lists_are_newest_first_and_paged(client):
    everything = client.stripe("GET", "/v1/customers")
    assert ids(everything) == ([f"cus_{n}" for n in (6, 5, 4, 3, 2, 1, 0)], False)
    assert everything.json()["url"] == "/v1/customers"
    assert ids(client.stripe("GET", "/v1/customers?limit=3")) == (["cus_6", "cus_5", "cus_4"], True)
    later = client.stripe("GET", "/v1/customers?limit=3&starting_after=cus_3")
    assert ids(later) == (["cus_2", "cus_1", "cus_0"], False)
    before = client.stripe("GET", "/v1/customers?limit=2&ending_before=cus_3")
    assert ids(before) == (["cus_5", "cus_4"], True)
    answer = client.stripe("GET", "/v1/customers?starting_after=cus_no")
    assert (answer.status, answer.error()["param"]) == (400, "starting_after")


@pytest.mark.usefixtures("seven")
def test_lists_by_email_follow_changes(client):
    by_email = "/v1/customers?email=1%40b.c"
    assert ids(client.stripe("GET", by_email)) == (["cus_5", "cus_3", "cus_1"], False)
    assert ids(client.stripe("GET", f"{by_email}&limit=1&starting_after=cus_5")) == (["cus_3"], True)
    client.stripe("POST", "/v1/customers/cus_3", "email=new%40b.c")
    client.stripe("DELETE", "/v1/customers/cus_5")
    assert ids(client.stripe("GET", by_email)) == (["cus_1"], False)
    assert ids(client.stripe("GET", "/v1/customers?email=none%40b.c")) == ([], False)


def test_lists_by_creation(client, sandbox):
    old = make(client)
    sandbox.configure(clock_offset=1000)
    new = make(client)
    bound = old["created"] + 500
    assert ids(client.stripe("GET", f"/v1/customers?created[gt]={bound}"))[0] == [new["id"]]
    assert ids(client.stripe("GET", f"/v1/customers?created[lte]={bound}"))[0] == [old["id"]]
    assert ids(client.stripe("GET", f"/v1/customers?created={old['created']}"))[0] == [old["id"]]
    assert client.stripe("GET", "/v1/customers?created[gt]=x").status == 400
