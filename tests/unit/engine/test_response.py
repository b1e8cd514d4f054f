from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.response import read_body
from airflow_arazzo.expression.model import ABSENT


def read(content_type: str, body: bytes, status: int = 200) -> tuple[Any, str | None]:
    headers = (("content-type", content_type),) if content_type else ()
    return read_body(Response(status, headers, body))


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a":10.10,"b":[1,null,true]}', {"a": Decimal("10.10"), "b": [1, None, True]}),
        ("application/json; charset=utf-8", '"é"'.encode(), "é"),
        ("application/json; charset=iso-8859-1", b'"\xe9"', "é"),
        ("application/problem+json", b'{"status":400}', {"status": 400}),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("application/json", b"  \n", ABSENT),
        ("application/json", b"null", None),
        ("", b'{"a":1}', {"a": 1}),
        ("", b"plain", "plain"),
        ("application/x-ndjson", b'{"a":1}\n\n{"a":2}\n', [{"a": 1}, {"a": 2}]),
        ("text/plain", "é".encode(), "é"),
        ("text/plain; charset=ISO-8859-1", b"\xe9", "é"),
        ('text/html; charset="windows-1252"', b"\x80", "€"),
        ("text/plain", b'{"a":1}', '{"a":1}'),
        ("text/csv", b"\xef\xbb\xbfa,b\n", "a,b\n"),
        (
            "application/xml",
            b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>',
            '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>',
        ),
        ("application/soap+xml", "<a>é</a>".encode(), "<a>é</a>"),
        (
            "application/x-www-form-urlencoded",
            b"a=1&b=x+y&a=2&c=&a=3",
            {"a": ["1", "2", "3"], "b": "x y", "c": ""},
        ),
        ("application/octet-stream", b"text", "text"),
        ("application/pdf", b"%PDF\x00", b"%PDF\x00"),
        ("image/png", b"\x89PNG", b"\x89PNG"),
        ("application/json", b"", ABSENT),
        ("", b"", ABSENT),
    ],
)
def test_values(content_type: str, body: bytes, expected: Any) -> None:
    value, warning = read(content_type, body)
    assert value == expected
    assert type(value) is type(expected)
    assert warning is None


@pytest.mark.parametrize(
    ("content_type", "body", "expected", "word"),
    [
        ("application/json", b"<html>sk_live</html>", "<html>sk_live</html>", "JSON"),
        ("application/json", b'{"a":', '{"a":', "JSON"),
        ("application/json", b"\xe9", "é", "JSON"),
        ("application/x-ndjson", b'{"a":1}\nsk_live', '{"a":1}\nsk_live', "JSON"),
        ("text/plain", b"caf\xe9", "café", "utf-8"),
        ("text/plain; charset=nonsense", b"a", "a", "nonsense"),
    ],
)
def test_what_is_not_what_it_claims_is_text_with_a_warning(
    content_type: str, body: bytes, expected: str, word: str
) -> None:
    value, warning = read(content_type, body)
    assert value == expected
    assert warning is not None
    assert word.casefold() in warning.casefold()
    assert "sk_live" not in warning


@pytest.mark.parametrize("status", [204, 205, 304])
def test_statuses_without_a_body(status: int) -> None:
    assert read("application/json", b"{}", status) == (ABSENT, None)


def test_the_first_of_repeated_headers_counts() -> None:
    headers = (("Content-Type", "text/plain"), ("content-type", "application/json"))
    assert read_body(Response(200, headers, b"[1]")) == ("[1]", None)
