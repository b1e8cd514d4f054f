"""Keys: what is the same effect and what is another; where the key goes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.engine.messages import NotSent, Request
from airflow_arazzo.expression.jsonvalue import decode_json
from airflow_arazzo.ledger.keys import (
    Identity,
    effect_key,
    fingerprint,
    protection,
    wire_key,
    with_key,
)
from airflow_arazzo.plan.model import Idempotency

HEADER = Idempotency("header", "Idempotency-Key")
BODY = Idempotency("body", "uniqueId")
PATH = ("bill", "charge")
URL = "https://api.test/charges"


def request(body: bytes | None = b'{"amount":10}', *headers: tuple[str, str], **changes: Any) -> Request:
    content = (("Content-Type", changes.pop("content_type", "application/json")),)
    return Request(
        "api", changes.pop("method", "POST"), "/charges", (), (*content, *headers), body, **changes
    )


# --- identity ------------------------------------------------------------------------------------------


def test_schedule_retry_clear_and_backfill_of_one_period_are_one_effect() -> None:
    # Whatever Airflow calls the run: identity is the data interval, and nothing of the attempt is in it.
    keys = {effect_key(Identity("dag", "2026-01-01T00:00Z/2026-01-02T00:00Z"), PATH, 1) for _ in range(4)}
    assert len(keys) == 1


def test_different_effects_have_different_keys() -> None:
    base = Identity("dag", "2026-01-01")
    effects = [
        (base, PATH, 1),
        (Identity("dag", "manual__1"), PATH, 1),
        (Identity("dag", "manual__2"), PATH, 1),
        (Identity("dag", "2026-01-01", "row-1"), PATH, 1),
        (Identity("dag", "2026-01-01", "row-2"), PATH, 1),
        (base, PATH, 2),
        (base, ("bill", "refund"), 1),
        (base, ("bill", "call", "inner", "charge"), 1),
        (base, ("bill", "call#2", "inner", "charge"), 1),
        (Identity("dag.group", "2026-01-01"), PATH, 1),
        (Identity("other", "2026-01-01"), PATH, 1),
    ]
    keys = [effect_key(*effect) for effect in effects]
    assert len(set(keys)) == len(effects)
    assert all(len(key) == 40 and set(key) <= set("0123456789abcdef") for key in keys)


@given(st.lists(st.tuples(*[st.text(max_size=3)] * 3, st.lists(st.text(max_size=2), max_size=3)), min_size=2))
def test_parts_never_run_into_each_other(effects: list[tuple[str, str, str, list[str]]]) -> None:
    parts = {(n, r, w, tuple(p)) for n, r, w, p in effects}
    keys = {effect_key(Identity(n, r, w), p, 1) for n, r, w, p in parts}
    assert len(keys) == len(parts)


def test_the_key_is_made_as_it_always_was() -> None:
    # An effect whose outcome is unknown may be asked for again by a later version of this program.
    assert (
        effect_key(Identity("dag", "2026-01-01", "r"), PATH, 1) == "d1d30394a7845b65b0f7af5b4b87f18b749e95a1"
    )
    assert (wire_key("k", 0), wire_key("k", 1), wire_key("k", 12)) == ("k", "k-1", "k-12")


# --- fingerprint ---------------------------------------------------------------------------------------


def test_the_fingerprint_is_method_url_and_body() -> None:
    prints = [
        fingerprint(request(), URL),
        fingerprint(request(method="PUT"), URL),
        fingerprint(request(), URL + "/1"),
        fingerprint(request(b'{"amount":11}'), URL),
        fingerprint(request(b'{"amount":10.0}'), URL),
        fingerprint(request(b'{"amount":"10"}'), URL),
        fingerprint(request(b"[1,2]"), URL),
        fingerprint(request(b"[2,1]"), URL),
        fingerprint(request(b"not json"), URL),
        fingerprint(request(None), URL),
    ]
    assert len(set(prints)) == len(prints)


def test_the_order_of_members_makes_no_difference() -> None:
    one, two = b'{"a":1,"b":{"c":2,"d":3}}', b'{"b":{"d":3,"c":2},"a":1}'
    assert fingerprint(request(one), URL) == fingerprint(request(two), URL)
    form = "application/x-www-form-urlencoded"
    assert fingerprint(request(b"a=1&b=2", content_type=form), URL) != fingerprint(
        request(b"b=2&a=1", content_type=form), URL
    )


@pytest.mark.parametrize("body", [b'{"token":"%s"}', b"token=%s"])
def test_another_credential_is_no_other_request(body: bytes) -> None:
    old, new = "old-secret/+1", "new-secret/+2"
    prints = {fingerprint(request(body % s.encode()), f"{URL}?k={s}", [s]) for s in (old, new)}
    assert len(prints) == 1
    assert fingerprint(request(body % b"other"), URL, [old]) not in prints


# --- the key on the wire -------------------------------------------------------------------------------


def test_a_header() -> None:
    assert with_key(request(), HEADER, "k").headers[-1] == ("Idempotency-Key", "k")
    own = request(b"{}", ("idempotency-key", "mine"))
    assert with_key(own, HEADER, "k") is own
    empty = request(b"{}", ("idempotency-key", ""))
    assert with_key(empty, HEADER, "k").headers[1:] == (("Idempotency-Key", "k"),)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"a":1.50}', '{"a":1.50,"uniqueId":"k"}'),
        (b'{"uniqueId":"mine"}', '{"uniqueId":"mine"}'),
        (b'{"uniqueId":0}', '{"uniqueId":0}'),
        (b'{"uniqueId":null,"a":1}', '{"uniqueId":"k","a":1}'),
        (b'{"uniqueId":""}', '{"uniqueId":"k"}'),
        (b'[{"a":1},{"uniqueId":"x"},{}]', '[{"a":1,"uniqueId":"k.0"},{"uniqueId":"x"},{"uniqueId":"k.2"}]'),
        (b"[]", "[]"),
    ],
)
def test_a_property_of_the_body(body: bytes, sent: str) -> None:
    keyed = with_key(request(body), BODY, "k")
    assert keyed.body == sent.encode()
    assert keyed.payload == decode_json(sent)


@pytest.mark.parametrize(
    "bad",
    [
        request(b'"text"'),
        request(b"[1]"),
        request(b"[[{}]]"),
        request(None),
        request(b"not json"),
        request(b'{"a":1}', content_type="text/plain"),
        request(b"a=1", content_type="application/x-www-form-urlencoded", payload={"a": 1}),
    ],
)
def test_a_body_that_cannot_take_a_key(bad: Request) -> None:
    with pytest.raises(NotSent, match="uniqueId"):
        with_key(bad, BODY, "k")


def test_no_two_generations_share_a_key_with_an_event() -> None:
    keys = [
        item["uniqueId"]
        for generation, body in itertools.product(range(12), (b"{}", b"[" + b",".join([b"{}"] * 12) + b"]"))
        for keyed in [with_key(request(body), BODY, wire_key("k", generation)).payload]
        for item in (keyed if isinstance(keyed, list) else [keyed])
    ]
    assert len(keys) == len(set(keys)) == 12 * 13


def test_what_protects_a_second_sending() -> None:
    assert protection(request(), None) == ""
    assert protection(request(), HEADER) == "header idempotency-key"
    assert protection(request(), BODY) == "body uniqueid"
    assert protection(request(method="PUT"), HEADER) == "method"
    assert protection(request(method="DELETE"), None) == "method"
    one = protection(request(b"{}", ("Idempotency-Key", "1")), HEADER)
    two = protection(request(b"{}", ("Idempotency-Key", "2")), HEADER)
    assert len({one, two, "header idempotency-key"}) == 3
