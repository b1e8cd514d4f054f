"""Parameters as text, byte for byte, and read back by an independent reading of OpenAPI's style table."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.engine.serialize import write_cookies, write_header, write_path, write_query
from airflow_arazzo.expression.model import ABSENT, Constant
from airflow_arazzo.plan.model import Parameter

LIST = ["blue", "black", "brown"]
DEEP = "color%5Ba%5D%5Bb%5D%5Bc%5D=1&color%5Bd%5D%5B0%5D=2&color%5Bd%5D%5B1%5D=3"
OBJECT = {"R": 100, "G": 200, "B": 150}


def parameter(
    place: str, style: str = "form", explode: bool = False, name: str = "color", **more: Any
) -> Parameter:
    return Parameter(name, place, Constant(None), style=style, explode=explode, **more)  # type: ignore[arg-type]


# OpenAPI 3.1.1, "Style Examples", every row that is defined there.
@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", False, LIST, ";color=blue,black,brown"),
        ("matrix", False, OBJECT, ";color=R,100,G,200,B,150"),
        ("matrix", True, "blue", ";color=blue"),
        ("matrix", True, LIST, ";color=blue;color=black;color=brown"),
        ("matrix", True, OBJECT, ";R=100;G=200;B=150"),
        ("label", False, "blue", ".blue"),
        ("label", False, LIST, ".blue,black,brown"),
        ("label", False, OBJECT, ".R,100,G,200,B,150"),
        ("label", True, "blue", ".blue"),
        ("label", True, LIST, ".blue.black.brown"),
        ("label", True, OBJECT, ".R=100.G=200.B=150"),
        ("simple", False, "blue", "blue"),
        ("simple", False, LIST, "blue,black,brown"),
        ("simple", False, OBJECT, "R,100,G,200,B,150"),
        ("simple", True, "blue", "blue"),
        ("simple", True, LIST, "blue,black,brown"),
        ("simple", True, OBJECT, "R=100,G=200,B=150"),
    ],
)
def test_path_styles(style: str, explode: bool, value: Any, expected: str) -> None:
    assert write_path("/x/{color}/y", [(parameter("path", style, explode), value)]) == f"/x/{expected}/y"


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("form", False, "", "color="),
        ("form", False, "blue", "color=blue"),
        ("form", False, LIST, "color=blue,black,brown"),
        ("form", False, OBJECT, "color=R,100,G,200,B,150"),
        ("form", True, "", "color="),
        ("form", True, "blue", "color=blue"),
        ("form", True, LIST, "color=blue&color=black&color=brown"),
        ("form", True, OBJECT, "R=100&G=200&B=150"),
        ("spaceDelimited", False, LIST, "color=blue%20black%20brown"),
        ("spaceDelimited", False, OBJECT, "color=R%20100%20G%20200%20B%20150"),
        ("spaceDelimited", True, LIST, "color=blue&color=black&color=brown"),
        ("pipeDelimited", False, LIST, "color=blue%7Cblack%7Cbrown"),
        ("pipeDelimited", False, OBJECT, "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("pipeDelimited", True, LIST, "color=blue&color=black&color=brown"),
        ("deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        (
            "deepObject",
            True,
            {"a": {"b": {"c": 1}}, "d": [2, 3]},
            DEEP,
        ),
        ("deepObject", True, ["data.customer"], "color%5B0%5D=data.customer"),
        ("deepObject", True, "blue", "color=blue"),
        # null is sent as empty text, empty arrays and objects are left out
        ("form", True, None, "color="),
        ("form", True, ["a", None], "color=a&color="),
        ("form", False, ["a", None], "color=a,"),
        ("form", True, {"a": None}, "a="),
        ("deepObject", True, {"a": None}, "color%5Ba%5D="),
        ("form", True, [], ""),
        ("form", False, {}, ""),
        ("deepObject", True, {}, ""),
        ("form", True, ABSENT, ""),
        # plain values
        ("form", True, True, "color=true"),
        ("form", True, False, "color=false"),
        ("form", True, 12345678901234567890, "color=12345678901234567890"),
        ("form", True, Decimal("10.10"), "color=10.10"),
        ("form", True, Decimal("1E+3"), "color=1000"),
        # encoding: all but unreserved characters
        ("form", True, "a b+c&d=e/f?g#h%i~-._", "color=a%20b%2Bc%26d%3De%2Ff%3Fg%23h%25i~-._"),
        ("form", True, "Zoë €", "color=Zo%C3%AB%20%E2%82%AC"),
        ("form", False, ["a,b", "c"], "color=a%2Cb,c"),
        ("pipeDelimited", False, ["a,b", "c d"], "color=a%2Cb%7Cc%20d"),
    ],
)
def test_query_styles(style: str, explode: bool, value: Any, expected: str) -> None:
    assert write_query([(parameter("query", style, explode), value)]) == expected


def test_query_keeps_the_order_and_leaves_out_the_absent() -> None:
    names = ["b", "gone", "a", "b"]
    values = [
        (parameter("query", name=name), ABSENT if name == "gone" else index)
        for index, name in enumerate(names)
    ]
    assert write_query(values) == "b=0&a=2&b=3"


def test_literal_brackets_in_a_query_name_are_encoded() -> None:
    assert write_query([(parameter("query", name="filter[status]"), "open")]) == "filter%5Bstatus%5D=open"


def test_allow_reserved_passes_what_a_query_may_carry() -> None:
    value = "a/b?c:d@e!f$g'h(i)j*k,l;m=n&o+p#q[r]s%20t%zz"
    expected = "color=a/b?c:d@e!f$g'h(i)j*k,l;m=n%26o%2Bp%23q%5Br%5Ds%20t%25zz"
    assert write_query([(parameter("query", explode=True, allow_reserved=True), value)]) == expected


def test_content_parameters_are_json() -> None:
    json = parameter("query", content_type="application/json")
    assert write_query([(json, {"a": [1, "b c"]})]) == "color=%7B%22a%22%3A%5B1%2C%22b%20c%22%5D%7D"
    assert write_query([(json, "blue")]) == "color=%22blue%22"
    assert write_query([(json, '{"a": 1}')]) == "color=%7B%22a%22%3A1%7D"
    assert write_query([(parameter("query", content_type="text/plain"), "a b")]) == "color=a%20b"
    assert write_path("/{color}", [(parameter("path", content_type="application/json"), [1])]) == "/%5B1%5D"
    assert write_header({"n": "é😀"}, parameter("header", content_type="application/json")) == (
        '{"n":"\\u00e9\\ud83d\\ude00"}'
    )


def test_the_whole_query_as_one_parameter() -> None:
    assert write_query([(parameter("querystring"), "?a=1&b=x y")]) == "a=1&b=x%20y"
    form = parameter("querystring", content_type="application/x-www-form-urlencoded")
    assert write_query([(form, {"a": [1, 2], "b c": None})]) == "a=1&a=2&b%20c="
    assert (
        write_query([(parameter("querystring", content_type="application/json"), {"a": 1})])
        == "%7B%22a%22%3A1%7D"
    )


def test_path_values_are_encoded_and_the_template_is_kept() -> None:
    ident = parameter("path", "simple", name="id")
    assert write_path("/a/{id}", [(ident, "x/y z?#%é")]) == "/a/x%2Fy%20z%3F%23%25%C3%A9"
    assert write_path("/v1/a:b@c/(d)/{id}.json", [(ident, 7)]) == "/v1/a:b@c/(d)/7.json"
    assert write_path("/a b/{id}%20", [(ident, 7)]) == "/a%20b/7%20"
    assert write_path("/a?do=x#frag", []) == "/a?do=x"
    assert write_path("a", []) == "/a"
    assert (
        write_path("/a/{id}", [(parameter("path", "simple", name="id", allow_reserved=True), "a:b/c,d")])
        == "/a/a:b%2Fc,d"
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (ABSENT, "missing-path-parameter"),
        (None, "empty-path-parameter"),
        ("", "empty-path-parameter"),
        ([], "empty-path-parameter"),
        ({}, "empty-path-parameter"),
        ([""], "empty-path-parameter"),
        (["a", None], "empty-path-parameter"),
        ({"a": None}, "empty-path-parameter"),
        (".", "path-dots"),
        ("..", "path-dots"),
        (b"x", "nested-value"),
        ([["a"]], "nested-value"),
        ({"a": {"b": 1}}, "nested-value"),
        (Decimal("NaN"), "unwritable-value"),
        ("\ud800", "unwritable-value"),
    ],
)
def test_path_values_that_are_refused(value: Any, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        write_path("/customers/{id}", [(parameter("path", "simple", name="id"), value)])
    assert caught.value.code == code


def test_a_null_in_a_path_is_called_null() -> None:
    with pytest.raises(RequestError, match="path parameter 'id' is null"):
        write_path("/{id}", [(parameter("path", "simple", name="id"), None)])


def test_a_placeholder_without_parameter_is_named() -> None:
    with pytest.raises(RequestError, match="'customer_id'") as caught:
        write_path("/customers/{customer_id}", [(parameter("path", name="id"), "1")])
    assert caught.value.code == "missing-path-parameter"


def test_encoded_dots_count_too() -> None:
    reserved = parameter("path", "simple", name="id", allow_reserved=True)
    with pytest.raises(RequestError) as caught:
        write_path("/customers/{id}", [(reserved, "%2E%2e")])
    assert caught.value.code == "path-dots"


def test_dots_inside_a_segment_are_fine() -> None:
    assert write_path("/a/../b", []) == "/a/../b"
    assert write_path("/a/x{id}", [(parameter("path", "simple", name="id"), "..")]) == "/a/x.."


@pytest.mark.parametrize(
    ("style", "value", "code"),
    [
        ("form", [["a"]], "nested-value"),
        ("form", {"a": {"b": 1}}, "nested-value"),
        ("form", b"x", "nested-value"),
        ("form", Decimal("Infinity"), "unwritable-value"),
        ("spaceDelimited", ["a b", "c"], "delimiter-in-value"),
        ("pipeDelimited", ["a|b", "c"], "delimiter-in-value"),
    ],
)
def test_query_values_that_are_refused(style: str, value: Any, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        write_query([(parameter("query", style, explode=False), value)])
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("explode", "value", "expected"),
    [
        (False, "a b/c%", "a b/c%"),
        (False, LIST, "blue,black,brown"),
        (False, OBJECT, "R,100,G,200,B,150"),
        (True, OBJECT, "R=100,G=200,B=150"),
        (False, True, "true"),
        (False, Decimal("1.50"), "1.50"),
        (False, None, ""),
        (False, " padded ", "padded"),
    ],
)
def test_headers(explode: bool, value: Any, expected: str) -> None:
    assert write_header(value, parameter("header", "simple", explode, name="X-Color")) == expected


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "é", "€", "\x7f", ["a", "b\n"]])
def test_header_values_that_are_refused_are_not_shown(value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        write_header(value, parameter("header", "simple", name="X-Color"))
    assert caught.value.code == "bad-header-value"
    assert "Evil" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é"])
def test_header_names_that_are_refused(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        write_header("x", parameter("header", "simple", name=name))
    assert caught.value.code == "bad-header-name"


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("form", True, "a b;c", "color=a%20b%3Bc"),
        ("form", False, LIST, "color=blue,black,brown"),
        ("form", True, LIST, "color=blue; color=black; color=brown"),
        ("form", False, OBJECT, "color=R,100,G,200,B,150"),
        ("form", True, OBJECT, "R=100; G=200; B=150"),
        ("cookie", True, "a/b=c%", "color=a/b=c%"),
        ("cookie", True, LIST, "color=blue; color=black; color=brown"),
        ("cookie", True, OBJECT, "R=100; G=200; B=150"),
        ("cookie", False, LIST, "color=blue,black,brown"),
        ("form", True, None, "color="),
        ("form", True, [], ""),
        ("form", True, ABSENT, ""),
    ],
)
def test_cookies(style: str, explode: bool, value: Any, expected: str) -> None:
    assert write_cookies([(parameter("cookie", style, explode), value)]) == expected


def test_cookies_are_joined_and_plain_ones_checked() -> None:
    pair = [(parameter("cookie", name="a"), 1), (parameter("cookie", name="b"), 2)]
    assert write_cookies(pair) == "a=1; b=2"
    for value in ("a;b", 'a"', "a b", "a\r\nb"):
        with pytest.raises(RequestError):
            write_cookies([(parameter("cookie", "cookie"), value)])


# -- Read back by the same tables, written here from the reader's side ----------------------------------

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
_lists = st.lists(_texts, min_size=1, max_size=4)
_objects = st.dictionaries(_names, _texts, min_size=1, max_size=4)


def _values(value: Any) -> list[str]:
    return list(value.values()) if isinstance(value, dict) else []


def _flat(text: str, delimiter: str, kind: str) -> Any:
    parts = [unquote(part) for part in text.split(delimiter)]
    return dict(zip(parts[::2], parts[1::2], strict=True)) if kind == "object" else parts


def _pairs(text: str, delimiter: str) -> list[tuple[str, str]]:
    split = (part.split("=", 1) for part in text.split(delimiter))
    return [(unquote(name), unquote(value)) for name, value in split]


def _read_query(text: str, style: str, explode: bool, kind: str) -> Any:
    if style == "deepObject":
        return {name.removeprefix("color[").removesuffix("]"): value for name, value in _pairs(text, "&")}
    if explode and kind == "object":
        return dict(_pairs(text, "&"))
    if explode or kind == "text":
        values = [value for name, value in _pairs(text, "&") if name == "color"]
        return values if kind == "list" else values[0]
    delimiter = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}[style]
    return _flat(text.removeprefix("color="), delimiter, kind)


@given(
    style=st.sampled_from(["form", "spaceDelimited", "pipeDelimited"]),
    explode=st.booleans(),
    case=st.one_of(
        _texts.map(lambda value: ("text", value)),
        _lists.map(lambda value: ("list", value)),
        _objects.map(lambda value: ("object", value)),
    ),
)
def test_query_values_read_back(style: str, explode: bool, case: tuple[str, Any]) -> None:
    kind, value = case
    mark = {"form": None, "spaceDelimited": " ", "pipeDelimited": "|"}[style]
    if mark and not explode and kind != "text" and mark in "".join([*value, *_values(value)]):
        with pytest.raises(RequestError) as caught:
            write_query([(parameter("query", style, explode), value)])
        assert caught.value.code == "delimiter-in-value"
        return
    text = write_query([(parameter("query", style, explode), value)])
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%,=&")
    assert _read_query(text, style, explode, kind) == value


@given(_objects)
def test_deep_objects_read_back(value: dict[str, str]) -> None:
    text = write_query([(parameter("query", "deepObject", True), value)])
    assert "[" not in text
    assert _read_query(text, "deepObject", True, "object") == value


def _read_path(text: str, style: str, explode: bool, kind: str) -> Any:
    if style == "simple":
        if kind == "object" and explode:
            return dict(_pairs(text, ","))
        return unquote(text) if kind == "text" else _flat(text, ",", kind)
    if style == "label":
        body = text.removeprefix(".")
        if kind == "object" and explode:
            return dict(_pairs(body, "."))
        return unquote(body) if kind == "text" else _flat(body, "." if explode else ",", kind)
    body = text.removeprefix(";")
    if kind == "object" and explode:
        return dict(_pairs(body, ";"))
    if explode or kind == "text":
        values = [value for _, value in _pairs(body, ";")]
        return values if kind == "list" else values[0]
    return _flat(body.removeprefix("color="), ",", kind)


@given(
    style=st.sampled_from(["simple", "label", "matrix"]),
    explode=st.booleans(),
    case=st.one_of(
        _texts.filter(bool).map(lambda value: ("text", value)),
        _lists.map(lambda value: ("list", value)),
        _objects.map(lambda value: ("object", value)),
    ),
)
def test_path_values_read_back(style: str, explode: bool, case: tuple[str, Any]) -> None:
    kind, value = case
    color = parameter("path", style, explode)
    delimiter = "." if style == "label" and explode else ","
    if delimiter == "." and kind != "text" and "." in "".join([*value, *_values(value)]):
        return  # RFC 6570 leaves dots as they are, so nobody can read these back
    plain = "" if kind == "object" else value if kind == "text" else delimiter.join(value)
    segment = {"simple": plain, "label": f".{plain}", "matrix": ";"}[style]
    if kind != "object" and segment in ("", ".", ".."):
        with pytest.raises(RequestError) as caught:
            write_path("/{color}", [(color, value)])
        assert caught.value.code == ("path-dots" if segment else "empty-path-parameter")
        return
    text = write_path("/{color}", [(color, value)])
    assert "/" not in text[1:]
    assert _read_path(text[1:], style, explode, kind) == value
