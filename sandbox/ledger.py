"""What was received and what it changed: the log of requests and the ledger of effects."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from sandbox import exact_json

Service = Literal["amberflo", "stripe"]
RawHeaders = tuple[tuple[bytes, bytes], ...]

HIDDEN = "***"
_CREDENTIALS = frozenset({"authorization", "x-api-key"})


@dataclass(slots=True)
class RequestRecord:
    """One request as it arrived.

    :param seq: position in the log, from 1.
    :param at: Unix seconds.
    :param target: path and query exactly as received.
    :param raw_headers: names and values in the order and letter case received.
    :param body: the bytes, or None when they were never read.
    :param status: status answered, or None when no answer was sent (yet).
    :param fault: action of the fault that met this request.
    :param replayed: the answer was a stored one.
    """

    seq: int
    at: float
    service: Service
    method: str
    target: str
    raw_headers: RawHeaders
    body: bytes | None = None
    status: int | None = None
    fault: str | None = None
    replayed: bool = False

    def headers_named(self, name: str) -> list[str]:
        """Return all values of a header; the name in lower case."""
        wanted = name.encode()
        return [value.decode("latin-1") for key, value in self.raw_headers if key.lower() == wanted]

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None; the name in lower case."""
        values = self.headers_named(name)
        return values[0] if values else None

    @property
    def text(self) -> str | None:
        """The body as text; bytes that are not UTF-8 appear as backslash escapes."""
        return None if self.body is None else self.body.decode("utf-8", "backslashreplace")

    def header_list(self, show_credentials: bool) -> list[list[str]]:
        """Return the headers in order as pairs, with credentials hidden unless they are to be shown."""
        return [
            [
                key.decode("latin-1"),
                HIDDEN
                if not show_credentials and key.decode("latin-1").lower() in _CREDENTIALS
                else value.decode("latin-1"),
            ]
            for key, value in self.raw_headers
        ]

    def as_json(self, show_credentials: bool) -> dict[str, Any]:
        """Return the form served by ``GET /_sandbox/requests``."""
        return {
            "seq": self.seq,
            "at": self.at,
            "service": self.service,
            "method": self.method,
            "target": self.target,
            "headers": self.header_list(show_credentials),
            "body": self.text,
            "idempotency_key": self.header("idempotency-key"),
            "status": self.status,
            "fault": self.fault,
            "replayed": self.replayed,
        }


class RequestLog:
    """The latest requests to both services, refused ones included.

    :param size: how many are remembered; older ones are forgotten.
    """

    def __init__(self, size: int) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=size)
        self.total = 0

    def begin(self, service: Service, method: str, target: str, headers: RawHeaders) -> RequestRecord:
        """Record a request whose body was not read yet."""
        self.total += 1
        record = RequestRecord(self.total, time.time(), service, method, target, headers)
        self._records.append(record)
        return record

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(self._records)


@dataclass(slots=True, frozen=True)
class Effect:
    """One change of state; its request is rendered only when somebody reads the ledger."""

    seq: int
    at: float
    kind: str
    id: str
    data: bytes
    request: RequestRecord

    def as_json(self) -> dict[str, Any]:
        """Return the form served by ``GET /_sandbox/ledger``."""
        request = self.request
        return {
            "seq": self.seq,
            "at": self.at,
            "service": request.service,
            "kind": self.kind,
            "id": self.id,
            "data": exact_json.loads(self.data),
            "request": {
                "method": request.method,
                "target": request.target,
                "headers": {name.lower(): value for name, value in request.header_list(False)},
                "body": request.text,
                "idempotency_key": request.header("idempotency-key"),
            },
        }


@dataclass
class Ledger:
    """Every effect, in order. Never shortened: a test asks whether something happened exactly once."""

    effects: list[Effect] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def append(self, kind: str, object_id: str, data: object, request: RequestRecord) -> None:
        """Add an effect; ``data`` is encoded at once, so that later changes of the object do not show."""
        self.effects.append(
            Effect(len(self.effects) + 1, time.time(), kind, object_id, exact_json.dumps(data), request)
        )
        self.counts[kind] += 1

    def select(
        self, kind: str | None, service: str | None, after: int = 0, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the first effects with a sequence number above ``after`` that match kind and service."""
        matching = (
            effect
            for effect in islice(self.effects, after, None)
            if (kind is None or effect.kind == kind)
            and (service is None or effect.request.service == service)
        )
        return [effect.as_json() for effect in islice(matching, limit)]
