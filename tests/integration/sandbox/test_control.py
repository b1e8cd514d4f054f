from __future__ import annotations

import socket
import threading
import time

import pytest

from sandbox.testing import running_sandbox

FORM = "application/x-www-form-urlencoded"
CUSTOMER = {"customerId": "c-1", "customerName": "Acme"}


def test_the_ledger_over_http(client, sandbox):
    client.amberflo("POST", "/customers", CUSTOMER)
    client.stripe("POST", "/v1/customers?name=a", "email=a%40b.c", key="k")
    ledger = client.control("GET", "ledger").json()
    assert [e.pop("data") for e in ledger] == [e["data"] for e in sandbox.ledger()]
    assert [(e["seq"], e["service"], e["kind"]) for e in ledger] == [
        (1, "amberflo", "amberflo.customer.created"),
        (2, "stripe", "stripe.customer.created"),
    ]
    request = ledger[1]["request"]
    assert (request["method"], request["target"]) == ("POST", "/v1/customers?name=a")
    assert (request["body"], request["idempotency_key"]) == ("email=a%40b.c", "k")
    assert request["headers"]["authorization"] == "***"
    assert ledger[0]["request"]["headers"]["x-api-key"] == "***"
    assert float(ledger[0]["at"]) == pytest.approx(time.time(), abs=60)
    for query, numbers in [
        ("service=stripe", [2]),
        ("service=amberflo", [1]),
        ("kind=amberflo.customer.created", [1]),
        ("kind=stripe.customer", []),
        ("after=1", [2]),
        ("limit=1", [1]),
        ("after=1&limit=1", [2]),
        ("service=stripe&limit=1", [2]),
    ]:
        assert [e["seq"] for e in client.control("GET", f"ledger?{query}").json()] == numbers
    assert client.control("GET", "ledger?after=-1").status == 400
    assert client.control("GET", "ledger?limit=0").status == 400


def test_reads_and_refusals_are_no_effects(client, sandbox):
    client.amberflo("GET", "/customers")
    client.amberflo("POST", "/customers", {})
    client.stripe("GET", "/v1/customers")
    client.stripe("POST", "/v1/customers", "x=y")
    assert sandbox.ledger() == []
    assert client.control("GET", "summary").json() == {"effects": 0, "by_kind": {}, "requests": 4}


def test_the_summary_counts(client):
    for name in ("a", "b"):
        client.amberflo("POST", "/customers", {**CUSTOMER, "customerId": name})
    summary = client.control("GET", "summary").json()
    assert summary == {"effects": 2, "by_kind": {"amberflo.customer.created": 2}, "requests": 2}


def test_every_request_is_logged_as_received(client, sandbox):
    headers = [
        ("x-Odd", "1"),
        ("Authorization", f"Bearer {sandbox.stripe_key}"),
        ("X-ODD", "2"),
        ("Content-Type", FORM),
    ]
    client.send("POST", "/v1/customers?a[b]=%7e", b"c=%41", headers)
    [record] = client.control("GET", "requests").json()
    assert record["headers"][-5:] == [
        ["x-Odd", "1"],
        ["Authorization", "***"],
        ["X-ODD", "2"],
        ["Content-Type", FORM],
        ["Content-Length", "5"],
    ]
    assert record["target"] == "/v1/customers?a[b]=%7e"
    assert (record["method"], record["body"], record["status"]) == ("POST", "c=%41", 400)
    assert (record["service"], record["fault"], record["replayed"]) == ("stripe", None, False)
    client.send("GET", "/nothing")
    assert [(r["seq"], r["status"]) for r in sandbox.requests()] == [(1, 400), (2, 401)]
    assert [r["seq"] for r in client.control("GET", "requests?after=1").json()] == [2]
    assert [r["seq"] for r in sandbox.requests("stripe")] == [1]


def test_bodies_that_are_no_text_are_logged(client, sandbox):
    client.amberflo("POST", "/customers", raw=b"a\xff")
    assert sandbox.requests()[0]["body"] == "a\\xff"


def test_credentials_are_shown_only_on_request(client_of):
    with running_sandbox(record_credentials=True, amberflo_key="ak", stripe_key="sk") as sandbox:
        client = client_of(sandbox)
        client.amberflo("POST", "/customers", CUSTOMER)
        client.stripe("GET", "/v1/customers")
        first, second = client.control("GET", "requests").json()
        assert ["X-API-KEY", "ak"] in first["headers"]
        assert ["Authorization", "Bearer sk"] in second["headers"]
        # The ledger stays without them: it is what tests print.
        assert sandbox.ledger()[0]["request"]["headers"]["x-api-key"] == "***"
        assert client.control("PATCH", "settings", {"record_credentials": False}).status == 400


def test_the_log_is_bounded(client_of):
    with running_sandbox(request_log_size=3) as sandbox:
        client = client_of(sandbox)
        for n in range(5):
            client.amberflo("GET", f"/customers/{n}")
        assert [r["target"] for r in sandbox.requests()] == [f"/customers/{n}" for n in (2, 3, 4)]
        assert client.control("GET", "summary").json()["requests"] == 5


def test_control_requests_are_not_logged(client, sandbox):
    assert client.control("GET", "health").json() == {"status": "ok"}
    assert sandbox.requests() == []


def test_seeds_are_no_effects(client, sandbox):
    made = client.control(
        "POST",
        "seed",
        {
            "amberflo": {"customers": [CUSTOMER], "meters": [], "products": [{"productId": "p"}]},
            "stripe": {
                "customers": [{"id": "cus_1", "email": "a@b.c", "metadata": {"n": 1}}],
                "invoiceitems": [{"customer": "cus_1", "amount": 5, "currency": "usd"}],
            },
        },
    ).json()
    assert made["setup"] is True
    assert made["amberflo"]["customers"][0]["customerId"] == "c-1"
    assert made["stripe"]["customers"][0]["metadata"] == {"n": "1"}
    assert made["stripe"]["invoiceitems"][0]["amount"] == 5
    assert sandbox.ledger() == []
    assert client.stripe("GET", "/v1/customers/cus_1").json()["email"] == "a@b.c"
    assert client.stripe("POST", "/v1/invoices", {"customer": "cus_1"}).json()["total"] == 5
    seeded = client.control("GET", "seed").json()
    assert [(s["service"], s["kind"]) for s in seeded] == [
        ("amberflo", "customers"),
        ("amberflo", "products"),
        ("stripe", "customers"),
        ("stripe", "invoiceitems"),
    ]
    # As they were made: the item has an invoice by now.
    assert seeded[3]["data"] == made["stripe"]["invoiceitems"][0]
    assert seeded[3]["data"]["invoice"] is None


@pytest.mark.parametrize(
    "seed",
    [
        [],
        {"paypal": {}},
        {"stripe": {"coupons": []}},
        {"stripe": {"customers": ["a"]}},
        {"stripe": {"customers": [{"colour": "red"}]}},
        {"stripe": {"customers": [{"id": "cus_1"}, {"id": "cus_1"}]}},
        {"stripe": {"invoiceitems": [{"customer": "cus_no", "amount": 5, "currency": "usd"}]}},
        {"amberflo": {"customers": [{"customerId": "c"}]}},
    ],
)
def test_wrong_seeds_are_refused(client, seed):
    answer = client.control("POST", "seed", seed)
    assert answer.status == 400
    assert isinstance(answer.json()["error"], str)


def test_reset_forgets_everything(client, sandbox):
    sandbox.seed(stripe={"customers": [{"id": "cus_1"}]})
    sandbox.configure(pending_items="exclude")
    sandbox.add_fault("rate_limit", path="/nothing")
    client.stripe("POST", "/v1/customers", "name=a", key="k")
    assert client.control("POST", "reset").json() == {"reset": True}
    assert (sandbox.ledger(), sandbox.requests()) == ([], [])
    assert client.control("GET", "faults").json() == []
    assert client.control("GET", "seed").json() == []
    assert client.control("GET", "settings").json()["pending_items"] == "include"
    assert client.stripe("GET", "/v1/customers/cus_1").status == 404
    assert "Idempotent-Replayed" not in client.stripe("POST", "/v1/customers", "name=b", key="k").headers


def test_settings_can_be_read_and_changed(client, sandbox):
    settings = client.control("GET", "settings")
    assert settings.json()["stripe_key_lifetime"] == 86_400
    assert sandbox.stripe_key not in settings.body.decode()
    assert sandbox.amberflo_key not in settings.body.decode()
    changed = client.control("PATCH", "settings", {"pending_items": "exclude", "stripe_key_lifetime": 5})
    assert (changed.json()["pending_items"], changed.json()["stripe_key_lifetime"]) == ("exclude", 5)


@pytest.mark.parametrize(
    "change",
    [
        {"pending_items": "maybe"},
        {"pending_items": []},
        {"stripe_key": "x"},
        {"stripe_key_lifetime": -1},
        {"stripe_key_lifetime": "soon"},
        {"clock_offset": None},
        [],
    ],
)
def test_wrong_settings_are_refused(client, change):
    assert client.control("PATCH", "settings", change).status == 400
    assert client.control("GET", "settings").json()["pending_items"] == "include"


def test_wrong_settings_at_start():
    for wrong in ({"amberflo_key": ""}, {"request_log_size": 0}, {"pending_items": "x"}):
        with pytest.raises(ValueError, match=next(iter(wrong))), running_sandbox(**wrong):
            pass


def other_address() -> str | None:
    """An address of this machine that is not loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def test_control_is_only_for_this_machine(client_of):
    address = other_address()
    if address is None:
        pytest.skip("only loopback here")
    with running_sandbox(host=address) as sandbox:
        client = client_of(sandbox)
        assert client.control("GET", "settings").status == 403
        assert client.control("POST", "reset").status == 403
        assert client.amberflo("GET", "/customers").status == 200


def test_control_bodies_must_be_json(client):
    assert client.send("POST", "/_sandbox/seed", b"{").status == 400


def test_sandboxes_are_independent_and_stop(client_of):
    before = threading.active_count()
    with running_sandbox() as one, running_sandbox() as two:
        assert one.port != two.port
        assert one.stripe_key != two.stripe_key
        client_of(one).amberflo("POST", "/customers", CUSTOMER)
        assert (len(one.ledger()), len(two.ledger())) == (1, 0)
        port = one.port
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        client_of(one).send("GET", "/", None)
    assert port == one.port


def test_it_starts_quickly():
    began = time.perf_counter()
    for _ in range(5):
        with running_sandbox() as sandbox:
            assert sandbox.url == f"http://127.0.0.1:{sandbox.port}"
    assert (time.perf_counter() - began) / 5 < 0.1
