"""String values of a document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_arazzo.expression.model import Constant, Expression, Select, Text
from airflow_arazzo.expression.names import Names, Problem
from airflow_arazzo.expression.parser import parse_text

Read = Callable[..., tuple[Any, list[tuple[str, int]]]]


def shape(template: Any) -> Any:
    """A template as plain data: expressions as what their author wrote, in a tuple."""
    if isinstance(template, Text):
        return [part if isinstance(part, str) else (part.text,) for part in template.parts]
    if isinstance(template, Expression):
        return (template.text,)
    return template.value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "costs $5",
        "US$ and $",
        "$inputs_foo",
        "$select",
        "$.a.b",
        "$[0]",
        "^200$",
        "a$",
        "\\$inputs.id",
        "{id}",
        "{ $foo }",
        "{$gt: 5}",
        "{$5}",
        "{$5",
        "x {{ jinja }} y $z",
        "{{ a $inputs.id }} {$5}",
        "{{ {$inputs.id} }}",
        "see $inputs.",
        "all of $inputs and $steps",
        "query($url: String!) { a(url: $url, method: $method, self: $self) }",
        "the $response.",
    ],
)
def test_stays_text(text: str, read: Read) -> None:
    assert read(parse_text, text) == (Constant(text), [])


@pytest.mark.parametrize("text", ["$inputs.id", "  $inputs.id\n", "$response.body#/a b"])
def test_a_whole_expression_keeps_its_type(text: str, read: Read) -> None:
    template, problems = read(parse_text, text)
    assert shape(template) == (text.strip(),)
    assert problems == []


def test_a_whole_expression_in_braces_keeps_its_type_too(read: Read) -> None:
    template, problems = read(parse_text, " {$inputs.id}")
    assert shape(template) == ("$inputs.id",)
    assert problems == [("whole-in-braces", 1)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Bearer {$inputs.id}", ["Bearer ", ("$inputs.id",)]),
        ("{$inputs.first}{$inputs.last}", [("$inputs.first",), ("$inputs.last",)]),
        ("{$inputs.first} ", None),
        ("a{$response.body#/x y/0}b", ["a", ("$response.body#/x y/0",), "b"]),
        ("{$sourceDescriptions.pets.url}#/paths/~1a", [("$sourceDescriptions.pets.url",), "#/paths/~1a"]),
        ("<a>{$inputs.two words}</a>", ["<a>", ("$inputs.two words",), "</a>"]),
        ("${$inputs.id}", ["$", ("$inputs.id",)]),
        ("{a{$inputs.id}}", ["{a", ("$inputs.id",), "}"]),
        ("{{x}} {{ $inputs.id }}{$inputs.id}", ["{{x}} {{ $inputs.id }}", ("$inputs.id",)]),
        ("{{x {$inputs.id}", ["{{x ", ("$inputs.id",)]),
        ("{{$inputs.a.b}}{$inputs.id}", ["{{$inputs.a.b}}", ("$inputs.id",)]),
        ("{{x}} {$inputs.id}", ["{{x}} ", ("$inputs.id",)]),
        ("{$url}?{$method}", [("$url",), "?", ("$method",)]),
    ],
)
def test_embedded(text: str, parts: list[Any] | None, read: Read) -> None:
    template, problems = read(parse_text, text)
    assert shape(template) == (parts if parts is not None else ("$inputs.first",))
    assert [code for code, _ in problems if code not in ("whole-in-braces", "double-braces")] == []


@pytest.mark.parametrize(
    ("text", "parts", "offsets"),
    [
        ("Bearer $inputs.id", ["Bearer ", ("$inputs.id",)], [7]),
        ("is $inputs.first.", ["is ", ("$inputs.first",), "."], [3]),
        ("$inputs.first $inputs.last", [("$inputs.first",), " ", ("$inputs.last",)], [0, 14]),
        ("$inputs.id-$inputs.first", [("$inputs.id",), "-", ("$inputs.first",)], [0, 11]),
        ("$inputs.id/x", [("$inputs.id",), "/x"], [0]),
        ("key: $inputs.cus-id, x", ["key: ", ("$inputs.cus-id",), ", x"], [5]),
        ("a $inputs.customer.name!", ["a ", ("$inputs.customer.name",), "!"], [2]),
        ("a $response.body#/x/0.", ["a ", ("$response.body#/x/0",), "."], [2]),
        ("got $statusCode.", ["got ", ("$statusCode",), "."], [4]),
        ("t=$response.header.X-Id;", ["t=", ("$response.header.X-Id",), ";"], [2]),
        ("{$inputs.id} $inputs.first", [("$inputs.id",), " ", ("$inputs.first",)], [13]),
        ("n $steps.create.outputs.items[0].id)", ["n ", ("$steps.create.outputs.items[0].id",), ")"], [2]),
        ("f=$inputs.filter[status]&", ["f=", ("$inputs.filter[status]",), "&"], [2]),
    ],
)
def test_bare_expressions_in_text(text: str, parts: list[Any], offsets: list[int], read: Read) -> None:
    template, problems = read(parse_text, text)
    assert shape(template) == parts
    assert problems == [("bare-expression", offset) for offset in offsets]


def test_bare_expressions_can_be_left_alone(read: Read) -> None:
    assert read(parse_text, "^$inputs.id$", bare=False) == (Constant("^$inputs.id$"), [])
    template, problems = read(parse_text, "^{$inputs.id}$", bare=False)
    assert (shape(template), problems) == (["^", ("$inputs.id",), "$"], [])


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ("$inputs.nope", "unknown-input", 8),
        (" {$inputs.nope}", "unknown-input", 10),
        ("x {$inputs.nope}", "unknown-input", 11),
        ("$statusCode == 200", "bad-expression", 11),
        ("$inputs.id || 'x'", "unknown-input", 8),
        ("{$inputs.id", "bad-expression", 0),
        ("x {$inputs.id y", "bad-expression", 2),
        ("{$foo}", "bad-expression", 1),
        ("x {$foo.bar}", "bad-expression", 3),
        ("$input.id", "bad-expression", 0),
        ("$inputsfoo.id", "bad-expression", 0),
        ("$steps.create.outputs.id-2", "unknown-output", 22),
        ("$response", "bad-expression", 9),
    ],
)
def test_errors(text: str, code: str, offset: int, read: Read) -> None:
    assert read(parse_text, text) == (Constant(text), [(code, offset)])


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ("a typo $inputs.frist!", "literal-expression", 15),
        ("a $steps.create.id2", "literal-expression", 15),
        ("{{$inputs.id}}", "double-braces", 0),
        ("$dependencies.setup.id", "unknown-root", 0),
    ],
)
def test_text_that_may_have_been_meant_as_an_expression(
    text: str, code: str, offset: int, read: Read
) -> None:
    assert read(parse_text, text) == (Constant(text), [(code, offset)])


def test_many_values_become_a_selector(read: Read) -> None:
    template, problems = read(parse_text, "$steps.create.outputs.items[*].id")
    assert isinstance(template, Select)
    assert (template.context.text, template.selector) == ("$steps.create.outputs.items", "$[*].id")
    assert (template.type, template.version) == ("jsonpath", "rfc9535")
    assert problems == [("navigation-syntax", 27)]
    assert read(parse_text, "$steps.create.outputs.items[*]x[", many=True)[0] == Constant(
        "$steps.create.outputs.items[*]x["
    )
    assert read(parse_text, "$response.body[*]", many=False)[1] == [("bad-expression", 14)]


def test_the_hint_of_a_bare_expression_is_what_to_write(names: Names) -> None:
    problems: list[Problem] = []
    parse_text("to $inputs.customer.name", names, problems)
    assert problems[0].hint == "write {$inputs.customer#/name}"
