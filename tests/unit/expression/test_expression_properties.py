"""Every expression that the grammar of Arazzo 1.1 can make is read, printed and evaluated as it means it.

Expressions are made from the ABNF of the section "Runtime Expressions". What each means is known while it is
made, and values are found by a reading of RFC 6901 of the tests' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.expression.evaluate import evaluate
from airflow_arazzo.expression.model import ABSENT, Expression, Text
from airflow_arazzo.expression.names import Names, Problem, failed
from airflow_arazzo.expression.parser import parse_expression, parse_text
from airflow_arazzo.expression.scanner import canonical


@dataclass(frozen=True)
class Made:
    """An expression, and what it means.

    :param key: root, scope, part and name of the value that it names.
    :param tokens: reference tokens into that value.
    """

    text: str
    key: tuple[str, str, str, str]
    tokens: tuple[str, ...] = ()


ALPHANUMERIC = "abcXYZ019"
identifiers_strict = st.text(ALPHANUMERIC + "_-", min_size=1, max_size=6)
identifiers = st.text(ALPHANUMERIC + "._-", min_size=1, max_size=8).filter(
    lambda name: name.strip(".") == name
)
header_names = st.text(ALPHANUMERIC + "!#$%&'*+-.^_`|~", min_size=1, max_size=8)
"""``token`` of RFC 9110; a name that begins like a pointer or a bracket is still a token."""
characters = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="{}")
names = st.text(characters, min_size=1, max_size=8).filter(lambda name: name[0] != "[")
"""``name`` is any ``CHAR``; brackets at its beginning are the tolerance ``['name']``, braces end it."""
escaped = st.text("~/01", max_size=4)
tokens = st.lists(st.text(characters, max_size=5) | escaped, max_size=3).map(tuple)


def pointer(path: tuple[str, ...]) -> str:
    """``["#" json-pointer]``."""
    return "#" + "".join("/" + t.replace("~", "~0").replace("/", "~1") for t in path) if path else ""


@st.composite
def expressions(draw: st.DrawFn) -> Made:
    """The rule ``expression``."""
    root = draw(
        st.sampled_from(
            ["url", "method", "statusCode", "self", "exchange", "named", "steps", "workflows", "source"]
        )
    )
    if root in ("url", "method", "statusCode", "self"):
        return Made(f"${root}", (root, "", "", ""))
    path = draw(tokens)
    if root == "exchange":
        root = draw(st.sampled_from(["request", "response"]))
        part = draw(st.sampled_from(["header", "query", "path", "body"]))
        if part == "body":
            return Made(f"${root}.body{pointer(path)}", (root, "", "body", ""), path)
        name = draw(header_names if part == "header" else names)
        return Made(f"${root}.{part}.{name}", (root, "", part, name.lower() if part == "header" else name))
    if root == "source":
        scope, name = draw(identifiers_strict), draw(identifiers)
        return Made(f"$sourceDescriptions.{scope}.{name}", ("sourceDescriptions", scope, "", name))
    name = draw(identifiers)
    if root == "named":
        root = draw(st.sampled_from(["inputs", "outputs"]))
        return Made(f"${root}.{name}{pointer(path)}", (root, "", "", name), path)
    scope = draw(identifiers_strict)
    if root == "steps":
        return Made(f"$steps.{scope}.outputs.{name}{pointer(path)}", ("steps", scope, "", name), path)
    part = draw(st.sampled_from(["inputs", "outputs"]))
    return Made(f"$workflows.{scope}.{part}.{name}{pointer(path)}", ("workflows", scope, part, name), path)


@st.composite
def declared(draw: st.DrawFn, made: Made) -> Names:
    """A document that declares what an expression names, among other names that are much like it."""
    root, scope, part, name = made.key
    others = draw(st.frozensets(identifiers, max_size=4)) | {name[:-1] or "z", name.swapcase()}
    known = frozenset(others | {name})
    scopes = [s for s in draw(st.lists(identifiers_strict, max_size=3)) if s.lower() != scope.lower()]
    return Names(
        inputs=known if root == "inputs" else others,
        outputs=known if root == "outputs" else others,
        steps={**dict.fromkeys(scopes, others), **({scope: known} if root == "steps" else {})},
        workflows={
            **dict.fromkeys(scopes, (others, others)),
            **(
                {scope: (known, others) if part == "inputs" else (others, known)}
                if root == "workflows"
                else {}
            ),
        },
        sources=frozenset({*scopes, scope} if root == "sourceDescriptions" else scopes),
    )


made_and_declared = expressions().flatmap(lambda made: st.tuples(st.just(made), declared(made)))

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab01~/", max_size=3)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab01~/", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


class Table:
    """A scope with one value; everything else has one that must not be found."""

    def __init__(self, key: tuple[str, str, str, str], value: Any) -> None:
        self.key, self.value = key, value

    def lookup(self, expression: Expression) -> Any:
        asked = (expression.root, expression.scope, expression.part, expression.name)
        return self.value if asked == self.key else "another value"


def walk(value: Any, path: tuple[str, ...]) -> Any:
    """RFC 6901, section 4, read literally."""
    for token in path:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and token in [str(index) for index in range(len(value))]:
            value = value[int(token)]
        else:
            return ABSENT
    return value


def along(value: Any, data: st.DataObject) -> tuple[str, ...]:
    """Reference tokens that mostly lead somewhere."""
    path: list[str] = []
    while isinstance(value, dict | list) and value and data.draw(st.booleans()):
        keys = list(value) if isinstance(value, dict) else [str(index) for index in range(len(value))]
        key = data.draw(st.sampled_from([*keys, "-", "01", "9"]))
        path.append(key)
        value = walk(value, (key,))
    return tuple(path)


@given(made_and_declared)
def test_read_as_the_grammar_means_it(case: tuple[Made, Names]) -> None:
    made, known = case
    problems: list[Problem] = []
    found = parse_expression(made.text, known, problems)
    assert not failed(problems), problems
    assert found is not None
    assert (found.root, found.scope, found.part, found.name) == made.key
    assert found.path == made.tokens
    assert not [problem for problem in problems if problem.severity != "note"]


@given(made_and_declared)
def test_what_is_printed_is_read_as_the_same(case: tuple[Made, Names]) -> None:
    made, known = case
    found = parse_expression(made.text, known, [])
    assert found is not None
    printed = canonical(found)
    again = parse_expression(printed, known, [])
    assert again is not None
    assert canonical(again) == printed
    for field in ("root", "scope", "part", "name", "path"):
        assert getattr(again, field) == getattr(found, field)
    assert printed.lower() == made.text.lower()


@given(escaped | st.integers(-1, 30).map(str), st.lists(scalars, max_size=30))
def test_one_token(token: str, items: list[Any]) -> None:
    """Of an object it is the name of a member, of an array an index without leading zeros."""
    known = Names(inputs=frozenset({"x"}))
    for value in (items, {token: 1}, {token.replace("~1", "/"): 1}, {"~1": 1, "/": 2, "~": 3, "01": 4}):
        for written in (token, f"0{token}"):
            found = parse_expression(f"$inputs.x{pointer((written,))}", known, [])
            assert found is not None
            assert evaluate(found, Table(("inputs", "", "", "x"), value)) == walk(value, (written,))


@given(st.data(), made_and_declared, values)
def test_evaluated_as_the_grammar_means_it(data: st.DataObject, case: tuple[Made, Names], value: Any) -> None:
    made, known = case
    text, path = made.text, ()
    if made.key[0] in ("inputs", "outputs", "steps", "workflows") or made.key[2] == "body":
        path = along(value, data)
        text = made.text.partition("#")[0] + pointer(path)
    found = parse_expression(text, known, [])
    assert found is not None
    assert evaluate(found, Table(made.key, value)) == walk(value, path)


@given(made_and_declared, names, names, st.text("ab 01~/-", max_size=5))
def test_embedded_in_text(case: tuple[Made, Names], before: str, behind: str, value: str) -> None:
    made, known = case
    before, behind = before.replace("$", ""), behind.replace("$", "")
    template = parse_text(f"{before}{{{made.text}}}{behind}", known, [])
    assert isinstance(template, Text) or not (before or behind)
    assert evaluate(template, Table(made.key, ABSENT if made.tokens else value), absent_text="empty") == (
        before + ("" if made.tokens else value) + behind
        if before or behind
        else ABSENT
        if made.tokens
        else value
    )
