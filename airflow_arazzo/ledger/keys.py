"""Identity of effects: the key under which an effect is known, and the fingerprint of its request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from airflow_arazzo.engine.messages import Request
from airflow_arazzo.expression.jsonvalue import encode_json


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


def wire_key(key: str, generation: int) -> str:
    """The idempotency key that is sent: another one for each generation."""
    return key if generation == 0 else f"{key}-{generation}"


def fingerprint(request: Request, url: str) -> str:
    """What is asked, in 64 hexadecimal digits: method, URL and body. Credentials are no part of it.

    :param url: absolute, without credentials.
    """
    digest = hashlib.sha256()
    for part in (request.method.encode(), url.encode(), request.body or b""):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
