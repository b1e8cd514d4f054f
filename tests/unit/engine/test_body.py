"""Bodies, byte for byte."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.engine.body import encode_body
from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.expression.model import ABSENT, Constant
from airflow_arazzo.plan.model import Body, Encoding

FORM = "application/x-www-form-urlencoded"


def body(content_type: str, **more: Any) -> Body:
    return Body(content_type, Constant(None), **more)


@pytest.mark.parametrize(
    ("content_type", "value", "expected"),
    [
        ("application/json", {"b": 1, "a": [True, None, "é"]}, '{"b":1,"a":[true,null,"é"]}'.encode()),
        ("application/json", {}, b"{}"),
        ("application/json", [], b"[]"),
        ("application/json", None, b"null"),
        ("application/json", "text", b'"text"'),
        (
            "application/json",
            {"n": Decimal("10.10"), "big": 2**70},
            b'{"n":10.10,"big":1180591620717411303424}',
        ),
        ("application/json", {"n": Decimal("1E+2")}, b'{"n":100}'),
        ("application/json; charset=utf-8", {"a": 1}, b'{"a":1}'),
        ("APPLICATION/JSON", {"a": 1}, b'{"a":1}'),
        ("application/json-patch+json", [{"op": "remove", "path": "/a"}], b'[{"op":"remove","path":"/a"}]'),
        ("application/merge-patch+json", {"a": None}, b'{"a":null}'),
        ("application/x-ndjson", [{"a": 1}, {"a": 2}], b'{"a":1}\n{"a":2}\n'),
        ("text/plain", "é", "é".encode()),
        ("text/plain; charset=iso-8859-1", "é", b"\xe9"),
        ('text/plain; charset="utf-16-le"', "é", b"\xe9\x00"),
        ("text/plain", Decimal("1.50"), b"1.50"),
        ("text/plain", True, b"true"),
        ("text/csv", "a,b\n1,2\n", b"a,b\n1,2\n"),
        ("application/xml", "<a>é</a>", "<a>é</a>".encode()),
        ("application/soap+xml", "<a/>", b"<a/>"),
        ("application/octet-stream", b"\x00\xff", b"\x00\xff"),
        ("application/octet-stream", "é", "é".encode()),
        ("application/pdf", b"%PDF", b"%PDF"),
        ("application/vnd.custom", "as it is", b"as it is"),
        (FORM, "a=1&b=%20", b"a=1&b=%20"),
        ("multipart/mixed; boundary=x", "--x\r\n\r\na\r\n--x--\r\n", b"--x\r\n\r\na\r\n--x--\r\n"),
    ],
)
def test_bodies(content_type: str, value: Any, expected: bytes) -> None:
    assert encode_body(body(content_type), value) == (content_type, expected)


def test_a_wildcard_becomes_json() -> None:
    assert encode_body(body("*/*"), {"a": 1}) == ("application/json", b'{"a":1}')


@pytest.mark.parametrize(
    ("content_type", "value", "code"),
    [
        ("application/json", ABSENT, "absent-body"),
        ("application/json", {"a": Decimal("NaN")}, "unwritable-value"),
        ("application/json", {"a": "\ud800"}, "unwritable-value"),
        (FORM, ["a"], "unsupported-body"),
        (FORM, 5, "unsupported-body"),
        (FORM, {"a": "\ud800"}, "unwritable-value"),
        ("multipart/form-data", ["a"], "unsupported-body"),
        ("multipart/form-data", "already formed", "unsupported-body"),
        ("multipart/mixed", {"a": 1}, "unsupported-body"),
        ("application/xml", {"a": 1}, "unsupported-body"),
        ("text/plain", None, "unsupported-body"),
        ("text/csv", [["a"]], "unsupported-body"),
        ("application/vnd.custom", {"a": 1}, "unsupported-body"),
        ("text/plain; charset=nonsense", "a", "unknown-charset"),
        ("text/plain; charset=ascii", "é", "unwritable-value"),
    ],
)
def test_bodies_that_are_refused(content_type: str, value: Any, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        encode_body(body(content_type), value)
    assert caught.value.code == code


def test_an_unknown_type_is_named_with_a_hint() -> None:
    with pytest.raises(RequestError, match=r"application/vnd\.custom.*as text"):
        encode_body(body("application/vnd.custom"), {"a": 1})


@pytest.mark.parametrize(
    ("value", "encoding", "expected"),
    [
        ({"b": "x y", "a": 1}, {}, "b=x+y&a=1"),
        ({"a": True, "b": None, "c": "", "d": Decimal("10.10")}, {}, "a=true&b=&c=&d=10.10"),
        ({"a": "&=+%é/~*"}, {}, "a=%26%3D%2B%25%C3%A9%2F~%2A"),
        ({"a b": 1}, {}, "a+b=1"),
        ({"metadata": {"order": "6735", "a b": "c"}}, {}, "metadata[order]=6735&metadata[a+b]=c"),
        ({"metadata[order]": 1}, {}, "metadata[order]=1"),
        (
            {"items": [{"price": "p1", "n": 2}, {"price": "p2"}]},
            {},
            "items[0][price]=p1&items[0][n]=2&items[1][price]=p2",
        ),
        ({"a": {"b": {"c": 1}, "d": [1, 2]}}, {}, "a[b][c]=1&a[d]=1&a[d]=2"),
        ({"a": [[1, 2], [3]]}, {}, "a[0]=1&a[0]=2&a[1]=3"),
        ({"tags": ["x", "y"]}, {}, "tags=x&tags=y"),
        ({"a": [], "b": {}, "c": 1}, {}, "c=1"),
        ({"a": [None, 1]}, {}, "a=&a=1"),
        ({}, {}, ""),
        (
            {"expand": ["a", "b"]},
            {"expand": Encoding(style="deepObject", explode=True)},
            "expand[0]=a&expand[1]=b",
        ),
        (
            {"items": [{"price": "p", "tax_rates": ["t1", "t2"]}]},
            {"items": Encoding(style="deepObject", explode=True)},
            "items[0][price]=p&items[0][tax_rates][0]=t1&items[0][tax_rates][1]=t2",
        ),
        ({"m": {"k": "v"}}, {"m": Encoding(style="deepObject", explode=True)}, "m[k]=v"),
        ({"m": None}, {"m": Encoding(style="deepObject", explode=True)}, "m="),
        ({"m": "x"}, {"m": Encoding(style="deepObject", explode=True)}, "m=x"),
        ({"a": ["x", "y"]}, {"a": Encoding(style="form", explode=True)}, "a=x&a=y"),
        ({"a": ["x", "y,z"]}, {"a": Encoding(style="form", explode=False)}, "a=x,y%2Cz"),
        ({"a": ["x", "y"]}, {"a": Encoding(explode=False)}, "a=x,y"),
        ({"a": ["x", "y"]}, {"a": Encoding(style="form")}, "a=x&a=y"),
        ({"a": ["x", "y"]}, {"a": Encoding(style="spaceDelimited")}, "a=x%20y"),
        ({"a": ["x", "y"]}, {"a": Encoding(style="pipeDelimited")}, "a=x%7Cy"),
        ({"a": {"R": 1, "G": 2}}, {"a": Encoding(style="form", explode=True)}, "R=1&G=2"),
        ({"a": {"R": 1, "G": 2}}, {"a": Encoding(style="form", explode=False)}, "a=R,1,G,2"),
        ({"a": {"b": [1]}}, {"a": Encoding(content_type="application/json")}, "a=%7B%22b%22%3A%5B1%5D%7D"),
        ({"a": '{"b": 1}'}, {"a": Encoding(content_type="application/json")}, "a=%7B%22b%22%3A1%7D"),
        ({"a": "http://h/p?q"}, {"a": Encoding(allow_reserved=True)}, "a=http://h/p?q"),
    ],
)
def test_forms(value: Any, encoding: dict[str, Encoding], expected: str) -> None:
    content_type, data = encode_body(body(FORM, encoding=encoding), value)
    assert (content_type, data.decode()) == (FORM, expected)


def test_a_delimiter_inside_an_item_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        encode_body(body(FORM, encoding={"a": Encoding(style="spaceDelimited")}), {"a": ["x y", "z"]})
    assert caught.value.code == "delimiter-in-value"


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.dictionaries(_texts.filter(bool), _texts, max_size=5))
def test_forms_read_back(fields: dict[str, str]) -> None:
    _, data = encode_body(body(FORM), fields)
    assert parse_qsl(data.decode("ascii"), keep_blank_values=True) == list(fields.items())


def test_multipart_parts() -> None:
    described = body(
        "multipart/form-data",
        binary_properties=("csv",),
        encoding={
            "image": Encoding(content_type="image/png, image/jpeg"),
            "list": Encoding(content_type="application/json"),
            "any": Encoding(content_type="image/*"),
        },
    )
    value = {
        "text": "é",
        "n": Decimal("1.50"),
        "none": None,
        "meta": {"a": 1},
        "many": ["x", "y"],
        "list": [1, 2],
        "csv": "a,b",
        "image": b"\x89PNG",
        "any": b"\x00",
        'na"me\r\n': "v",
    }
    content_type, data = encode_body(described, value, {"text": {"X-Part": "1", "Content-Type": "no/no"}})
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert len(boundary) == 39
    parts = data.split(b"--" + boundary.encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    assert parts[1:-1] == [
        b'\r\nContent-Disposition: form-data; name="text"\r\nX-Part: 1\r\n\r\n\xc3\xa9\r\n',
        b'\r\nContent-Disposition: form-data; name="n"\r\n\r\n1.50\r\n',
        b'\r\nContent-Disposition: form-data; name="none"\r\n\r\n\r\n',
        b'\r\nContent-Disposition: form-data; name="meta"\r\n'
        b'Content-Type: application/json\r\n\r\n{"a":1}\r\n',
        b'\r\nContent-Disposition: form-data; name="many"\r\n\r\nx\r\n',
        b'\r\nContent-Disposition: form-data; name="many"\r\n\r\ny\r\n',
        b'\r\nContent-Disposition: form-data; name="list"\r\nContent-Type: application/json\r\n\r\n[1,2]\r\n',
        b'\r\nContent-Disposition: form-data; name="csv"; filename="csv"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\na,b\r\n",
        b'\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n",
        b'\r\nContent-Disposition: form-data; name="any"; filename="any"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\x00\r\n",
        b'\r\nContent-Disposition: form-data; name="na%22me%0D%0A"\r\n\r\nv\r\n',
    ]


def test_multipart_is_the_same_for_the_same_and_differs_otherwise() -> None:
    described = body("multipart/form-data; boundary=mine")
    first = encode_body(described, {"a": "1", "b": b"x"})
    assert encode_body(described, {"a": "1", "b": b"x"}) == first
    assert encode_body(described, {"a": "1", "b": b"y"})[0] != first[0]


def test_multipart_headers_cannot_be_split() -> None:
    with pytest.raises(RequestError) as caught:
        encode_body(body("multipart/form-data"), {"a": "1"}, {"a": {"X": "1\r\nEvil: 2"}})
    assert caught.value.code == "bad-header-value"
