from __future__ import annotations

import base64
import errno
import http.client
import json
import time

import pytest

CUSTOMER = {"customerId": "c-1", "customerName": "Acme"}


def create(client, name="c-1"):
    return client.amberflo("POST", "/customers", {**CUSTOMER, "customerId": name})


def outcomes(sandbox):
    return [(r["fault"], r["status"]) for r in sandbox.requests()]


@pytest.mark.parametrize(("when", "effects"), [("unread", 0), ("before", 0), ("after", 1)])
def test_reset(client, sandbox, when, effects):
    sandbox.add_fault("reset", when=when, times=1)
    with pytest.raises(ConnectionResetError) as caught:
        create(client)
    # A connection that merely ends raises a subclass of this, without a number.
    assert caught.value.errno == errno.ECONNRESET
    assert len(sandbox.ledger()) == effects
    assert outcomes(sandbox) == [("reset", None)]
    assert (sandbox.requests()[0]["body"] is None) == (when == "unread")
    assert create(client, "c-2").status == 200


def test_reset_of_a_large_unread_body(client, sandbox):
    sandbox.add_fault("reset", when="unread")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.amberflo("POST", "/ingest", raw=b" " * 20_000_000)
    assert sandbox.requests()[0]["body"] is None


@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("inside", 1), ("after", 1)])
def test_error(client, sandbox, when, effects):
    sandbox.add_fault("error", when=when, status=503, times=1)
    answer = create(client)
    assert (answer.status, answer.json()["code"]) == (503, "INTERNAL_ERROR")
    assert len(sandbox.ledger()) == effects
    assert outcomes(sandbox) == [("error", 503)]


def test_an_error_outside_is_not_kept_under_the_key(client, sandbox):
    for when in ("before", "after"):
        sandbox.add_fault("error", when=when, times=1)
        assert client.stripe("POST", "/v1/customers", "name=a", key=when).status == 500
        again = client.stripe("POST", "/v1/customers", "name=a", key=when)
        assert again.status == 200
        assert ("Idempotent-Replayed" in again.headers) == (when == "after")
    assert len(sandbox.ledger()) == 2


def test_an_error_with_a_body_of_its_own(client, sandbox):
    for when in ("before", "inside"):
        sandbox.add_fault("error", when=when, status=502, body="Bad gateway", times=1)
        answer = create(client)
        assert (answer.status, answer.body) == (502, b"Bad gateway")


def test_errors_have_the_services_form(client, sandbox):
    sandbox.add_fault("error", path="/v1/*")
    answer = client.stripe("GET", "/v1/customers")
    assert (answer.status, answer.error()["type"]) == (500, "api_error")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(("when", "effects"), [("before", 1), ("inside", 1), ("after", 1)])
def test_delay(client, sandbox, when, effects):
    sandbox.add_fault("delay", when=when, seconds=0.2)
    began = time.perf_counter()
    assert create(client).status == 200
    assert time.perf_counter() - began >= 0.2
    assert len(sandbox.ledger()) == effects


def test_a_delay_after_has_the_effect_at_once(client, sandbox):
    sandbox.add_fault("delay", when="after", seconds=5)
    body = json.dumps(CUSTOMER).encode()
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=0.3)
    headers = {"X-API-KEY": sandbox.amberflo_key, "Content-Type": "application/json"}
    connection.request("POST", "/customers", body, headers)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert len(sandbox.ledger()) == 1
    assert outcomes(sandbox) == [("delay", None)]


@pytest.mark.parametrize("after", [7, "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_rate_limit(client, sandbox, after):
    sandbox.add_fault("rate_limit", retry_after=after, times=1)
    answer = client.stripe("POST", "/v1/customers", "name=a", key="k")
    assert (answer.status, answer.headers["Retry-After"]) == (429, str(after))
    assert answer.error()["code"] == "rate_limit"
    assert sandbox.ledger() == []
    again = client.stripe("POST", "/v1/customers", "name=a", key="k")
    assert (again.status, again.headers.get("Idempotent-Replayed")) == (200, None)


def test_redirect(client, sandbox):
    sandbox.add_fault("redirect", status=302, location="http://other.example/x")
    answer = create(client)
    assert (answer.status, answer.headers["Location"]) == (302, "http://other.example/x")
    assert sandbox.ledger() == []


@pytest.mark.parametrize("sent", [None, 0, 10])
def test_truncate(client, sandbox, sent):
    sandbox.add_fault("truncate", **({} if sent is None else {"bytes": sent}))
    with pytest.raises(http.client.IncompleteRead) as caught:
        create(client)
    assert caught.value.expected
    whole = json.dumps(sandbox.ledger()[0]["data"], separators=(",", ":"))
    assert caught.value.partial == whole[: len(whole) // 2 if sent is None else sent].encode()
    assert outcomes(sandbox) == [("truncate", 200)]


def test_content_type(client, sandbox):
    sandbox.add_fault("content_type", content_type="text/plain", times=1)
    answer = create(client)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain")
    assert answer.json()["customerId"] == "c-1"
    sandbox.add_fault("content_type", when="before", times=1)
    answer = create(client, "c-2")
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.body.startswith(b"<html>")
    assert len(sandbox.ledger()) == 1


def test_echo(client, sandbox):
    sandbox.add_fault("echo", times=1)
    answer = create(client)
    assert answer.status == 400
    assert sandbox.amberflo_key in answer.json()["message"]
    assert sandbox.ledger() == []
    sandbox.add_fault("echo", when="after", times=1)
    answer = client.stripe("POST", "/v1/customers", "name=a")
    assert answer.status == 200
    assert answer.json()["echo"] == f"Bearer {sandbox.stripe_key}"
    assert answer.json()["answer"]["name"] == "a"
    assert len(sandbox.ledger()) == 1
    plain, coded, quoted = answer.headers["X-Echo"].removeprefix("Bearer ").split(" ")
    assert (plain, quoted) == (sandbox.stripe_key, f"Bearer%20{sandbox.stripe_key}")
    assert base64.b64decode(coded).decode() == f"Bearer {sandbox.stripe_key}"
    assert answer.json()["coded"] == [coded, quoted]


def test_echo_in_a_location(client, sandbox):
    sandbox.add_fault("echo", status=307, location="http://127.0.0.1:9/there")
    answer = create(client)
    assert answer.status == 307
    assert answer.headers["Location"].startswith(f"http://127.0.0.1:9/there?echo={sandbox.amberflo_key}&")


def statuses(client, count, path="/customers"):
    return [client.amberflo("GET", path).status for _ in range(count)]


def test_nth_and_times(client, sandbox):
    sandbox.add_fault("error", nth=2)
    assert statuses(client, 4) == [200, 500, 200, 200]
    sandbox.clear_faults()
    sandbox.add_fault("error", times=2)
    assert statuses(client, 4) == [500, 500, 200, 200]


def test_matching(client, sandbox):
    sandbox.add_fault("error", service="amberflo", method="GET", path="/meter*")
    assert statuses(client, 1) == [200]
    assert statuses(client, 1, "/meter-definition?x=1") == [500]
    assert client.amberflo("POST", "/meter-definition", {}).status == 400
    assert client.stripe("GET", "/v1/customers").status == 200
    sandbox.clear_faults()
    sandbox.add_fault("error", service="stripe")
    assert statuses(client, 1) == [200]
    assert client.stripe("GET", "/v1/customers").status == 500
    assert client.control("GET", "health").status == 200


def test_probability_repeats_with_its_seed(client, sandbox):
    runs = []
    for seed in (1, 1, 2):
        sandbox.clear_faults()
        sandbox.add_fault("error", probability=0.5, seed=seed)
        runs.append(statuses(client, 40))
    assert runs[0] == runs[1] != runs[2]
    assert 8 < runs[0].count(500) < 32
    sandbox.clear_faults()
    sandbox.add_fault("error", probability=0)
    assert statuses(client, 10) == [200] * 10


def test_the_first_rule_that_fires_wins(client, sandbox):
    sandbox.add_fault("error", status=501, nth=2)
    sandbox.add_fault("error", status=502)
    assert statuses(client, 3) == [502, 501, 502]


def test_faults_over_http(client):
    rule = {"action": "error", "path": "/customers", "status": 418, "nth": 1}
    assert client.control("POST", "faults", rule).status == 200
    assert client.control("POST", "faults", [{"action": "reset", "path": "/x"}]).status == 200
    assert statuses(client, 2) == [418, 200]
    first, second = client.control("GET", "faults").json()
    assert {**rule, "when": "before", "matched": 2, "fired": 1}.items() <= first.items()
    assert (second["action"], second["fired"]) == ("reset", 0)
    assert client.control("DELETE", "faults").json() == []
    assert statuses(client, 1) == [200]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        [1],
        {"action": "explode"},
        {"action": "delay"},
        {"action": "delay", "seconds": "1"},
        {"action": "redirect"},
        {"action": "refuse"},
        {"action": "truncate", "when": "before"},
        {"action": "error", "seconds": 1},
        {"action": "error", "nth": True},
        {"action": "error", "status": 200.5},
        [{"action": "reset"}, {"action": "explode"}],
    ],
)
def test_wrong_rules_are_refused(client, rule):
    answer = client.control("POST", "faults", rule)
    assert answer.status == 400
    assert answer.json()["error"]
    assert client.control("GET", "faults").json() == []


def ask_again(connection):
    connection.request("GET", "/_sandbox/health")
    connection.getresponse()


def wait_until_served(client, patience=3.0):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            return client.control("GET", "health").status
        except ConnectionError:
            time.sleep(0.02)
    raise AssertionError("still refusing")


def test_refused_connections(client, sandbox):
    idle = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    idle.request("GET", "/_sandbox/health")
    idle.getresponse().read()
    create(client)
    sandbox.refuse_connections(0.3)
    with pytest.raises(ConnectionRefusedError):
        create(client, "c-2")
    idle.auto_open = 0
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask_again(idle)
    assert wait_until_served(client) == 200
    assert len(sandbox.ledger()) == 1
    assert create(client, "c-2").status == 200


def test_refused_connections_by_rule(client, sandbox):
    sandbox.add_fault("refuse", seconds=0.3, nth=2)
    assert [create(client, name).status for name in ("c-1", "c-2")] == [200, 200]
    time.sleep(0.1)
    with pytest.raises(ConnectionRefusedError):
        create(client, "c-3")
    assert wait_until_served(client) == 200
    assert create(client, "c-3").status == 200
    assert outcomes(sandbox) == [(None, 200), ("refuse", 200), (None, 200)]


def test_refused_connections_over_http(client):
    assert client.control("POST", "refuse", {"seconds": 0.25}).json() == {"refusing": 0.25}
    time.sleep(0.1)
    with pytest.raises(ConnectionRefusedError):
        create(client)
    assert wait_until_served(client) == 200
    for wrong in ({}, {"seconds": 0}, {"seconds": "1"}):
        assert client.control("POST", "refuse", wrong).status == 400
