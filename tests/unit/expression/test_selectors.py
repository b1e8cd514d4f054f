"""Selector Objects, and the binding of values into queries."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.expression.binding import bind_jsonpath, bind_pointer, bind_text, bind_xpath
from airflow_arazzo.expression.evaluate import AbsentInText, evaluate
from airflow_arazzo.expression.jsonpath import select
from airflow_arazzo.expression.model import ABSENT, Expression, Select, Text
from airflow_arazzo.expression.names import Names
from airflow_arazzo.expression.parser import parse_selector
from airflow_arazzo.expression.xpath import select as select_xpath

Read = Callable[..., tuple[Any, list[tuple[str, int]]]]

BODY = Expression("response", part="body", text="$response.body")
ID = Expression("inputs", name="id", text="$inputs.id")
XML = "<r><a>1</a><a>2</a><n>10.50</n></r>"


def selector(text: str, kind: str, version: str = "") -> Select:
    problems: list[Any] = []
    found = parse_selector(BODY, text, kind, version, Names(inputs=frozenset({"id"})), problems)
    assert found is not None, problems
    return found


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("$.items[0].id", "jsonpath", 1),
        ("$.items[*].id", "jsonpath", [1, 2]),
        ("$.items[?@.id == 2].s", "jsonpath", ["b"]),
        ("$.items[?@.id == 9].s", "jsonpath", []),
        ("$.items[9]", "jsonpath", ABSENT),
        ("$.nothing", "jsonpath", None),
        ("$", "jsonpath", {"items": [{"id": 1}, {"id": 2, "s": "b"}], "nothing": None}),
        ("/items/1/s", "jsonpointer", "b"),
        ("", "jsonpointer", {"items": [{"id": 1}, {"id": 2, "s": "b"}], "nothing": None}),
        ("/items/9", "jsonpointer", ABSENT),
        ("/nothing", "jsonpointer", None),
    ],
)
def test_json(text: str, kind: str, expected: Any, values: Any) -> None:
    body = {"items": [{"id": 1}, {"id": 2, "s": "b"}], "nothing": None}
    assert evaluate(selector(text, kind), values(body=body)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/r/n", "10.50"),
        ("/r/a", ["1", "2"]),
        ("/r/zz", ABSENT),
        ("count(/r/a)", 2),
        ("/r/a[{$inputs.id}]", "2"),
    ],
)
def test_xml(text: str, expected: Any, values: Any) -> None:
    assert evaluate(selector(text, "xpath"), values(body=XML, inputs={"id": 2})) == expected


@pytest.mark.parametrize(
    ("body", "message"), [({"a": 1}, "not XML text"), ("{}", "not XML"), (None, "not XML text")]
)
def test_xpath_of_something_else(body: Any, message: str, values: Any) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(selector("/r", "xpath"), values(body=body))


@pytest.mark.parametrize(
    ("text", "kind", "version", "problem"),
    [
        ("$.a[", "jsonpath", "", ("bad-jsonpath", 4)),
        ("$.a == 1", "jsonpath", "", ("bad-jsonpath", 4)),
        ("/a[", "xpath", "", ("bad-xpath", 2)),
        ("/a~2", "jsonpointer", "", ("bad-jsonpointer", 0)),
        ("$.a", "jsonpath", "rfc", ("unknown-version", 0)),
        ("/a", "xpath", "3.1", ("unknown-version", 0)),
        ("$.a", "json-path", "", ("unknown-type", 0)),
        ("$.a", "regex", "", ("unknown-type", 0)),
        ("$.a[?@.b == {$inputs.nope}]", "jsonpath", "", ("unknown-input", 21)),
        ("$.{$inputs.id}", "jsonpath", "", ("bad-jsonpath", 0)),
    ],
)
def test_refused(text: str, kind: str, version: str, problem: tuple[str, int], read: Read) -> None:
    found, problems = read(lambda *a: parse_selector(BODY, text, kind, version, *a))
    assert found is None
    assert problems == [problem]


@pytest.mark.parametrize(
    ("text", "kind", "version", "selected", "code"),
    [
        ("a/b", "jsonpointer", "", ("/a/b", "jsonpointer", "rfc6901"), "pointer-slash"),
        ("#/a/b", "jsonpointer", "", ("/a/b", "jsonpointer", "rfc6901"), "pointer-slash"),
        ("$.a", "JSONPath", "", ("$.a", "jsonpath", "rfc9535"), "name-case"),
        ("$.a", "jsonpath", "RFC9535", ("$.a", "jsonpath", "rfc9535"), "name-case"),
    ],
)
def test_tolerated(text: str, kind: str, version: str, selected: Any, code: str, read: Read) -> None:
    found, problems = read(lambda *a: parse_selector(BODY, text, kind, version, *a))
    assert (found.selector, found.type, found.version) == selected
    assert [name for name, _ in problems] == [code]


def test_versions_have_defaults(read: Read) -> None:
    assert selector("$.a", "jsonpath").version == "rfc9535"
    assert selector("/a", "xpath").version == "xpath-31"
    assert selector("/a", "jsonpointer").version == "rfc6901"
    assert selector("/a", "xpath", "xpath-10").version == "xpath-10"


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (5, "5"),
        (Decimal("10.10"), "10.10"),
        (Decimal("1E+2"), "100"),
        (True, "true"),
        (None, "null"),
        (ABSENT, "null"),
        ("a b", '"a b"'),
        ("é", '"é"'),
        ('"]', '"\\u0022\\u005d"'),
    ],
)
def test_jsonpath_literals(value: Any, literal: str) -> None:
    assert bind_jsonpath(Text(("$[?@.a == ", ID, "]")), lambda _: value) == f"$[?@.a == {literal}]"


@pytest.mark.parametrize("value", [{}, [1]])
def test_objects_and_arrays_are_no_literals(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot stand in a query"):
        bind_jsonpath(Text(("$[", ID, "]")), lambda _: value)


def test_absent_values_do_not_become_part_of_a_text() -> None:
    for bind, query in [
        (bind_jsonpath, "$['x"),
        (bind_xpath, "/a['x"),
        (bind_pointer, "/x"),
        (bind_text, "x"),
    ]:
        with pytest.raises(AbsentInText):
            bind(Text((query, ID)), lambda _: ABSENT)  # type: ignore[operator]


def test_quotes_inside_strings_are_seen() -> None:
    assert bind_jsonpath(Text((r"""$['it\'s', "a'b"][?@ == """, ID, "]")), lambda _: "x").endswith('"x"]')
    assert bind_jsonpath(Text((r"""$['it\\'][?@ == '""", ID, "']")), lambda _: "x").endswith("'x']")
    assert bind_xpath(Text(("""/a["it's"][. = """, ID, "]")), lambda _: 1)[0].endswith("[. = $embedded-0]")


def test_a_string_with_values_becomes_one_variable() -> None:
    query = Text(("/a[. = 'x-", ID, "-", ID, '\'][b = "y"][c = ', ID, "]"))
    assert bind_xpath(query, lambda _: 7) == (
        '/a[. = $embedded-0][b = "y"][c = $embedded-1]',
        {"embedded-0": "x-7-7", "embedded-1": 7},
    )


def test_pointers_are_escaped() -> None:
    assert bind_pointer(Text(("/a/", ID)), lambda _: "b/c~d") == "/a/b~1c~0d"


NASTY = st.one_of(
    st.text(),
    st.text("\"'\\/]}[{()|&=$@.?*, \n\r\tu0022xtrue"),
    st.sampled_from(
        ['"] || true || ["', "'] || true || ['", "\\", "\\'", '\\"', "\\u0022", "' or '1'='1", "\u2028"]
    ),
).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))

DOCUMENT = {"users": [{"name": "alice", "secret": 1}, {"name": "bob", "secret": 2}]}


@given(
    NASTY,
    st.sampled_from(['@.name == "{}"', "@.name == '{}'", "@.name == {}", '@.name == "{}" && @.secret == 3']),
)
def test_a_value_cannot_change_a_jsonpath(value: str, condition: str) -> None:
    before, after = f"$.users[?{condition}]".split("{}")
    query = bind_jsonpath(Text((before, ID, after)), lambda _: value)
    expected = [] if "3" in condition else [user for user in DOCUMENT["users"] if user["name"] == value]
    for version in ("rfc9535", "draft-goessner-dispatch-jsonpath-00"):
        assert select(DOCUMENT, query, version) == expected


@given(NASTY, st.sampled_from(['@.v == "{}"', "@.v == '{}'", "@.v == {}"]))
def test_a_value_is_found_as_it_is(value: str, condition: str) -> None:
    before, after = f"$[?{condition}]".split("{}")
    query = bind_jsonpath(Text((before, ID, after)), lambda _: value)
    assert select([{"v": value}, {"v": value + "!"}], query) == [{"v": value}]


@given(
    NASTY.filter(lambda text: text.isprintable()),
    st.sampled_from(["/r/a[. = '{}']", '/r/a[. = "{}"]', "/r/a[. = {}]"]),
    st.sampled_from(["xpath-31", "xpath-20", "xpath-10"]),
)
def test_a_value_cannot_change_an_xpath(value: str, query: str, version: str) -> None:
    before, after = query.split("{}")
    bound, variables = bind_xpath(Text((before, ID, after)), lambda _: value)
    assert select_xpath(XML, bound, version, variables) == [text for text in ("1", "2") if text == value]


@given(NASTY)
def test_a_value_cannot_leave_its_token_of_a_pointer(value: str) -> None:
    pointer = Select(BODY, "/a/{$inputs.id}/b", "jsonpointer", "rfc6901", Text(("/a/", ID, "/b")))

    class Scope:
        def lookup(self, expression: Expression) -> Any:
            return value if expression is ID else {"a": {value: {"b": 1}}, "b": 2}

    assert evaluate(pointer, Scope()) == 1


def test_a_query_without_expressions_is_kept_as_written() -> None:
    assert selector("$.a", "jsonpath").query is None
    assert selector("$.a[{$inputs.id}]", "jsonpath").query == Text(("$.a[", ID, "]"))
