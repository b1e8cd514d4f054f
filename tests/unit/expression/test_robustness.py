"""No text makes a reader raise, and what readers accept can be evaluated."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_arazzo.expression.conditions import evaluate_condition, parse_condition
from airflow_arazzo.expression.criteria import evaluate_criterion, parse_criterion
from airflow_arazzo.expression.evaluate import AbsentInText, evaluate
from airflow_arazzo.expression.model import ABSENT, Constant, Expression, Text
from airflow_arazzo.expression.names import Names, Problem, failed
from airflow_arazzo.expression.parser import parse_expression, parse_selector, parse_text

NAMES = Names(
    inputs=frozenset({"id", "a.b", "x y", "f[s]", "", "$"}),
    outputs=None,
    steps={"s": frozenset({"o", "p q"}), "s.outputs": frozenset({"o"}), "t": None},
    workflows={"w": (None, frozenset({"o"}))},
    sources=frozenset({"api"}),
)
BODY = Expression("response", part="body", text="$response.body")

fragments = st.sampled_from(
    [
        "$",
        "$inputs",
        ".",
        "id",
        "a.b",
        "[0]",
        "['k']",
        "#",
        "#/",
        "/a",
        "~1",
        "~",
        "$steps",
        ".s",
        ".outputs",
        ".o",
        "$response",
        ".body",
        ".header",
        ".X-A",
        "$statusCode",
        "$workflows",
        ".w",
        "$sourceDescriptions",
        ".api",
        "$components",
        ".parameters",
        "{",
        "}",
        "{$",
        "==",
        "!=",
        "<",
        "<=",
        "&&",
        "||",
        "!",
        "(",
        ")",
        "'x'",
        '"y"',
        "12",
        "1.5",
        "null",
        "true",
        "word",
        "''",
        "",
        "{{",
        "}}",
        ":",
        ",",
        "?",
        "@",
        "*",
        "[?@.a",
        "[*]",
        ".length",
        ".length()",
        "$.",
        "$[",
        "]",
        "é",
        "😀",
        "\n",
        "/",
        "^",
        "\\",
        "count(",
        "match(",
    ]
)
texts = st.text() | st.lists(fragments | st.just(" "), max_size=12).map("".join)


class Everything:
    """A scope in which everything has a value, or nothing."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def lookup(self, expression: Expression) -> Any:
        return self.value


SCOPES = [
    Everything(ABSENT),
    Everything(None),
    Everything({"a": [Decimal("1.5"), "x"], "k": "v", "length": 3}),
    Everything([{"a": 1}]),
    Everything("<r><a>1</a></r>"),
    Everything(Decimal("12")),
]


def inside(problems: list[Problem], text: str) -> bool:
    return all(0 <= problem.offset <= len(text) and problem.message for problem in problems)


@given(texts)
@example("$inputs.")
@example("{$")
def test_expressions(text: str) -> None:
    problems: list[Problem] = []
    found = parse_expression(text, NAMES, problems)
    assert (found is None) is failed(problems)
    assert inside(problems, text)
    if found is not None:
        assert found.text in text
        again: list[Problem] = []
        assert parse_expression(found.text, NAMES, again) == found


@given(texts)
def test_text(text: str) -> None:
    problems: list[Problem] = []
    template = parse_text(text, NAMES, problems)
    assert inside(problems, text)
    if isinstance(template, Constant):
        assert template.value == text
    if isinstance(template, Text):
        assert all(part for part in template.parts)
        rebuilt = "".join(part if isinstance(part, str) else part.text for part in template.parts)
        braces = sum(isinstance(part, Expression) for part in template.parts) * 2
        assert len(text) - braces <= len(rebuilt) <= len(text)
    for scope in SCOPES:
        with suppress(AbsentInText, ValueError):
            evaluate(template, scope)


@given(texts)
def test_text_without_expressions_stays(text: str) -> None:
    plain = text.replace("$", "")
    problems: list[Problem] = []
    assert parse_text(plain, NAMES, problems) == Constant(plain)
    assert problems == []


@given(texts)
@example("(" * 5000)
@example("!" * 5000)
def test_conditions(text: str) -> None:
    problems: list[Problem] = []
    condition = parse_condition(text, NAMES, problems)
    assert (condition is None) is failed(problems)
    assert inside(problems, text)
    if condition is not None:
        for scope in SCOPES:
            with suppress(AbsentInText):
                assert evaluate_condition(condition, scope) in (True, False)


@settings(max_examples=200)
@given(
    texts,
    st.sampled_from(["simple", "regex", "jsonpath", "xpath"]),
    st.sampled_from(["", "xpath-10", "xpath-20"]),
)
def test_criteria(text: str, kind: str, version: str) -> None:
    problems: list[Problem] = []
    version = version if kind == "xpath" else ""
    criterion = parse_criterion(kind, version, text, BODY, NAMES, problems)
    assert (criterion is None) is failed(problems)
    assert inside(problems, text)
    if criterion is not None:
        for scope in SCOPES:
            verdict = evaluate_criterion(criterion, scope)
            assert verdict.passed in (True, False)
            assert verdict.reason


@settings(max_examples=200)
@given(texts, st.sampled_from(["jsonpath", "xpath", "jsonpointer"]))
def test_selectors(text: str, kind: str) -> None:
    problems: list[Problem] = []
    select = parse_selector(BODY, text, kind, "", NAMES, problems)
    assert (select is None) is failed(problems)
    assert inside(problems, text)
    if select is not None:
        for scope in SCOPES:
            with suppress(AbsentInText, ValueError):
                evaluate(select, scope)


@given(st.lists(st.text("ab{}$. ", min_size=1) | st.just(None), max_size=6))
def test_templating_puts_values_where_they_belong(pieces: list[str | None]) -> None:
    literal = [piece if piece is None else piece.replace("$", "").replace("{", "") for piece in pieces]
    text = "".join("{$inputs.id}" if piece is None else piece for piece in literal)
    expected = "".join("<$inputs.id>" if piece is None else piece for piece in literal)
    template = parse_text(text, NAMES, [])
    assert str(evaluate(template, Everything("<$inputs.id>"))) == (
        "<$inputs.id>" if isinstance(template, Expression) else expected
    )
