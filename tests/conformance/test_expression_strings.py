"""Runtime expressions inside text, and those that name source descriptions."""

from __future__ import annotations

from typing import Any

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule
from tests.conformance.test_expressions import value

BOTH = "1.0 1.1"
EMBEDDED, SOURCES = "Runtime Expressions: embedded", "Runtime Expressions: source descriptions"


@cases(
    "text, expected",
    case(
        "one",
        BOTH,
        EMBEDDED,
        "an expression in braces inside text",
        "id-{$response.body#/items/0/id}",
        "id-1",
    ),
    case(
        "several",
        BOTH,
        EMBEDDED,
        "several expressions in one text",
        "{$inputs.who}:{$statusCode}/{$method}",
        "me:201/PUT",
    ),
    case("text", BOTH, EMBEDDED, "text is put in as it is", "<{$inputs.who}>", "<me>"),
    case("number", BOTH, EMBEDDED, "a number becomes its text", "n={$response.body#/count}", "n=10"),
    case(
        "boolean",
        BOTH,
        EMBEDDED,
        "a boolean becomes `true` or `false`",
        "b={$request.query.dry run}",
        "b=true",
    ),
    case("null", BOTH, EMBEDDED, "null becomes `null`", "x={$response.body#/null}", "x=null"),
    case("object", BOTH, EMBEDDED, "an object becomes JSON", "o={$response.body#/items/0}", 'o={"id":1}'),
    case(
        "array", BOTH, EMBEDDED, "an array becomes JSON", "o={$response.body#/items}", 'o=[{"id":1},{"id":2}]'
    ),
    case(
        "digits",
        BOTH,
        EMBEDDED,
        "large numbers keep their digits",
        "n={$inputs.big}",
        "n=12345678901234567890",
    ),
    case(
        "whole",
        BOTH,
        EMBEDDED,
        "text that is nothing but one expression in braces",
        "{$response.body#/count}",
        10,
        differs="it keeps its type",
    ),
    case(
        "literal",
        BOTH,
        EMBEDDED,
        "braces around anything else are text",
        "{a} {$statusCode} {}",
        "{a} 201 {}",
    ),
)
def test_embedded(arazzo: Arazzo, text: str, expected: Any) -> None:
    assert value(arazzo, text, who="me", big=12345678901234567890) == expected


@rule(BOTH, EMBEDDED, "XML and other text responses are put in unchanged")
def test_embedded_text(arazzo: Arazzo) -> None:
    step = "operationId: search\noutputs:\n  x: 'was: {$response.body}'"
    assert arazzo.step(step, reply(200, "<a>1</a>")).outputs == {"x": "was: <a>1</a>"}


@rule(
    BOTH,
    EMBEDDED,
    "an expression inside text that has no value fails the step",
    differs="the specification does not say",
)
def test_absent_in_text(arazzo: Arazzo) -> None:
    run = arazzo.step(
        "operationId: createPet\nrequestBody: {payload: {id: 'evt-{$inputs.who}'}}", properties="who: {}"
    )
    assert (run.sent, run.failure.partition(":")[0]) == ([], "absent-in-text")


@rule(BOTH, SOURCES, "`$sourceDescriptions.<name>.<operationId>` names an operation")
def test_operation(arazzo: Arazzo) -> None:
    assert arazzo.step("operationId: $sourceDescriptions.shop.search").calls == ["GET /search"]


@rule(BOTH, SOURCES, "operationIds may have any characters")
def test_odd_operation(arazzo: Arazzo) -> None:
    arazzo.write(
        "shop.yaml",
        "openapi: 3.1.0\ninfo: {title: T}\npaths: {/a: {get: {operationId: 'pets/list.all (v2)'}}}",
    )
    assert arazzo.step("operationId: $sourceDescriptions.shop.pets/list.all (v2)").calls == ["GET /a"]


@rule(BOTH, SOURCES, "`$sourceDescriptions.<name>.<workflowId>` names a workflow")
def test_workflow(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: search", name="find"), "b.yaml")
    run = arazzo.step(
        "workflowId: $sourceDescriptions.b.find", sources="- {name: b, url: b.yaml, type: arazzo}"
    )
    assert run.calls == ["GET /search"]


@rule("1.1", SOURCES, "an operation whose id is the name of a field comes before the field")
def test_operation_before_field(arazzo: Arazzo) -> None:
    arazzo.write("shop.yaml", "openapi: 3.1.0\ninfo: {title: T}\npaths: {/a: {get: {operationId: url}}}")
    assert arazzo.step("operationId: $sourceDescriptions.shop.url").calls == ["GET /a"]


@cases(
    "field, expected",
    case(
        "url",
        BOTH,
        SOURCES,
        "`$sourceDescriptions.<name>.url` is the URL as the document gives it",
        "url",
        "shop.yaml",
    ),
    case(
        "type",
        "1.1",
        SOURCES,
        "`$sourceDescriptions.<name>.type`",
        "type",
        "openapi",
    ),
    case(
        "name",
        "1.1",
        SOURCES,
        "`$sourceDescriptions.<name>.name`",
        "name",
        "shop",
    ),
)
def test_fields(arazzo: Arazzo, field: str, expected: str) -> None:
    assert value(arazzo, f"$sourceDescriptions.shop.{field}") == expected


@rule(
    "1.1",
    SOURCES,
    "`$sourceDescriptions.<name>.url` of a source that no step calls",
)
def test_field_of_unused_source(arazzo: Arazzo) -> None:
    text = one_step("operationId: search\noutputs:\n  x: $sourceDescriptions.more.url")
    assert arazzo.run(text, sources="- {name: more, url: orders.yaml, type: asyncapi}").outputs == {
        "x": "orders.yaml"
    }
