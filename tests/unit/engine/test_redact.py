from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.engine.redact import MASK, redact

SECRET = 'sk/live +"é"='


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote(SECRET),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_every_form_is_hidden(form: str) -> None:
    assert redact(f"before {form} after", [SECRET]) == f"before {MASK} after"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "Bearer "])
@pytest.mark.parametrize("after", ["", "z", "zz"])
def test_base64_of_a_longer_text(encode: Callable[[bytes], bytes], before: str, after: str) -> None:
    coded = encode(f"{before}{SECRET}{after}".encode()).decode()
    inside = [encode(b"\0" * shift + SECRET.encode()).decode()[4:-4] for shift in range(3)]
    for text in (coded, quote(coded, safe="")):
        shown = redact(f"<{text}>", [SECRET])
        assert MASK in shown
        assert any(form in coded for form in inside)
        assert not any(form in unquote(shown) for form in inside)
    assert redact(f"<{coded}>", ["another secret"]) == f"<{coded}>"


def test_the_longer_of_two_overlapping_secrets_goes_first() -> None:
    assert redact("token-abcdef token-abc", ["token-abc", "token-abcdef"]) == f"{MASK} {MASK}"


def test_short_secrets_and_none_are_left_alone() -> None:
    assert redact("a test", ["test", ""]) == "a test"
    assert redact("a test", []) == "a test"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=5), st.text(), st.text())
def test_the_secret_never_stands_in_the_result(secret: str, before: str, after: str) -> None:
    shown = redact(before + secret + after, [secret])
    assert secret not in shown.replace(MASK, "\x00" if "\x00" not in secret else "\x01")
