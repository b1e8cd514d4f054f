"""Fetching tokens over real sockets: what the token endpoint is asked, how often, and who never learns it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Request, Response, TransportError
from airflow_arazzo.engine.security import MissingCredential
from airflow_arazzo.engine.tokens import TokenError, TokenRefused
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.model import SchemeUse, SecurityScheme, Source

SECRET = "client-secret-0123456789"
SECURITY = ((SchemeUse("o"),),)


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """An API and its token endpoint. Tokens are numbered; those in :attr:`revoked` are not accepted."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.authorizations: list[str | None] = []
        self.calls: list[tuple[str, str | None]] = []
        self.discoveries = 0
        self.revoked: set[str] = set()
        self.answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600}
        self.failing: web.Response | None = None
        self.delay = 0.0
        self.endpoint = ""
        self.port = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append({name: str(value) for name, value in form.items()})
        self.authorizations.append(request.headers.get("Authorization"))
        number = len(self.asked)
        await asyncio.sleep(self.delay)
        if self.failing is not None:
            return web.Response(
                status=self.failing.status, body=self.failing.body, headers=self.failing.headers
            )
        return web.json_response({"access_token": f"token-number-{number}", **self.answer})

    async def call(self, request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization")
        self.calls.append((request.method, sent))
        accepted = sent is not None and sent.removeprefix("Bearer ") not in self.revoked
        return web.Response(status=200 if accepted else 401, text=f"echo {sent}")

    async def discover(self, request: web.Request) -> web.Response:
        self.discoveries += 1
        return web.json_response({"issuer": self.base, "token_endpoint": self.endpoint})


@asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    service = Service()
    app = web.Application()
    app.router.add_post("/token", service.token)
    app.router.add_get("/.well-known/openid-configuration", service.discover)
    app.router.add_route("*", "/{path:.*}", service.call)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    service.port = server.port or 0
    service.endpoint = f"{service.base}/token"
    try:
        yield service
    finally:
        await server.close()


def described(
    token_url: str = "/token", flow: str = "clientCredentials", discovery: str = "", refresh: str = ""
) -> Source:
    scheme = SecurityScheme("oauth2", flow=flow, token_url=token_url, refresh_url=refresh)
    if discovery:
        scheme = SecurityScheme("openIdConnect", open_id_connect_url=discovery)
    return Source("api", schemes={"o": scheme})


def connected(service: Service, **fields: Any) -> Connection:
    fields = {"client_id": "id", "client_secret": SECRET, **fields}
    return Connection(id="conn", base_url=service.base, **fields)


def asking(method: str = "GET", **more: Any) -> Request:
    body = b"amount=1" if method == "POST" else None
    return Request("api", method, "/x", (), (), body, SECURITY, **more)


def run(scenario: Callable[[Service], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with serving() as service:
            return await scenario(service)

    return asyncio.run(asyncio.wait_for(main(), 20))


async def outcome(
    transport: Transport, request: Request, source: Source, given: Connection
) -> Response | TransportError:
    try:
        return await transport.send(request, source, given)
    except TransportError as error:
        return error


def hides(error: BaseException | None, *secrets: str) -> None:
    """Neither the exception nor what a traceback would print after it holds a secret."""
    while error is not None:
        for secret in secrets:
            assert secret not in str(error)
            assert secret not in repr(error)
        error = error.__cause__ or error.__context__


# -- Grants ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "fields", "form", "basic"),
    [
        (described(), {"scope": "a b"}, {"grant_type": "client_credentials", "scope": "a b"}, True),
        (
            described(),
            {"token_auth": "client_secret_post", "audience": "aud", "resource": "urn:r"},
            {
                "grant_type": "client_credentials",
                "client_id": "id",
                "client_secret": SECRET,
                "audience": "aud",
                "resource": "urn:r",
            },
            False,
        ),
        (
            described(flow="password"),
            {"login": "me", "password": "pass-word"},
            {"grant_type": "password", "username": "me", "password": "pass-word"},
            True,
        ),
        (
            described("/nowhere", flow="authorizationCode", refresh="/token"),
            {"refresh_token": "long-lived"},
            {"grant_type": "refresh_token", "refresh_token": "long-lived"},
            True,
        ),
        (
            described(),
            {
                "client_id": "",
                "client_secret": "",
                "schemes": {"o": {"client_id": "id", "client_secret": SECRET}},
            },
            {"grant_type": "client_credentials"},
            True,
        ),
    ],
)
def test_grants(source: Source, fields: dict[str, Any], form: dict[str, str], basic: bool) -> None:
    async def scenario(service: Service) -> None:
        async with Transport() as transport:
            response = await transport.send(asking(), source, connected(service, **fields))
            assert response.status == 200
        assert service.asked == [form]
        assert (service.authorizations[0] is not None) == basic
        assert service.calls == [("GET", "Bearer token-number-1")]

    run(scenario)


def test_discovery_happens_once() -> None:
    async def scenario(service: Service) -> None:
        source = described(discovery="/.well-known/openid-configuration")
        service.answer["expires_in"] = 100
        clock = Clock()
        async with Transport(clock=clock) as transport:
            for _ in range(2):
                assert (await transport.send(asking(), source, connected(service))).status == 200
                clock.now += 100
        assert (service.discoveries, len(service.asked), len(service.calls)) == (1, 2, 2)

    run(scenario)


# -- One token for all -----------------------------------------------------------------------------------


def test_twenty_calls_at_once_share_one_fetch() -> None:
    async def scenario(service: Service) -> None:
        service.delay = 0.1
        async with Transport() as transport:
            sends = [transport.send(asking("POST"), described(), connected(service)) for _ in range(20)]
            responses = await asyncio.gather(*sends)
            assert {response.status for response in responses} == {200}
            await transport.send(asking(), described(), connected(service))
        assert len(service.asked) == 1
        assert len(service.calls) == 21

    run(scenario)


def test_tokens_are_not_shared_between_clients_and_scopes() -> None:
    async def scenario(service: Service) -> None:
        async with Transport() as transport:
            for fields in ({}, {"client_secret": "another-one"}, {"scope": "s"}, {}):
                await transport.send(asking(), described(), connected(service, **fields))
            scoped = msgspec.structs.replace(asking(), security=((SchemeUse("o", ("t",)),),))
            await transport.send(scoped, described(), connected(service))
        assert len(service.asked) == 4
        assert [sent for _, sent in service.calls].count("Bearer token-number-1") == 2

    run(scenario)


def test_one_who_stops_waiting_does_not_take_the_token_from_the_others() -> None:
    async def scenario(service: Service) -> None:
        service.delay = 0.4
        async with Transport() as transport:
            hasty = outcome(transport, asking("POST", timeout=0.1), described(), connected(service))
            patient = outcome(transport, asking("POST"), described(), connected(service))
            first, second = await asyncio.gather(hasty, patient)
        assert type(first) is NotSent
        assert "there is no access token after 0.1 s" in str(first)
        assert isinstance(second, Response)
        assert (len(service.asked), len(service.calls)) == (1, 1)

    run(scenario)


def test_a_closed_transport_has_forgotten_its_tokens() -> None:
    async def scenario(service: Service) -> None:
        transport = Transport()
        for _ in range(2):
            await transport.send(asking(), described(), connected(service))
            await transport.close()
        assert [sent for _, sent in service.calls] == ["Bearer token-number-1", "Bearer token-number-2"]

    run(scenario)


def test_closing_while_a_token_is_fetched_leaves_nothing_behind() -> None:
    async def scenario(service: Service) -> None:
        service.delay = 5
        transport = Transport()
        send = asyncio.create_task(transport.send(asking(), described(), connected(service)))
        while not service.asked:
            await asyncio.sleep(0.01)
        await transport.close()
        await asyncio.wait([send], timeout=2)
        assert send.done()
        assert service.calls == []

    run(scenario)


# -- Renewal ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("expires_in", "kept", "renewed"), [(3600, 3569.0, 3570.0), (100, 89.0, 90.0)])
def test_a_token_is_renewed_before_it_expires(expires_in: int, kept: float, renewed: float) -> None:
    async def scenario(service: Service) -> None:
        service.answer["expires_in"] = expires_in
        clock = Clock()
        async with Transport(clock=clock) as transport:
            for moment in (0.0, kept, renewed):
                clock.now = 1000.0 + moment
                await transport.send(asking(), described(), connected(service))
        assert [sent for _, sent in service.calls] == [
            "Bearer token-number-1",
            "Bearer token-number-1",
            "Bearer token-number-2",
        ]

    run(scenario)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_refused_token_is_renewed_and_the_request_sent_again(method: str) -> None:
    async def scenario(service: Service) -> None:
        service.revoked = {"token-number-1"}
        async with Transport() as transport:
            response = await transport.send(asking(method), described(), connected(service))
            assert response.status == 200
            await transport.send(asking(method), described(), connected(service))
        assert service.calls == [
            (method, "Bearer token-number-1"),
            (method, "Bearer token-number-2"),
            (method, "Bearer token-number-2"),
        ]

    run(scenario)


def test_a_request_is_sent_again_only_once() -> None:
    async def scenario(service: Service) -> None:
        service.revoked = {f"token-number-{number}" for number in range(100)}
        async with Transport() as transport:
            response = await transport.send(asking("POST"), described(), connected(service))
        assert response.status == 401
        assert (len(service.calls), len(service.asked)) == (2, 2)

    run(scenario)


def test_twenty_refusals_share_one_renewal() -> None:
    async def scenario(service: Service) -> None:
        service.revoked = {"token-number-1"}
        service.delay = 0.1
        async with Transport() as transport:
            sends = [transport.send(asking(), described(), connected(service)) for _ in range(20)]
            assert {response.status for response in await asyncio.gather(*sends)} == {200}
        assert (len(service.asked), len(service.calls)) == (2, 40)

    run(scenario)


def test_a_refusal_stands_when_no_new_token_is_to_be_had() -> None:
    async def scenario(service: Service) -> None:
        async with Transport() as transport:
            await transport.send(asking(), described(), connected(service))
            service.revoked = {"token-number-1"}
            service.failing = web.Response(status=500)
            response = await transport.send(asking("POST"), described(), connected(service))
        assert response.status == 401
        assert (len(service.asked), len(service.calls)) == (2, 2)

    run(scenario)


def test_a_fixed_token_is_not_renewed() -> None:
    async def scenario(service: Service) -> None:
        service.revoked = {"fixed-token"}
        given = Connection(id="conn", base_url=service.base, password="fixed-token")
        async with Transport() as transport:
            assert (await transport.send(asking(), described(), given)).status == 401
        assert service.asked == []
        assert len(service.calls) == 1

    run(scenario)


def test_a_replaced_refresh_token_is_used_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(service: Service) -> None:
        service.answer |= {"refresh_token": "the-next-one", "expires_in": 10}
        clock = Clock()
        given = connected(service, refresh_token="the-first-one")
        async with Transport(clock=clock) as transport:
            for _ in range(2):
                await transport.send(asking(), described(), given)
                clock.now += 10
            assert "the-next-one" in transport.secrets()
        assert [asked["refresh_token"] for asked in service.asked] == ["the-first-one", "the-next-one"]

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert "replaced the refresh token" in caplog.text
    assert "the-next-one" not in caplog.text


# -- Failures --------------------------------------------------------------------------------------------


def test_a_refusal_of_the_token_endpoint_is_not_sent_and_shows_no_secret() -> None:
    async def scenario(service: Service) -> None:
        said = f'{{"error": "invalid_client", "error_description": "{SECRET} is not the secret of id"}}'
        service.failing = web.Response(status=401, text=said, content_type="application/json")
        async with Transport() as transport:
            found = await outcome(transport, asking("POST"), described(), connected(service))
        assert isinstance(found, TokenRefused)
        assert found.error == "invalid_client"
        assert "connection 'conn'" in str(found)
        assert "*** is not the secret" in str(found)
        hides(found, SECRET)
        assert (len(service.asked), service.calls) == (1, [])

    run(scenario)


@pytest.mark.parametrize(
    "failing",
    [
        web.Response(status=503, text="busy"),
        web.Response(status=302, headers={"Location": "/x"}),
        web.Response(status=307, headers={"Location": "/x"}),
        web.Response(status=200, text="<html>"),
        web.Response(status=200, text='{"access_token": "x"' + " " * 20_000 + "}"),
    ],
)
def test_other_failures_of_the_token_endpoint_are_not_sent(failing: web.Response) -> None:
    async def scenario(service: Service) -> None:
        service.failing = failing
        given = connected(service, follow_redirects=5)
        async with Transport(limit=10_000) as transport:
            found = await outcome(transport, asking("POST"), described(), given)
        assert isinstance(found, TokenError)
        assert not isinstance(found, TokenRefused | OutcomeUnknown)
        hides(found, SECRET)
        assert (len(service.asked), service.calls) == (1, [])

    run(scenario)


def test_a_token_endpoint_that_is_slow_or_away_is_not_sent() -> None:
    async def scenario(service: Service) -> None:
        service.delay = 5
        async with Transport() as transport:
            slow = await outcome(
                transport, asking("POST", timeout=3), described(), connected(service, timeout=0.2)
            )
            away = await outcome(
                transport, asking(), described(), connected(service, token_url="http://127.0.0.1:1/t")
            )
        for found in (slow, away):
            assert isinstance(found, TokenError)
            hides(found, SECRET)
        assert "no answer after 0.2 s" in str(slow)
        assert service.calls == []

    run(scenario)


# -- Who never learns the secret -------------------------------------------------------------------------


def test_a_described_endpoint_elsewhere_never_gets_the_secret() -> None:
    async def scenario(service: Service) -> None:
        async with serving() as foreign, Transport() as transport:
            for source in (
                described(foreign.endpoint),
                described(discovery=f"{foreign.base}/.well-known/openid-configuration"),
            ):
                found = await outcome(transport, asking(), source, connected(service))
                assert isinstance(found, MissingCredential)
                assert "'token_origin' or 'token_url'" in str(found)
                assert foreign.base in str(found)
                hides(found, SECRET)
            assert (foreign.asked, foreign.discoveries, service.calls) == ([], 0, [])
            named = connected(service, token_origin=foreign.base)
            for source in (
                described(foreign.endpoint),
                described(discovery=f"{foreign.base}/.well-known/openid-configuration"),
            ):
                assert (await transport.send(asking(), source, named)).status == 200
            assert (len(foreign.asked), foreign.calls) == (2, [])

    run(scenario)


def test_a_discovered_endpoint_elsewhere_never_gets_the_secret() -> None:
    async def scenario(service: Service) -> None:
        async with serving() as foreign, Transport() as transport:
            service.endpoint = foreign.endpoint
            source = described(discovery="/.well-known/openid-configuration")
            found = await outcome(transport, asking(), source, connected(service))
            assert isinstance(found, TokenRefused)
            assert "'token_origin'" in str(found)
            assert (foreign.asked, service.calls) == ([], [])
            named = connected(service, token_origin=foreign.base)
            assert (await transport.send(asking(), source, named)).status == 200
            assert len(foreign.asked) == 1

    run(scenario)


# -- Masking ---------------------------------------------------------------------------------------------


def test_tokens_are_there_to_be_masked_before_they_are_used() -> None:
    async def scenario(service: Service) -> None:
        told: list[tuple[str, int]] = []
        async with Transport(on_secret=lambda secret: told.append((secret, len(service.calls)))) as transport:
            assert transport.secrets() == ()
            for _ in range(2):
                await transport.send(asking(), described(), connected(service))
            assert transport.secrets() == ("token-number-1",)
        assert told == [("token-number-1", 0)]
        assert "token-number-1" in transport.secrets()

    run(scenario)


def test_a_token_in_a_url_or_an_error_is_masked() -> None:
    async def scenario(service: Service) -> None:
        async with Transport() as transport:
            given = connected(service)
            await transport.send(asking(), described(), given)
            echoed = msgspec.structs.replace(asking(), target="/x?t=token-number-1")
            response = await transport.send(echoed, described(), given)
            assert "token-number-1" not in response.url
            anonymous = msgspec.structs.replace(echoed, security=())
            assert "token-number-1" not in (await transport.send(anonymous, described(), given)).url
            service.delay = 5
            slow = msgspec.structs.replace(echoed, timeout=0.1)
            found = await outcome(transport, slow, described(), connected(service, scope="another"))
            assert type(found) is NotSent
            assert "there is no access token" in str(found)
            hides(found, "token-number-1")

    run(scenario)
