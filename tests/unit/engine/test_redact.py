from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

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


def test_the_longer_of_two_overlapping_secrets_goes_first() -> None:
    assert redact("token-abcdef token-abc", ["token-abc", "token-abcdef"]) == f"{MASK} {MASK}"


def test_short_secrets_and_none_are_left_alone() -> None:
    assert redact("a test", ["test", ""]) == "a test"
    assert redact("a test", []) == "a test"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=5), st.text(), st.text())
def test_the_secret_never_stands_in_the_result(secret: str, before: str, after: str) -> None:
    shown = redact(before + secret + after, [secret])
    assert secret not in shown.replace(MASK, "\x00" if "\x00" not in secret else "\x01")
