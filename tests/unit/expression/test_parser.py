"""One runtime expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_arazzo.expression.model import Expression
from airflow_arazzo.expression.names import Names, Problem
from airflow_arazzo.expression.parser import parse_expression
from airflow_arazzo.expression.scanner import canonical

Read = Callable[..., tuple[Any, list[tuple[str, int]]]]

PLAIN = [
    ("$url", ("url", "", "", "", ())),
    ("$method", ("method", "", "", "", ())),
    ("$statusCode", ("statusCode", "", "", "", ())),
    ("$self", ("self", "", "", "", ())),
    ("$request.header.Accept", ("request", "", "header", "accept", ())),
    ("$request.query.filter[a].b", ("request", "", "query", "filter[a].b", ())),
    ("$request.path.id", ("request", "", "path", "id", ())),
    ("$request.body", ("request", "", "body", "", ())),
    ("$request.body#/user/0", ("request", "", "body", "", ("user", "0"))),
    ("$response.header.X-Rate.Limit", ("response", "", "header", "x-rate.limit", ())),
    ("$response.body", ("response", "", "body", "", ())),
    ("$response.body#", ("response", "", "body", "", ())),
    ("$response.body#/a~1b/m~0n/", ("response", "", "body", "", ("a/b", "m~n", ""))),
    ("$response.body#/0/Model[]", ("response", "", "body", "", ("0", "Model[]"))),
    ("$message.header.Server", ("message", "", "header", "server", ())),
    ("$message.payload#/status", ("message", "", "payload", "", ("status",))),
    ("$inputs.id", ("inputs", "", "", "id", ())),
    ("$inputs.customer#/name", ("inputs", "", "", "customer", ("name",))),
    ("$inputs.a.b", ("inputs", "", "", "a.b", ())),
    ("$inputs.cus-id", ("inputs", "", "", "cus-id", ())),
    ("$inputs.filter[status]", ("inputs", "", "", "filter[status]", ())),
    ("$inputs.$expand", ("inputs", "", "", "$expand", ())),
    ("$inputs.$.xgafv", ("inputs", "", "", "$.xgafv", ())),
    ("$inputs.two words", ("inputs", "", "", "two words", ())),
    ("$outputs.total#/0", ("outputs", "", "", "total", ("0",))),
    ("$steps.create.outputs.id", ("steps", "create", "", "id", ())),
    ("$steps.create.outputs.y.z#/a", ("steps", "create", "", "y.z", ("a",))),
    ("$steps.create.outputs.Response (payload)", ("steps", "create", "", "Response (payload)", ())),
    ("$steps.Search Articles by Keyword_0.outputs.x", ("steps", "Search Articles by Keyword_0", "", "x", ())),
    ("$steps.called.outputs.whatever", ("steps", "called", "", "whatever", ())),
    ("$workflows.pay.inputs.amount", ("workflows", "pay", "inputs", "amount", ())),
    ("$workflows.pay.outputs.receipt#/id", ("workflows", "pay", "outputs", "receipt", ("id",))),
    ("$sourceDescriptions.pets.getPetById", ("sourceDescriptions", "pets", "", "getPetById", ())),
    ("$sourceDescriptions.pets.a/{b}.c", ("sourceDescriptions", "pets", "", "a/{b}.c", ())),
    ("$sourceDescriptions.pets.url#/paths/~1a", ("sourceDescriptions", "pets", "", "url", ("paths", "/a"))),
    ("$components.parameters.page.size", ("components", "", "parameters", "page.size", ())),
    ("$components.failureActions.retry", ("components", "", "failureActions", "retry", ())),
]


@pytest.mark.parametrize(("text", "fields"), PLAIN)
def test_as_the_specification_has_it(text: str, fields: tuple[Any, ...], read: Read) -> None:
    assert read(parse_expression, text) == (Expression(*fields, text), [])


@pytest.mark.parametrize("wrapped", ["{$inputs.id}", " $inputs.id\n", "\t{$inputs.id} "])
def test_braces_and_white_space_around_it(wrapped: str, read: Read) -> None:
    assert read(parse_expression, wrapped) == (Expression("inputs", name="id", text="$inputs.id"), [])


TOLERATED = [
    ("$inputs.customer.name", "navigation-syntax", 0, ("inputs", "", "", "customer", ("name",))),
    (
        "$inputs.customer[0]['k k'].z",
        "navigation-syntax",
        0,
        ("inputs", "", "", "customer", ("0", "k k", "z")),
    ),
    ("$inputs.a.b.c", "navigation-syntax", 0, ("inputs", "", "", "a.b", ("c",))),
    ("$inputs['two words']", "navigation-syntax", 0, ("inputs", "", "", "two words", ())),
    ("$inputs#/customer/name", "navigation-syntax", 0, ("inputs", "", "", "customer", ("name",))),
    ("$response.body.a.b[0]", "navigation-syntax", 0, ("response", "", "body", "", ("a", "b", "0"))),
    ("$response.body.a#/b", "navigation-syntax", 0, ("response", "", "body", "", ("a", "b"))),
    ("$steps.create.outputs.items.id", "navigation-syntax", 0, ("steps", "create", "", "items", ("id",))),
    ("$response.body#id", "pointer-slash", 15, ("response", "", "body", "", ("id",))),
    ("$response.headers.X-Id", "header-spelling", 0, ("response", "", "header", "x-id", ())),
    ("$steps.create.id", "missing-outputs", 0, ("steps", "create", "", "id", ())),
    ("$inputs.ID", "name-case", 0, ("inputs", "", "", "id", ())),
    ("$Inputs.id", "name-case", 0, ("inputs", "", "", "id", ())),
    ("$statuscode", "name-case", 0, ("statusCode", "", "", "", ())),
    ("$response.Body#/a", "name-case", 0, ("response", "", "body", "", ("a",))),
    ("$steps.Create.outputs.id", "name-case", 0, ("steps", "create", "", "id", ())),
    ("$request.cookie.sid", "cookie-source", 0, ("request", "", "cookie", "sid", ())),
    ("$inputs", "whole-object", 0, ("inputs", "", "", "", ())),
    ("$outputs", "whole-object", 0, ("outputs", "", "", "", ())),
    ("$steps.create.outputs", "whole-object", 0, ("steps", "create", "", "", ())),
    ("$workflows.pay.outputs", "whole-object", 0, ("workflows", "pay", "outputs", "", ())),
    ("$response.header", "whole-object", 0, ("response", "", "header", "", ())),
    (
        "$sourceDescriptions.museum-api#/paths/~1x/get",
        "whole-object",
        0,
        ("sourceDescriptions", "museum-api", "", "", ("paths", "/x", "get")),
    ),
]


@pytest.mark.parametrize(("text", "code", "offset", "fields"), TOLERATED)
def test_tolerated(text: str, code: str, offset: int, fields: tuple[Any, ...], read: Read) -> None:
    assert read(parse_expression, text) == (Expression(*fields, text), [(code, offset)])


REFUSED = [
    ("", "bad-expression", 0),
    ("inputs.id", "bad-expression", 0),
    ("$", "bad-expression", 0),
    ("$.a", "bad-expression", 0),
    ("$input.id", "bad-expression", 0),
    ("$inputs_id", "bad-expression", 0),
    ("$inputs.", "unknown-input", 8),
    ("$inputs.nope", "unknown-input", 8),
    ("$inputs['nope']", "unknown-input", 7),
    ("$inputs#/nope", "unknown-input", 7),
    ("$inputs.id or so", "unknown-input", 8),
    ("$statusCode == 200", "bad-expression", 11),
    ("$url.x", "bad-expression", 4),
    ("$response", "bad-expression", 9),
    ("$response.status", "bad-expression", 9),
    ("$response.header.", "bad-expression", 16),
    ("$response.header.a b", "bad-expression", 16),
    ("$response.body#/a~2", "bad-expression", 15),
    ("$response.body.", "bad-expression", 14),
    ("$response.body[*]", "bad-expression", 14),
    ("$response.bodyx", "bad-expression", 9),
    ("$steps", "bad-expression", 6),
    ("$steps.create", "bad-expression", 13),
    ("$steps.create.nope", "bad-expression", 13),
    ("$steps.nope.outputs.id", "unknown-step", 7),
    ("$steps.create.outputs.nope", "unknown-output", 22),
    ("$workflows.pay.steps.a", "bad-expression", 14),
    ("$workflows.nope.outputs.a", "unknown-workflow", 11),
    ("$workflows.pay.inputs.receipt", "unknown-input", 22),
    ("$sourceDescriptions.nope.url", "unknown-source", 20),
    ("$components.nope.x", "bad-expression", 11),
    ("$components.parameters", "bad-expression", 22),
    ("$outputs.nope", "unknown-output", 9),
]


@pytest.mark.parametrize(("text", "code", "offset"), REFUSED)
def test_refused(text: str, code: str, offset: int, read: Read) -> None:
    assert read(parse_expression, text) == (None, [(code, offset)])


def test_offsets_count_from_the_start_of_the_text(read: Read) -> None:
    assert read(parse_expression, "  {$inputs.nope}")[1] == [("unknown-input", 11)]


def test_unknown_names_are_suggested(names: Names) -> None:
    problems: list[Problem] = []
    parse_expression("$inputs.custommer", names, problems)
    assert problems[0].hint == "did you mean 'customer'?"
    assert problems[0].message == "there is no input 'custommer'"


def test_hints_show_the_form_of_the_specification(names: Names) -> None:
    problems: list[Problem] = []
    parse_expression("$steps.create.outputs.items[0].a/b", names, problems)
    assert problems[0].hint == "write $steps.create.outputs.items#/0/a~1b"


def test_two_names_that_differ_in_case_are_not_guessed(read: Read) -> None:
    names = Names(inputs=frozenset({"Id", "iD"}))
    assert read(parse_expression, "$inputs.id", names=names) == (None, [("unknown-input", 8)])


def test_exact_names_win_over_longer_ones_of_other_case(read: Read) -> None:
    names = Names(inputs=frozenset({"a", "A.b"}))
    found, _ = read(parse_expression, "$inputs.a.b", names=names)
    assert (found.name, found.path) == ("a", ("b",))


def test_the_longest_declared_name_wins(read: Read) -> None:
    names = Names(inputs=frozenset({"a", "a.b", "a.b.c[0]"}))
    assert read(parse_expression, "$inputs.a.b.c[0]", names=names)[0].name == "a.b.c[0]"
    assert read(parse_expression, "$inputs.a.b.c[1]", names=names)[0].path == ("c", "1")
    assert read(parse_expression, "$inputs.a.bc", names=names)[0].path == ("bc",)


def test_a_step_id_that_holds_another_with_outputs(read: Read) -> None:
    names = Names(steps={"a": frozenset({"outputs.x"}), "a.outputs": frozenset({"x"})})
    found, _ = read(parse_expression, "$steps.a.outputs.outputs.x", names=names)
    assert (found.scope, found.name) == ("a.outputs", "x")


@pytest.mark.parametrize("names", [Names(), Names(inputs=frozenset({"id"}), open_inputs=True)])
def test_open_inputs(names: Names, read: Read) -> None:
    found, problems = read(parse_expression, "$inputs.other.x", names=names)
    assert (found.name, found.path) == ("other", ("x",))
    assert problems == [("navigation-syntax", 0)]


@pytest.mark.parametrize(
    ("text", "fields"), [entry for entry in PLAIN if entry[1][0] != "sourceDescriptions"]
)
def test_canonical_form(text: str, fields: tuple[Any, ...]) -> None:
    canonical_text = canonical(Expression(*fields, text))
    assert canonical_text.lower() == text.removesuffix("#").lower()
