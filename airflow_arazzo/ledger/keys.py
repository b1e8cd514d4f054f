"""Identity of effects: the key under which an effect is known, and the fingerprint of its request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_arazzo.engine.messages import NotSent, Request
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.expression.jsonvalue import decode_json, encode_json
from airflow_arazzo.plan.media_type import is_json
from airflow_arazzo.plan.model import IDEMPOTENT_METHODS, Idempotency

BY_METHOD = "method"
"""The :func:`protection` of requests that HTTP itself allows to repeat (RFC 9110, section 9.2.2)."""


@dataclass(frozen=True)
class Identity:
    """What makes an effect the same effect when it is met again.

    Amounts are not part of it: two equal top-ups are two runs, or two rows.

    :param namespace: what tells one use of a workflow from another; by default DAG id and group path.
    :param run: the period that the run is for, or the run's id where it is for no period.
    :param row: business key of the row, where the workflow runs over rows.
    """

    namespace: str
    run: str
    row: str = ""


def effect_key(identity: Identity, path: tuple[str, ...], visit: int) -> str:
    """The key of an effect: 40 hexadecimal digits.

    :param path: workflow and step of every activation around the request, outermost first.
    :param visit: the how-manieth visit of the step it is; retries are not visits.
    """
    parts = [identity.namespace, identity.run, identity.row, list(path), visit]
    return hashlib.sha256(encode_json(parts)).hexdigest()[:40]


def run_key(identity: Identity) -> str:
    """A key of the whole run, 40 hexadecimal digits: the same whoever runs it again, as that of an effect."""
    return effect_key(identity, (), 0)


def wire_key(key: str, generation: int) -> str:
    """The idempotency key that is sent: another one for each generation.

    How it is made must not change: a request may be sent again by a later version of this program.
    """
    return key if generation == 0 else f"{key}-{generation}"


def fingerprint(request: Request, url: str, secrets: Iterable[str] = ()) -> str:
    """What is asked, in 64 hexadecimal digits: method, URL and body, credentials masked in both.

    The order of members of a JSON object makes no difference.

    :param url: absolute.
    """
    hidden = tuple(secrets)
    body = _canonical(request)
    text = body.decode("utf-8", "surrogateescape")
    if (masked := redact(text, hidden)) is not text:
        body = masked.encode("utf-8", "surrogateescape")
    digest = hashlib.sha256()
    for part in (request.method.encode(), redact(url, hidden).encode("utf-8", "surrogatepass"), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _canonical(request: Request) -> bytes:
    body = request.body or b""
    if not is_json(_content_type(request)):
        return body
    try:
        return _sorting.encode(decode_json(body))
    except (ValueError, RecursionError):
        return body


_sorting = msgspec.json.Encoder(decimal_format="number", order="deterministic")
"""Writes the members of objects in the order of their names."""


def protection(request: Request, idempotency: Idempotency | None) -> str:
    """What keeps a second sending of this request from having a second effect; empty for nothing."""
    if request.method in IDEMPOTENT_METHODS:
        return BY_METHOD
    if idempotency is None:
        return ""
    own = _own_header(request, idempotency)
    # A key of the author's in a header is in no fingerprint, and another value is no protection.
    digest = (
        "" if own is None else " " + hashlib.sha256(own.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    )
    return f"{idempotency.place} {idempotency.name.casefold()}{digest}"


def with_key(request: Request, idempotency: Idempotency, key: str) -> Request:
    """The request with its idempotency key, unless the document gives one itself.

    In the body of an array, such as a list of events, every object gets a key of its own.

    :raises NotSent: when the key belongs into a body that is no JSON object or array of them.
    """
    if idempotency.place == "header":
        if _own_header(request, idempotency) is not None:
            return request
        kept = tuple((n, v) for n, v in request.headers if n.casefold() != idempotency.name.casefold())
        return msgspec.structs.replace(request, headers=(*kept, (idempotency.name, key)))
    problem = (
        f"the key {idempotency.name!r} goes into a JSON object or an array of them, and the body is neither"
    )
    if request.body is None or not is_json(_content_type(request)):
        raise NotSent(problem)
    try:
        # From the bytes: the payload's value may have members that are absent.
        payload = _keyed(decode_json(request.body), idempotency.name, key)
    except ValueError:
        raise NotSent(problem) from None
    return msgspec.structs.replace(request, payload=payload, body=encode_json(payload))


def _keyed(payload: Any, name: str, key: str) -> Any:
    if isinstance(payload, dict):
        return payload if payload.get(name) not in (None, "") else {**payload, name: key}
    if isinstance(payload, list) and all(isinstance(item, dict) for item in payload):
        # A dot, since a dash begins a generation: "k-1" must not be both the second event and the reissue.
        return [_keyed(item, name, f"{key}.{index}") for index, item in enumerate(payload)]
    raise ValueError("neither an object nor an array of objects")


def _own_header(request: Request, idempotency: Idempotency) -> str | None:
    """The key that the document itself sends in the header; None for none, or for an empty one."""
    wanted = idempotency.name.casefold()
    if idempotency.place != "header":
        return None
    return next((value for name, value in request.headers if name.casefold() == wanted and value), None)


def _content_type(request: Request) -> str:
    for name, value in request.headers:
        if name == "Content-Type" or name.casefold() == "content-type":
            return value
    return ""
