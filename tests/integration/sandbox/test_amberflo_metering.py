from __future__ import annotations

from decimal import Decimal

import pytest

METER = {"meterApiName": "calls", "displayName": "Calls", "type": "SUM_OF_ALL_USAGE", "dimensions": []}
AT = 1_718_153_645_993
EVENT = {"meterApiName": "calls", "customerId": "c-1", "meterValue": 1.5, "meterTimeInMillis": AT}
DAY_QUERY = {
    "meterApiName": "calls",
    "startTimeInSeconds": 1_718_064_000,
    "endTimeInSeconds": 1_718_236_800,
    "aggregation": "SUM",
    "timeGroupingInterval": "DAY",
}


def usage(client, **changes):
    answer = client.amberflo("POST", "/usage", {**DAY_QUERY, **changes})
    assert answer.status == 200
    return answer.json()["clientMeters"]["calls"]


def test_create_meter(client, sandbox):
    answer = client.amberflo("POST", "/meter-definition", METER)
    assert answer.status == 200
    meter = answer.json()
    assert meter == {**METER, "label": "calls", "meterTimeInMillis": meter["meterTimeInMillis"]}
    assert client.amberflo("GET", "/meter-definition").json() == [meter]
    assert client.amberflo("GET", "/meter-definition/calls").json() == meter
    assert client.amberflo("GET", "/meter-definition/other").status == 404
    assert [e["id"] for e in sandbox.ledger("amberflo.meter.created")] == ["calls"]
    assert client.amberflo("POST", "/meter-definition", METER).json()["code"] == "DUPLICATE"
    assert len(sandbox.ledger()) == 1


@pytest.mark.parametrize(
    "change", [{"type": "SUM"}, {"displayName": None}, {"dimensions": "a"}, {"dimensions": [1]}]
)
def test_wrong_meters_are_refused(client, sandbox, change):
    assert client.amberflo("POST", "/meter-definition", {**METER, **change}).status == 400
    assert sandbox.ledger() == []


def test_update_and_delete_meter(client, sandbox):
    assert client.amberflo("PUT", "/meter-definition", METER).status == 400
    client.amberflo("POST", "/meter-definition", METER)
    changed = client.amberflo("PUT", "/meter-definition", {**METER, "displayName": "New"})
    assert changed.json()["displayName"] == "New"
    assert client.amberflo("DELETE", "/meter-definition/calls").status == 200
    assert client.amberflo("DELETE", "/meter-definition/calls").status == 404
    assert sandbox.kinds() == [f"amberflo.meter.{what}" for what in ("created", "updated", "deleted")]


def test_ingest_answers_the_json_string_ok(client, sandbox):
    answer = client.amberflo("POST", "/ingest", EVENT)
    assert (answer.status, answer.body) == (200, b'"OK"')
    assert answer.headers["Content-Type"] == "application/json"
    [effect] = sandbox.ledger("amberflo.event.ingested")
    assert effect["data"] == {**EVENT, "metered": False}


def test_an_array_is_one_effect_for_each_event(client, sandbox):
    client.amberflo("POST", "/ingest", [{**EVENT, "uniqueId": f"e{i}"} for i in range(3)])
    effects = sandbox.ledger("amberflo.event.ingested")
    assert [effect["id"] for effect in effects] == ["e0", "e1", "e2"]
    assert len({effect["request"]["body"] for effect in effects}) == 1
    assert client.amberflo("POST", "/ingest", []).status == 200
    assert len(sandbox.ledger()) == 3


def test_a_unique_id_counts_once(client, sandbox):
    client.amberflo("POST", "/meter-definition", METER)
    event = {**EVENT, "uniqueId": "e1"}
    for body in (event, event, [event, {**event, "meterValue": 9}]):
        assert client.amberflo("POST", "/ingest", body).body == b'"OK"'
    assert len(sandbox.ledger("amberflo.event.ingested")) == 1
    assert usage(client)[0]["records"] == [{"1718150400": Decimal("1.5")}]


def test_no_header_makes_ingestion_idempotent(client, sandbox):
    headers = [
        ("X-API-KEY", sandbox.amberflo_key),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "k"),
    ]
    body = b'{"meterApiName":"m","meterValue":1,"meterTimeInMillis":1718153645993}'
    for _ in range(2):
        assert client.send("POST", "/ingest", body, headers).status == 200
    assert len(sandbox.ledger("amberflo.event.ingested")) == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"uniqueId": None}, "uniqueId"),
        ({"customerId": None}, "customerId"),
        ({"meterValue": "1"}, "meterValue"),
        ({"meterValue": None}, "meterValue"),
        ({"meterTimeInMillis": None}, "meterTimeInMillis"),
        ({"meterTimeInMillis": "1718153645993"}, "meterTimeInMillis"),
        ({"meterTimeInMillis": 1718153645993.5}, "meterTimeInMillis"),
        ({"meterTimeInMillis": -1}, "meterTimeInMillis"),
        ({"dimensions": {"a": None}}, "dimensions.a"),
        ({"values": {"m": "1"}}, "values.m"),
    ],
)
def test_wrong_events_are_refused(client, sandbox, change, named):
    answer = client.amberflo("POST", "/ingest", {**EVENT, **change})
    assert answer.status == 400
    assert named in answer.json()["message"]
    assert sandbox.ledger() == []


@pytest.mark.parametrize("missing", ["meterTimeInMillis", "meterValue", "meterApiName"])
def test_what_an_event_needs(client, missing):
    event = {name: value for name, value in EVENT.items() if name != missing}
    assert client.amberflo("POST", "/ingest", event).status == 400


def test_one_wrong_event_refuses_the_whole_request(client, sandbox):
    answer = client.amberflo("POST", "/ingest", [EVENT, {**EVENT, "meterValue": "x"}])
    assert answer.status == 400
    assert "body[1]" in answer.json()["message"]
    assert sandbox.ledger() == []


def test_numbers_too_large_to_sum_exactly_are_refused(client):
    raw = b'{"meterApiName":"m","meterValue":1e999999999,"meterTimeInMillis":1718153645993}'
    assert client.amberflo("POST", "/ingest", raw=raw).status == 400


def test_sums_are_exact(client):
    client.amberflo("POST", "/meter-definition", METER)
    for value in (b"0.1", b"0.2", b"90071992547409930000000000000000.07"):
        raw = b'{"meterApiName":"calls","meterValue":%s,"meterTimeInMillis":1718153645993}' % value
        assert client.amberflo("POST", "/ingest", raw=raw).status == 200
    assert usage(client) == [
        {"groupInfo": {}, "records": [{"1718150400": Decimal("90071992547409930000000000000000.37")}]}
    ]


def test_usage_groups_filters_and_aggregates(client, sandbox):
    client.amberflo("POST", "/meter-definition", METER)
    hour = 3_600_000
    events = [
        {**EVENT, "customerId": who, "meterValue": value, "meterTimeInMillis": AT + n * hour, "dimensions": d}
        for who, value, n, d in [
            ("a", 1, 0, {"region": "eu"}),
            ("a", 5, 1, {"region": "us"}),
            ("b", 2, 0, {"region": "eu"}),
        ]
    ]
    client.amberflo("POST", "/ingest", events)
    assert usage(client) == [{"groupInfo": {}, "records": [{"1718150400": 8}]}]
    assert usage(client, aggregation="MAX")[0]["records"] == [{"1718150400": 5}]
    assert usage(client, aggregation="COUNT")[0]["records"] == [{"1718150400": 3}]
    assert usage(client, timeGroupingInterval="HOUR")[0]["records"] == [{"1718150400": 3}, {"1718154000": 5}]
    assert usage(client, timeGroupingInterval="WEEK")[0]["records"] == [{"1717977600": 8}]
    assert usage(client, timeGroupingInterval="MONTH")[0]["records"] == [{"1717200000": 8}]
    assert usage(client, groupBy=["customerId"]) == [
        {"groupInfo": {"customerId": "a"}, "records": [{"1718150400": 6}]},
        {"groupInfo": {"customerId": "b"}, "records": [{"1718150400": 2}]},
    ]
    assert usage(client, customerFilter=["b"])[0]["records"] == [{"1718150400": 2}]
    assert usage(client, filter={"region": ["eu"]})[0]["records"] == [{"1718150400": 3}]
    assert usage(client, startTimeInSeconds=1_718_154_000)[0]["records"] == [{"1718150400": 5}]
    assert usage(client, endTimeInSeconds=1_718_154_000)[0]["records"] == [{"1718150400": 3}]
    assert sandbox.kinds().count("amberflo.event.ingested") == 3
    assert len(sandbox.ledger()) == 4


@pytest.mark.parametrize(
    "change", [{"aggregation": "AVG"}, {"endTimeInSeconds": 1}, {"groupBy": "a"}, {"filter": {"a": "b"}}]
)
def test_wrong_queries_are_refused(client, change):
    assert client.amberflo("POST", "/usage", {**DAY_QUERY, **change}).status == 400


def test_events_for_several_meters(client):
    for name in ("calls", "bytes"):
        client.amberflo("POST", "/meter-definition", {**METER, "meterApiName": name})
    event = {"customerId": "a", "meterTimeInMillis": AT, "values": {"calls": 1, "bytes": 7}}
    assert client.amberflo("POST", "/ingest", event).status == 200
    assert usage(client)[0]["records"] == [{"1718150400": 1}]
    answer = client.amberflo("POST", "/usage", {**DAY_QUERY, "meterApiName": "bytes"}).json()
    assert answer["clientMeters"]["bytes"][0]["records"] == [{"1718150400": 7}]


def test_filtering_rules_decide_what_is_metered(client, sandbox):
    client.amberflo("POST", "/meter-definition", METER)
    rule = {
        "meterApiName": "calls",
        "ruleId": "r",
        "dimensionName": "env",
        "dimensionValues": ["test"],
        "action": "EXCLUDE",
    }
    path = "/meter-event-filtering-rules"
    assert client.amberflo("POST", path, rule).json() == rule
    assert client.amberflo("GET", f"{path}?meterApiName=calls").json() == [rule]
    assert client.amberflo("GET", path).status == 400
    client.amberflo("POST", "/ingest", [{**EVENT, "dimensions": {"env": e}} for e in ("test", "live")])
    effects = sandbox.ledger("amberflo.event.ingested")
    assert [effect["data"]["metered"] for effect in effects] == [False, True]
    assert usage(client)[0]["records"] == [{"1718150400": Decimal("1.5")}]
    assert client.amberflo("POST", path, {**rule, "action": "INCLUDE"}).status == 200
    assert len(client.amberflo("GET", f"{path}?meterApiName=calls").json()) == 1
    client.amberflo("POST", "/ingest", {**EVENT, "dimensions": {"env": "test"}})
    assert sandbox.ledger()[-1]["data"]["metered"] is True
