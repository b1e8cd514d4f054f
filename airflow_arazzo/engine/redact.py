"""Keeping credentials out of messages and logs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

CREDENTIAL_HEADERS = frozenset(
    {
        "authentication-info",
        "authorization",
        "cookie",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
    }
)
"""Headers of HTTP, in lower case, that are credentials or made of them, in requests and in responses."""

MASK = "***"
"""What stands in the place of a secret."""

SHORTEST = 5
"""Characters. Shorter secrets are left alone, as Airflow's own masking does: they occur in any text."""


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace each secret in a text by :data:`MASK`, in every form in which the engine may have sent it.

    Covered are the plain secret, its percent-encoded and form-encoded forms, its JSON-escaped form, and
    base64 (standard and URL-safe, also percent-encoded) of the secret by itself or inside a longer text, such
    as ``Bearer`` and the secret: there the characters at either end, which share their bits with what stands
    beside the secret, are left.

    :param text: a message, URL or log line.
    :param secrets: values to hide; those shorter than :data:`SHORTEST` characters are ignored.
    """
    for form in _all_forms(tuple(secrets)):
        text = text.replace(form, MASK)
    return text


def holds(text: str, secrets: Iterable[str]) -> bool:
    """Whether :func:`redact` would replace anything in a text."""
    return any(form in text for form in _all_forms(tuple(secrets)))


def printable(text: str) -> str:
    """A text without what a terminal or a log takes for a command or a line of its own.

    Services have written part of what logs and messages show.
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


@lru_cache(64)
def _all_forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Every form of every secret, the longest first. The same few secrets are asked for again and again."""
    forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    return tuple(sorted(forms, key=len, reverse=True))


@lru_cache(maxsize=256)
def _forms(secret: str) -> frozenset[str]:
    """The secret as it may appear in a text; the longest must be replaced first."""
    coded = _base64_forms(secret.encode("utf-8", "surrogatepass"))
    encoded = quote(secret, safe="")
    plain = {secret, encoded, encoded.replace("%", "%25"), quote(secret), quote_plus(secret)}
    plain |= {quote(form, safe="") for form in coded}
    lowered = {_lower_triplets(form) for form in plain if "%" in form}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return frozenset(plain | lowered | escaped | coded)


def _base64_forms(data: bytes) -> set[str]:
    """The data in base64: whole, and what every text has in common that holds it at some place."""
    forms = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms.add(encode(data).decode())
        for before in range(3):
            begins, ends = -(-before * 8 // 6), (before + len(data)) * 8 // 6
            forms.add(encode(b"\0" * before + data).decode()[begins:ends])
        forms.add(encode(data).decode().rstrip("="))
    return forms


def _lower_triplets(text: str) -> str:
    """Percent-encoded triplets with lower-case digits, as some servers echo them."""
    head, *rest = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])
