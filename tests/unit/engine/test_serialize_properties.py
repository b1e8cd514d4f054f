"""Whatever is written by OpenAPI's tables can be read back by them.

The readers here are written from the reader's side of the tables in OpenAPI 3.1.1 ("Style Values", "Style
Examples") and from RFC 6570, for a server that knows the parameter's schema: its shape here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.engine.body import encode_body
from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.engine.serialize import write_cookies, write_header, write_path, write_query
from airflow_arazzo.expression.jsonvalue import decode_json
from airflow_arazzo.expression.model import Constant
from airflow_arazzo.plan.model import Body, Encoding, Parameter

Shape = Any
"""``"string"``, ``"integer"``, ``"number"``, ``"boolean"``, ``[shape]``, or ``{name: shape}``."""

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


@dataclass(frozen=True)
class Case:
    """A value and what a server knows of it."""

    shape: Shape
    value: Any


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1, max_size=5)
plain_texts = st.text(UNRESERVED.replace(".", ""), min_size=1, max_size=5)
header_texts = st.text("abcXYZ019-_~!#$%&*+:/?@ ", min_size=1, max_size=6).filter(
    lambda text: text.strip() == text
)


def scalars(of: st.SearchStrategy[str]) -> st.SearchStrategy[Case]:
    return st.one_of(
        of.map(lambda value: Case("string", value)),
        st.integers(-(10**20), 10**20).map(lambda value: Case("integer", value)),
        st.decimals(-1000, 1000, places=2).map(lambda value: Case("number", value)),
        st.booleans().map(lambda value: Case("boolean", value)),
    )


def arrays(of: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    """Arrays whose items are all of one shape."""
    return of.flatmap(
        lambda first: st.lists(of.filter(lambda case: case.shape == first.shape), max_size=3).map(
            lambda more: Case([first.shape], [case.value for case in (first, *more)])
        )
    )


def objects(keys: st.SearchStrategy[str], of: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    return st.dictionaries(keys, of, min_size=1, max_size=3).map(
        lambda members: Case(
            {name: case.shape for name, case in members.items()},
            {name: case.value for name, case in members.items()},
        )
    )


def flat(of: st.SearchStrategy[str], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Case]:
    """What every style can say: a scalar, an array of scalars, an object of scalars."""
    return st.one_of(scalars(of), arrays(scalars(of)), objects(keys, scalars(of)))


# --- the readers ---------------------------------------------------------------------------------------


def scalar(shape: str, text: str) -> Any:
    """A text as the schema has it."""
    if shape == "boolean":
        return {"true": True, "false": False}[text]
    return {"string": str, "integer": int, "number": Decimal}[shape](text)


def typed(shape: Shape, raw: str | list[str] | dict[str, str]) -> Any:
    if isinstance(raw, dict):
        assert list(raw) == list(shape)
        return {name: scalar(shape[name], text) for name, text in raw.items()}
    if isinstance(raw, list):
        return [scalar(shape[0], text) for text in raw]
    return scalar(shape, raw)


def alternating(parts: list[str]) -> dict[str, str]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def named(parts: list[str], decode: Callable[[str], str]) -> list[tuple[str, str]]:
    split = (part.partition("=") for part in parts)
    return [(decode(name), decode(value)) for name, _, value in split]


def read_list(text: str, shape: Shape, explode: bool, between: str, decode: Callable[[str], str]) -> Any:
    """``simple`` and its kin: items between delimiters, members as ``k=v`` or as ``k,v``."""
    if isinstance(shape, str):
        return decode(text)
    parts = text.split(between)
    if isinstance(shape, dict) and explode:
        return dict(named(parts, decode))
    decoded = [decode(part) for part in parts]
    return alternating(decoded) if isinstance(shape, dict) else decoded


def read_path(text: str, style: str, explode: bool, shape: Shape) -> Any:
    if style == "simple":
        return read_list(text, shape, explode, ",", unquote)
    if style == "label":
        assert text[0] == "."
        return read_list(text[1:], shape, explode, "." if explode else ",", unquote)
    assert text[0] == ";"
    return read_pairs(text[1:], ";", explode, shape, ",", unquote)


def read_pairs(
    text: str, between: str, explode: bool, shape: Shape, inside: str, decode: Callable[[str], str]
) -> Any:
    """``matrix``, ``form`` and its kin: ``color=…`` once or, exploded, for each item; members by name."""
    if isinstance(shape, str):
        ((name, value),) = named([text], decode)
        assert name == "color"
        return value
    if explode:
        pairs = named(text.split(between), decode)
        if isinstance(shape, dict):
            return dict(pairs)
        assert {name for name, _ in pairs} == {"color"}
        return [value for _, value in pairs]
    name, _, value = text.partition("=")
    assert name == "color"
    decoded = [decode(part) for part in value.split(inside)]
    return alternating(decoded) if isinstance(shape, dict) else decoded


def read_brackets(fields: list[tuple[str, str]], name: str, shape: Shape, *, indexed: bool) -> Any:
    """``a[b][0]=c``, guided by the shape; arrays of scalars repeat their name unless they are indexed."""
    if isinstance(shape, dict):
        return {key: read_brackets(fields, f"{name}[{key}]", shape[key], indexed=indexed) for key in shape}
    found = [value for key, value in fields if key == name]
    if isinstance(shape, str):
        (text,) = found
        return scalar(shape, text)
    if not indexed and isinstance(shape[0], str):
        return [scalar(shape[0], text) for text in found]
    count = 0
    while any(key == f"{name}[{count}]" or key.startswith(f"{name}[{count}][") for key, _ in fields):
        count += 1
    return [read_brackets(fields, f"{name}[{i}]", shape[0], indexed=indexed) for i in range(count)]


def contains(case: Case, characters: str) -> bool:
    """Whether a delimiter that a style leaves as it is stands in a value, or in a name."""
    value = case.value
    listed = (
        value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else []
    )
    return any(c in (part if isinstance(part, str) else str(part)) for part in listed for c in characters)


def parameter(place: Any, style: Any, explode: bool, name: str = "color", **fields: Any) -> Parameter:
    return Parameter(name, place, Constant(None), style, explode, **fields)


# --- parameters ----------------------------------------------------------------------------------------


@given(st.sampled_from(["simple", "label", "matrix"]), st.booleans(), flat(texts, names))
def test_path(style: str, explode: bool, case: Case) -> None:
    color = parameter("path", style, explode)
    if style == "label" and explode and contains(case, "."):
        return  # RFC 6570 leaves dots as they are, so nobody can read these back
    listed = case.value if isinstance(case.value, list) else [case.value]
    if {"simple": "", "label": ".", "matrix": ";"}[style] + str(listed[0]) in (".", "..") and len(
        listed
    ) == 1:
        with pytest.raises(RequestError, match="a segment of"):
            write_path("/things/{color}/end", [(color, case.value)])
        return
    text = write_path("/things/{color}/end", [(color, case.value)])
    prefix, segment, suffix = text[:8], text[8:-4], text[-4:]
    assert (prefix, suffix) == ("/things/", "/end")
    assert set(segment) <= set(UNRESERVED + "%,;=")
    assert typed(case.shape, read_path(segment, style, explode, case.shape)) == case.value


@given(st.sampled_from(["form", "spaceDelimited", "pipeDelimited"]), st.booleans(), flat(texts, names))
def test_query(style: str, explode: bool, case: Case) -> None:
    inside = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}[style]
    color = parameter("query", style, explode)
    if (
        not explode
        and not isinstance(case.shape, str)
        and contains(case, unquote(inside))
        and style != "form"
    ):
        with pytest.raises(RequestError, match="delimiter"):
            write_query([(color, case.value)])
        return
    text = write_query([(color, case.value)])
    assert set(text) <= set(UNRESERVED + "%,&=")
    assert typed(case.shape, read_pairs(text, "&", explode, case.shape, inside, unquote)) == case.value


nested = st.recursive(
    scalars(texts), lambda inner: arrays(inner) | objects(names, inner), max_leaves=6
).filter(lambda case: not isinstance(case.shape, str))


@given(nested)
def test_deep_objects(case: Case) -> None:
    text = write_query([(parameter("query", "deepObject", True), case.value)])
    assert set(text) <= set(UNRESERVED + "%&=")
    fields = named(text.split("&"), unquote)
    assert read_brackets(fields, "color", case.shape, indexed=True) == case.value


@given(st.dictionaries(names, texts, min_size=1, max_size=4), st.booleans())
def test_several_in_one_query(given_: dict[str, str], allow_reserved: bool) -> None:
    """A server's ordinary reader of queries finds each; also with ``allowReserved``, but for triplets."""
    if allow_reserved:
        given_ = {name: value.replace("%", "").replace("+", "") or "x" for name, value in given_.items()}
    text = write_query(
        [
            (parameter("query", "form", True, name, allow_reserved=allow_reserved), value)
            for name, value in given_.items()
        ]
    )
    assert dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True)) == given_
    assert not set(text) & set('#[]" <>\\^`{|}')


@given(st.booleans(), flat(header_texts, plain_texts))
def test_header(explode: bool, case: Case) -> None:
    """Headers are not encoded: what contains a delimiter nobody can read back, and is not made here."""
    text = write_header(case.value, parameter("header", "simple", explode, "X-Color"))
    assert typed(case.shape, read_list(text, case.shape, explode, ",", str)) == case.value


@given(st.booleans(), flat(texts, names), st.none() | texts)
def test_cookie(explode: bool, case: Case, other: str | None) -> None:
    """Cookies of style ``form``; exploded arrays and objects are cookies of their own."""
    given_ = [(parameter("cookie", "form", explode), case.value)]
    if other is not None:
        given_.append((parameter("cookie", "form", True, "last"), other))
    text = write_cookies(given_)
    assert set(text) <= set(UNRESERVED + "%,=; ")
    cookies = text.split("; ")
    if other is not None:
        assert named([cookies.pop()], unquote) == [("last", other)]
    assert (
        typed(case.shape, read_pairs("; ".join(cookies), "; ", explode, case.shape, ",", unquote))
        == case.value
    )


@given(st.booleans(), flat(plain_texts, plain_texts))
def test_plain_cookie(explode: bool, case: Case) -> None:
    text = write_cookies([(parameter("cookie", "cookie", explode), case.value)])
    assert typed(case.shape, read_pairs(text, "; ", explode, case.shape, ",", str)) == case.value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
).filter(lambda value: not isinstance(value, str))


@given(json_values)
def test_content(value: Any) -> None:
    """Parameters with ``content`` are JSON, in every place."""
    as_json = {"content_type": "application/json"}
    query = write_query([(parameter("query", "form", True, **as_json), value)])
    assert decode_json(unquote(query.removeprefix("color="))) == value
    assert decode_json(write_header(value, parameter("header", "simple", False, **as_json))) == value
    cookie = write_cookies([(parameter("cookie", "form", True, **as_json), value)])
    assert decode_json(unquote(cookie.removeprefix("color="))) == value
    if value not in (None, [], {}):
        path = write_path("/{color}", [(parameter("path", "simple", False, **as_json), value)])
        assert decode_json(unquote(path[1:])) == value


# --- form bodies ---------------------------------------------------------------------------------------

FORM = "application/x-www-form-urlencoded"


def form(value: Any, **encoding: Encoding) -> list[tuple[str, str]]:
    """The fields of a form, as any server reads them."""
    content_type, data = encode_body(Body(FORM, Constant(None), encoding=encoding), value)
    assert content_type == FORM
    return parse_qsl(data.decode("ascii"), keep_blank_values=True, strict_parsing=True)


forms = st.recursive(scalars(texts), lambda inner: arrays(inner) | objects(names, inner), max_leaves=6)


@given(st.dictionaries(names, forms, min_size=1, max_size=3))
def test_form(members: dict[str, Case]) -> None:
    """Without encodings: brackets for what is nested, repeated names for arrays of scalars."""
    fields = form({name: case.value for name, case in members.items()})
    for name, case in members.items():
        assert read_brackets(fields, name, case.shape, indexed=False) == case.value


@given(
    st.sampled_from(["form", "spaceDelimited", "pipeDelimited"]),
    st.booleans(),
    flat(texts, names),
    st.none() | texts,
)
def test_form_with_style(style: Any, explode: bool, case: Case, other: str | None) -> None:
    value = {"color": case.value, **({} if other is None else {"z": other})}
    encoding = Encoding(style=style, explode=explode)
    delimiter = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}[style]
    is_scalar = isinstance(case.shape, str)
    if not explode and not is_scalar and style != "form" and contains(case, delimiter):
        with pytest.raises(RequestError, match="delimiter"):
            form(value, color=encoding)
        return
    _, data = encode_body(Body(FORM, Constant(None), encoding={"color": encoding}), value)
    parts = data.decode("ascii").split("&")
    if other is not None:
        assert parse_qsl(parts.pop(), keep_blank_values=True) == [("z", other)]
    inside = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}[style]

    def decode(text: str) -> str:
        return unquote(text.replace("+", " "))

    assert (
        typed(case.shape, read_pairs("&".join(parts), "&", explode, case.shape, inside, decode)) == case.value
    )


@given(nested)
def test_form_with_deep_object(case: Case) -> None:
    fields = form({"color": case.value}, color=Encoding(style="deepObject", explode=True))
    assert read_brackets(fields, "color", case.shape, indexed=True) == case.value


@given(st.dictionaries(names, json_values.filter(lambda value: value is not None), min_size=1, max_size=3))
def test_form_with_json(members: dict[str, Any]) -> None:
    encoding = {name: Encoding(content_type="application/json") for name in members}
    _, data = encode_body(Body(FORM, Constant(None), encoding=encoding), members)
    fields = parse_qsl(data.decode("ascii"), keep_blank_values=True)
    assert {name: decode_json(text) for name, text in fields} == members
