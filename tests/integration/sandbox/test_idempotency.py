from __future__ import annotations

import threading
import time

import pytest

from sandbox.idempotency import Kept, KeyStore


@pytest.fixture(autouse=True)
def customer(sandbox):
    sandbox.seed(stripe={"customers": [{"id": "cus_1"}]})


ITEM = {"customer": "cus_1", "amount": "5", "currency": "usd"}


def test_the_first_answer_is_replayed(client, sandbox):
    first = client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    again = client.stripe("POST", "/v1/invoiceitems", "currency=usd&amount=5&customer=%63us_1", key="k")
    assert (again.status, again.body) == (200, first.body)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert len(sandbox.ledger()) == 1
    assert sandbox.ledger()[0]["request"]["idempotency_key"] == "k"
    assert [r["replayed"] for r in sandbox.requests()] == [False, True]


def test_without_a_key_everything_is_new(client, sandbox):
    for _ in range(2):
        client.stripe("POST", "/v1/invoiceitems", ITEM)
    assert len(sandbox.ledger()) == 2


@pytest.mark.parametrize(
    ("path", "form"),
    [("/v1/invoiceitems", {**ITEM, "amount": "6"}), ("/v1/customers", {}), ("/v1/invoices", ITEM)],
)
def test_another_request_with_the_same_key_is_refused(client, sandbox, path, form):
    client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    answer = client.stripe("POST", path, form, key="k")
    assert (answer.status, answer.error()["type"]) == (400, "idempotency_error")
    assert len(sandbox.ledger()) == 1


def test_wrong_parameters_are_not_kept(client, sandbox):
    wrong = client.stripe("POST", "/v1/invoiceitems", {**ITEM, "amount": "x"}, key="k")
    assert wrong.status == 400
    exclusive = client.stripe("POST", "/v1/invoiceitems", {**ITEM, "quantity": "2"}, key="k")
    assert exclusive.error()["code"] == "parameters_exclusive"
    right = client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    assert (right.status, right.headers.get("Idempotent-Replayed")) == (200, None)
    assert len(sandbox.ledger()) == 1


def test_a_refusal_by_the_operation_is_kept(client, sandbox):
    form = {**ITEM, "customer": "cus_2"}
    first = client.stripe("POST", "/v1/invoiceitems", form, key="k")
    assert first.error()["code"] == "resource_missing"
    sandbox.seed(stripe={"customers": [{"id": "cus_2"}]})
    again = client.stripe("POST", "/v1/invoiceitems", form, key="k")
    assert (again.status, again.body) == (400, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert client.stripe("POST", "/v1/invoiceitems", form, key="other").status == 200


@pytest.mark.parametrize(("effect", "effects"), [(True, 1), (False, 0)])
def test_a_500_is_kept(client, sandbox, effect, effects):
    sandbox.add_fault("error", when="inside", effect=effect, times=1)
    first = client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    again = client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    assert (first.status, again.status) == (500, 500)
    assert first.error()["type"] == "api_error"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(sandbox.ledger()) == effects


def test_a_key_expires(client, sandbox):
    sandbox.configure(stripe_key_lifetime=3600)
    client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    sandbox.configure(clock_offset=3590)
    client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    assert len(sandbox.ledger()) == 1
    sandbox.configure(clock_offset=3600)
    client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    assert len(sandbox.ledger()) == 2


def test_keys_live_a_day_by_default(client, sandbox):
    client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    sandbox.configure(clock_offset=86_400 - 60)
    assert client.stripe("POST", "/v1/invoiceitems", ITEM, key="k").headers["Idempotent-Replayed"]
    sandbox.configure(clock_offset=86_401)
    client.stripe("POST", "/v1/invoiceitems", {**ITEM, "amount": "9"}, key="k")
    assert len(sandbox.ledger()) == 2


@pytest.mark.parametrize("lifetime", [86_400, 0])
def test_a_key_in_use_is_409(client, sandbox, lifetime):
    sandbox.configure(stripe_key_lifetime=lifetime)
    sandbox.add_fault("delay", when="inside", seconds=0.6, times=1)
    answers = []
    slow = threading.Thread(
        target=lambda: answers.append(client.stripe("POST", "/v1/invoiceitems", ITEM, key="k"))
    )
    slow.start()
    time.sleep(0.2)
    during = client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    slow.join()
    assert (during.status, during.error()["code"]) == (409, "idempotency_key_in_use")
    assert answers[0].status == 200
    after = client.stripe("POST", "/v1/invoiceitems", ITEM, key="k")
    assert (after.body == answers[0].body) == (lifetime > 0)
    assert len(sandbox.ledger()) == (1 if lifetime else 2)


def test_impossible_keys_are_refused(client, sandbox):
    assert client.stripe("POST", "/v1/invoiceitems", ITEM, key="k" * 256).status == 400
    assert client.stripe("POST", "/v1/invoiceitems", ITEM, key="").status == 400
    assert sandbox.ledger() == []
    assert client.stripe("POST", "/v1/invoiceitems", ITEM, key="k" * 255).status == 200


def test_keys_mean_nothing_for_get_and_delete(client):
    item = client.stripe("POST", "/v1/invoiceitems", ITEM, key="k").json()
    assert client.stripe("GET", f"/v1/invoiceitems/{item['id']}", key="k").status == 200
    assert client.stripe("DELETE", f"/v1/invoiceitems/{item['id']}", key="k").status == 200


def test_expired_keys_are_dropped_as_others_come():
    store: KeyStore[str] = KeyStore()
    for second in range(1000):
        store.claim(f"k{second}", Kept("POST /", "{}", float(second), "answer"), 10.0)
    assert len(store) == 10
    assert store.find("k989", 999.0, 10.0) is None
    assert store.find("k990", 999.0, 10.0) is not None
