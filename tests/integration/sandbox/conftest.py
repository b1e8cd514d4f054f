"""A running sandbox, and a client that hides nothing of HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from sandbox.testing import RunningSandbox, running_sandbox

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)

    def error(self) -> dict[str, Any]:
        return self.json()["error"]


class Client:
    def __init__(self, sandbox: RunningSandbox) -> None:
        self.sandbox = sandbox

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        connection = http.client.HTTPConnection(self.sandbox.host, self.sandbox.port, timeout=10)
        try:
            connection.putrequest(method, target)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.msg, response.read())
        finally:
            connection.close()

    def amberflo(self, method: str, target: str, value: Any = None, *, raw: bytes | None = None) -> Answer:
        body = raw if raw is not None else None if value is None else json.dumps(value).encode()
        headers = [("X-API-KEY", self.sandbox.amberflo_key)]
        if body is not None:
            headers.append(("Content-Type", "application/json"))
        return self.send(method, target, body, headers)

    def stripe(
        self,
        method: str,
        target: str,
        form: dict[str, Any] | str | None = None,
        *,
        key: str | None = None,
    ) -> Answer:
        headers = [("Authorization", f"Bearer {self.sandbox.stripe_key}")]
        if key is not None:
            headers.append(("Idempotency-Key", key))
        body = None
        if form is not None:
            body = (form if isinstance(form, str) else urlencode(form, quote_via=quote)).encode()
            headers.append(("Content-Type", FORM))
        return self.send(method, target, body, headers)

    def control(self, method: str, name: str, value: Any = None) -> Answer:
        body = None if value is None else json.dumps(value).encode()
        return self.send(method, f"/_sandbox/{name}", body)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def client(sandbox: RunningSandbox) -> Client:
    return Client(sandbox)


@pytest.fixture
def client_of() -> type[Client]:
    return Client
