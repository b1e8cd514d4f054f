"""What a failure repeats of a response: enough to go on, and nobody's data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import Done, Machine, Send, begin
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.plan.model import Plan

Compile = Callable[..., Plan]

JSON = "application/json"
PROBLEM = "application/problem+json"


@pytest.fixture
def failed(compiled: Compile) -> Callable[..., str]:
    """The message of a step that fails with a response to a request with a body."""

    def play(
        body: Any, status: int = 400, media_type: str = JSON, criteria: Any = (), sent: str = "Jane Doe"
    ) -> str:
        payload = {"name": "$inputs.name", "limit": 250}
        step = {
            "stepId": "order",
            "operationId": "create",
            "requestBody": {"contentType": JSON, "payload": payload},
        }
        if criteria:
            step["successCriteria"] = list(criteria)
        properties = {"name": {"type": "string"}}
        inputs = {"type": "object", "properties": properties}
        plan = compiled(
            f"""
            - workflowId: main
              inputs: {json.dumps(inputs)}
              steps: {json.dumps([step])}
            """
        )
        machine = Machine(plan, begin(plan, prepare_inputs(plan.root, {"name": sent}), now=0.0), clock=float)
        assert isinstance(machine.next(), Send)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        machine.receive(Response(status, (("Content-Type", media_type),), data, "https://api.example/o"))
        done = machine.next()
        assert isinstance(done, Done)
        assert done.failure is not None
        return done.failure.message

    return play


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "no such meter"}, '"no such meter"'),
        (
            {"error": {"message": "Missing required param: customer.", "code": "parameter_missing"}},
            '"Missing required param: customer." (code parameter_missing)',
        ),
        (
            {"error": {"message": "This is not allowed.", "type": "card_error", "param": "customer"}},
            '"This is not allowed." (code card_error, parameter customer)',
        ),
        ({"errors": [{"message": "too small", "field": "amount"}]}, '"too small" (parameter amount)'),
        ({"errors": ["the plan is closed"]}, '"the plan is closed"'),
        ({"error": "invalid_scope", "error_description": "too much"}, '"too much" (code invalid_scope)'),
        ({"error": "not_found"}, '"not_found"'),
        ({"detail": "The balance is too low.", "title": "Out of credit"}, '"The balance is too low."'),
    ],
)
def test_the_reason_of_a_refusal_is_shown(failed: Callable[..., str], body: Any, said: str) -> None:
    assert failed(body).endswith(f"; the service says: {said}")
    assert failed(body, media_type=PROBLEM).endswith(f"; the service says: {said}")
    assert failed(body, status=422).endswith(f"; the service says: {said}")


@pytest.mark.parametrize(
    "text",
    [
        "Jane Doe has no credit",
        "the customer jane doe is unknown",
        "not more than 250",
        "no account for somebody@example.com",
        "call +49 30 1234567",
        "the card 4242 4242 4242 4242 was declined",
        "Invalid API key: sk_test_51H8abcDEFghiJKL",
        "x" * 301,
        "two\nlines",
        "\x1b[31mred",
    ],
)
def test_what_may_be_somebodys_is_left_out(failed: Callable[..., str], text: str) -> None:
    message = failed({"error": {"message": text, "code": "declined", "param": "source"}})
    assert message.endswith("; the service says: code declined, parameter source")
    assert "the service says" not in failed({"message": text})
    # The title of a problem is the same for all of its kind (RFC 9457, 3.1.4).
    assert failed({"title": "Declined", "detail": text}).endswith('; the service says: "Declined"')


@pytest.mark.parametrize(
    ("body", "status", "media_type"),
    [
        ({"message": "done"}, 500, JSON),
        ({"message": "done"}, 302, JSON),
        (b'{"message": "no such meter"}', 400, "text/plain"),
        (b'{"message": ', 400, JSON),
        (["no"], 400, JSON),
        ({"message": {"text": "no"}}, 400, JSON),
        ({"code": "jane doe"}, 400, JSON),
        (b"", 400, JSON),
    ],
)
def test_nothing_is_taken_from_elsewhere(
    failed: Callable[..., str], body: Any, status: int, media_type: str
) -> None:
    assert "the service says" not in failed(body, status, media_type)


PAGE = b"<!doctype html><html><head><TITLE lang=en>\n Sign in &amp; go on </TITLE></head><p>secret</html>"
INSIDE = {"condition": "$response.body#/status == 'open'"}


@pytest.mark.parametrize(
    ("media_type", "body", "said"),
    [
        ("text/html; charset=utf-8", PAGE, "text/html with the title 'Sign in & go on', not JSON"),
        ("text/html", b"<h1>Maintenance</h1>", "text/html, not JSON"),
        ("text/html", b"<title>for jane@example.com</title>", "text/html, not JSON"),
        ("application/xml", b"<a/>", "application/xml, not JSON"),
    ],
)
def test_a_criterion_on_a_body_that_is_no_json_says_what_came(
    failed: Callable[..., str], media_type: str, body: bytes, said: str
) -> None:
    query = {"condition": "$[?@.status == 'open']", "context": "$response.body", "type": "jsonpath"}
    for criterion in (INSIDE, query):
        assert failed(body, 200, media_type, [criterion]).split("; ")[1] == f"the response is {said}"


def test_criteria_that_need_no_json_do_not_ask_for_it(failed: Callable[..., str]) -> None:
    pattern = {"condition": "^ok$", "context": "$response.body", "type": "regex"}
    for criterion in (pattern, {"condition": "$response.body == 'ok'"}, {"condition": "$statusCode == 201"}):
        assert "not JSON" not in failed(b"failed", 200, "text/plain", [criterion])
    criteria = [{"condition": "$response.body#/status == null"}, {"condition": "$statusCode == 201"}]
    assert "not JSON" not in failed(b"failed", 200, "text/plain", criteria)
