"""Digest authentication against a server that checks every field by itself (RFC 7616)."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.messages import OutcomeUnknown, Request, Response, TransportError
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.model import SchemeUse, SecurityScheme, Source

LOGIN, PASSWORD, REALM = "me", "pass-word-0123", "the realm, and more"
SOURCE = Source("api", schemes={"d": SecurityScheme("http", scheme="digest")})


class DigestServer:
    """Accepts each count of a nonce once, and nothing that is not signed as it should be.

    :param uses: how often a nonce may be used before it is stale.
    """

    def __init__(
        self, algorithm: str, *, qop: str = "auth", uses: int = 1000, userhash: bool = False
    ) -> None:
        self.algorithm = algorithm
        self.qop = qop
        self.uses = uses
        self.userhash = userhash
        self.nonces: dict[str, set[str]] = {}
        self.requests: list[tuple[str, str, bytes, bool]] = []
        self.problems: list[str] = []
        self.stall_signed = False

    async def handle(self, request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization", "")
        signed = sent.startswith("Digest ")
        self.requests.append((request.method, request.path_qs, await request.read(), signed))
        if signed and self.stall_signed:
            await asyncio.sleep(5)
        if signed and self.accepts(request, parse_keqv_list(parse_http_list(sent[7:]))):
            return web.Response(text="welcome")
        return self.challenge(signed)

    def challenge(self, stale: bool) -> web.Response:
        nonce = f"nonce/{len(self.nonces)}=="
        self.nonces[nonce] = set()
        fields = f'realm="{REALM}", nonce="{nonce}", opaque="o{len(self.nonces)}", stale={str(stale).lower()}'
        fields += f', qop="{self.qop}"' if self.qop else ""
        fields += f", algorithm={self.algorithm}" if self.algorithm else ""
        fields += ", userhash=true" if self.userhash else ""
        return web.Response(status=401, headers={"WWW-Authenticate": f'Basic realm="x", Digest {fields}'})

    def accepts(self, request: web.Request, fields: dict[str, str]) -> bool:
        new = {"md5": hashlib.md5, "sha-256": hashlib.sha256}[
            (self.algorithm or "md5").lower().replace("-sess", "")
        ]

        def h(text: str) -> str:
            return new(text.encode()).hexdigest()

        nonce, count, cnonce = fields["nonce"], fields.get("nc", ""), fields.get("cnonce", "")
        first = h(f"{LOGIN}:{REALM}:{PASSWORD}")
        if self.algorithm.endswith("-sess"):
            first = h(f"{first}:{nonce}:{cnonce}")
        second = h(f"{request.method}:{request.raw_path}")
        middle = f"{nonce}:{count}:{cnonce}:{self.qop}" if self.qop else nonce
        if fields["response"] != h(f"{first}:{middle}:{second}"):
            self.problems.append("wrong digest")
        if fields["uri"] != request.raw_path or fields["realm"] != REALM:
            self.problems.append("wrong uri or realm")
        if fields["username"] != (h(f"{LOGIN}:{REALM}") if self.userhash else LOGIN):
            self.problems.append("wrong user")
        seen = self.nonces.get(nonce)
        if seen is None or len(seen) >= self.uses:
            return False  # stale
        if self.qop and count in seen:
            self.problems.append("count used twice")
        seen.add(count if self.qop else str(len(seen)))
        return not self.problems


def asking(method: str = "GET", target: str = "/a%20b/c?x=1,2&y", **more: Any) -> Request:
    body = b"amount=1" if method in ("POST", "PUT") else None
    return Request("api", method, target, (), (), body, ((SchemeUse("d"),),), **more)


def run(
    server: DigestServer, *requests: Request, at_once: bool = False, **fields: Any
) -> list[Response | TransportError]:
    async def send(transport: Transport, base: str, request: Request) -> Response | TransportError:
        given = {"base_url": base, "login": LOGIN, "password": PASSWORD, **fields}
        try:
            return await transport.send(request, SOURCE, Connection(id="conn", **given))
        except TransportError as error:
            return error

    async def main() -> list[Response | TransportError]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        listener = TestServer(app, host="127.0.0.1")
        await listener.start_server()
        try:
            async with Transport() as transport:
                base = f"http://127.0.0.1:{listener.port}"
                if at_once:
                    return await asyncio.gather(*(send(transport, base, each) for each in requests))
                found = [await send(transport, base, each) for each in requests]
                signatures = transport.secrets()
                assert all(len(each) in (32, 64) for each in signatures)
                return found
        finally:
            await listener.close()

    return asyncio.run(asyncio.wait_for(main(), 20))


def statuses(found: list[Response | TransportError]) -> list[int]:
    return [each.status for each in found if isinstance(each, Response)]


@pytest.mark.parametrize("algorithm", ["", "MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
@pytest.mark.parametrize("userhash", [False, True])
def test_algorithms(algorithm: str, userhash: bool) -> None:
    server = DigestServer(algorithm, userhash=userhash)
    found = run(server, asking(), asking("POST"), asking(target="/"))
    assert (statuses(found), server.problems) == ([200, 200, 200], [])
    assert [(method, signed) for method, _, _, signed in server.requests] == [
        ("GET", False),
        ("GET", True),
        ("POST", True),
        ("GET", True),
    ]


def test_a_server_without_protection() -> None:
    server = DigestServer("", qop="")
    assert statuses(run(server, asking(), asking())) == [200, 200]
    assert server.problems == []


def test_a_refused_unsafe_request_is_sent_again_whole_and_once() -> None:
    server = DigestServer("SHA-256")
    assert statuses(run(server, asking("POST"))) == [200]
    assert [(body, signed) for _, _, body, signed in server.requests] == [
        (b"amount=1", False),
        (b"amount=1", True),
    ]


def test_a_wrong_password_is_refused_after_two_requests() -> None:
    server = DigestServer("MD5")
    assert statuses(run(server, asking("POST"), password="another")) == [401]
    assert len(server.requests) == 2
    assert server.problems == ["wrong digest"]


def test_a_stale_nonce_is_replaced() -> None:
    server = DigestServer("MD5", uses=2)
    assert statuses(run(server, *[asking("PUT")] * 5)) == [200] * 5
    assert server.problems == []
    assert [signed for _, _, _, signed in server.requests].count(False) == 1
    assert len(server.requests) == 5 + 3  # the first challenge, and two stale nonces


def test_calls_at_once_never_use_a_count_twice() -> None:
    server = DigestServer("MD5-sess")
    found = run(server, asking(), *[asking()] * 20, at_once=True)
    assert statuses(found) == [200] * 21
    assert server.problems == []


@pytest.mark.parametrize("algorithm", ["SHA-512-256", "nonsense"])
def test_a_challenge_that_cannot_be_answered_is_a_response(algorithm: str) -> None:
    server = DigestServer(algorithm)
    assert statuses(run(server, asking("POST"))) == [401]
    assert len(server.requests) == 1


def test_losing_the_signed_request_is_unknown() -> None:
    server = DigestServer("MD5")
    server.stall_signed = True
    (found,) = run(server, asking("POST", timeout=0.3))
    assert isinstance(found, OutcomeUnknown)
    assert len(server.requests) == 2
    assert PASSWORD not in str(found)
