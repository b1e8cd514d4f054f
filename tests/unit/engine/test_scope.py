from __future__ import annotations

from typing import Any

import pytest

from airflow_arazzo.engine.messages import Request, Response
from airflow_arazzo.engine.scope import Exchange, RunScope
from airflow_arazzo.engine.state import Finished, Frame
from airflow_arazzo.expression.model import ABSENT, Expression
from airflow_arazzo.plan.model import Description, Plan, Source, Workflow

PLAN = Plan(
    "w",
    {
        "w": Workflow("w", (), file="a.yaml"),
        "x": Workflow("x", (), file="a.yaml"),
        "other.x": Workflow("x", (), file="b.yaml"),
        "far.w": Workflow("w", (), file="b.yaml"),
        "far.x": Workflow("x", (), file="b.yaml"),
        "deep.y": Workflow("y", (), file="b.yaml"),
    },
    {"api": Source("api", url="api.yaml")},
    descriptions={
        "api": Description("api", "api.yaml", "openapi"),
        "far.api": Description("api", "far.yaml"),
    },
    self_uri="https://docs.example/a",
)
REQUEST = Request(
    "api",
    "POST",
    "/x?q=1",
    (),
    (("Accept", "a/b"), ("X-Own", "1")),
    b"{}",
    parameters={("query", "q"): 1, ("header", "x-own"): 1},
    payload={"a": 1},
)
RESPONSE = Response(
    201, (("Content-Type", "application/json"), ("X", "1"), ("x", "2")), b'{"id":1.50}', "https://h/x"
)


def scope(workflow: str = "w", exchange: Exchange | None = None, **more: Any) -> RunScope:
    frame = Frame(
        workflow, {"a": None}, {"pin": ("w", "secret"), "lost": ("w", "nothing")}, outputs={"s": {"o": 1}}
    )
    finished = {
        "x": Finished({"i": 1}, {"o": "near"}),
        "far.x": Finished({"i": 2}, {"o": "far"}),
        "other.x": Finished({}, {"o": "other"}),
    }
    secrets = {("w", "secret"): "s3cret", ("w", "own"): "0wn"}
    return RunScope(PLAN, frame, finished, secrets, exchange, **more)


def look(text: str, one: RunScope | None = None) -> Any:
    """Look up ``root scope part name``, a dot for what is empty."""
    root, of, part, name = (word if word != "." else "" for word in text.split())
    return (one or scope()).lookup(Expression(root, of, part, name))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("inputs . . a", None),
        ("inputs . . b", ABSENT),
        ("inputs . . .", {"a": None}),
        ("inputs . . pin", "s3cret"),
        ("inputs . . own", "0wn"),
        ("inputs . . lost", ABSENT),
        ("inputs . . secret", "s3cret"),
        ("steps s outputs o", 1),
        ("steps s outputs p", ABSENT),
        ("steps t outputs o", ABSENT),
        ("outputs . . o", ABSENT),
        ("workflows x outputs o", "near"),
        ("workflows x inputs i", 1),
        ("workflows x outputs .", {"o": "near"}),
        ("workflows x outputs p", ABSENT),
        ("workflows w outputs o", ABSENT),
        ("sourceDescriptions api . url", "api.yaml"),
        ("sourceDescriptions api . type", "openapi"),
        ("sourceDescriptions api . __class__", ABSENT),
        ("sourceDescriptions nope . url", ABSENT),
        ("self . . .", "https://docs.example/a"),
        ("statusCode . . .", ABSENT),
        ("response . body .", ABSENT),
        ("request . header accept", ABSENT),
        ("method . . .", ABSENT),
    ],
)
def test_lookups_without_an_exchange(text: str, value: Any) -> None:
    assert look(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("statusCode . . .", 201),
        ("response . header X", "1"),
        ("response . header content-type", "application/json"),
        ("response . header none", ABSENT),
        ("request . query q", 1),
        ("request . header X-OWN", 1),
        ("request . header accept", "a/b"),
        ("request . header none", ABSENT),
        ("request . body .", {"a": 1}),
        ("method . . .", "POST"),
        ("url . . .", "https://h/x"),
        ("outputs . . o", 5),
    ],
)
def test_lookups_in_an_exchange(text: str, value: Any) -> None:
    assert look(text, scope(exchange=Exchange(REQUEST, RESPONSE), outputs={"o": 5})) == value


def test_digits_of_a_body_are_kept() -> None:
    body = look("response . body .", scope(exchange=Exchange(REQUEST, RESPONSE)))
    assert str(body["id"]) == "1.50"


def test_an_exchange_without_a_request_or_a_response_has_what_it_has() -> None:
    assert look("statusCode . . .", scope(exchange=Exchange(None, RESPONSE))) == 201
    assert look("method . . .", scope(exchange=Exchange(None, RESPONSE))) is ABSENT
    assert look("response . body .", scope(exchange=Exchange(REQUEST, None))) is ABSENT
    assert look("method . . .", scope(exchange=Exchange(REQUEST, None))) == "POST"


@pytest.mark.parametrize(("workflow", "value"), [("w", "near"), ("far.w", "far"), ("deep.y", "other")])
def test_a_workflow_is_named_as_its_own_document_knows_it(workflow: str, value: str) -> None:
    """Two documents may have a file of one name; the last one's sibling has the prefix of another source."""
    assert look("workflows x outputs o", scope(workflow)) == value


def test_source_descriptions_are_those_of_the_workflow_s_document() -> None:
    assert look("sourceDescriptions api . url", scope("far.w")) == "far.yaml"
    assert look("sourceDescriptions api . type", scope("far.w")) is ABSENT
    assert look("sourceDescriptions api . url", scope("other.x")) is ABSENT
