"""Where requests go over real sockets: redirects, forbidden addresses, and what a document cannot change."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from airflow_arazzo.engine.connection import BadConnection, Connection
from airflow_arazzo.engine.messages import NotSent, Request, Response, TransportError
from airflow_arazzo.engine.run import run_plan
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import Plan, SchemeUse, SecurityScheme, Source
from airflow_arazzo.plan.options import Options

KEY = "sk_live_0123456789"
SOURCE = Source(
    "api",
    schemes={
        "header": SecurityScheme("apiKey", place="header", parameter="X-API-KEY"),
        "query": SecurityScheme("apiKey", place="query", parameter="api_key"),
        "cookie": SecurityScheme("apiKey", place="cookie", parameter="sid"),
        "bearer": SecurityScheme("http", scheme="bearer"),
        "basic": SecurityScheme("http", scheme="basic"),
        "token": SecurityScheme("oauth2", flow="clientCredentials", token_url="/token"),
    },
)
SCHEMES = list(SOURCE.schemes)


class Place:
    """A server that sends everyone to :attr:`location` from ``/go``, and answers elsewhere."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.location = ""
        self.status = 302
        self.port = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        if request.path == "/token":
            return web.json_response({"access_token": KEY})
        if request.path == "/go":
            return web.Response(status=self.status, headers={"Location": self.location})
        return web.Response(text="arrived")

    def heard(self) -> str:
        """Everything that was said to this server but the requests for tokens."""
        return "\n".join(
            f"{request.path_qs} {dict(request.headers)}"
            for request in self.requests
            if request.path != "/token"
        )


@asynccontextmanager
async def serving() -> AsyncIterator[Place]:
    place = Place()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", place.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    place.port = server.port or 0
    try:
        yield place
    finally:
        await server.close()


def connected(place: Place, **fields: Any) -> Connection:
    fields = {"base_url": place.base, "follow_redirects": 3, **fields}
    return Connection(id="conn", **fields)


def holding(scheme: str) -> dict[str, str]:
    if scheme == "token":
        return {"client_id": "id", "client_secret": "client-secret"}
    return {"login": "me", "password": KEY} if scheme == "basic" else {"password": KEY}


def asking(scheme: str = "", method: str = "GET", **more: Any) -> Request:
    security = ((SchemeUse(scheme),),) if scheme else ()
    target = more.pop("target", "/go")
    return Request(
        "api", method, target, (), more.pop("headers", ()), more.pop("body", None), security, **more
    )


def run(scenario: Callable[[Place, Place, Transport], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serving() as home, serving() as foreign, Transport() as transport:
            await scenario(home, foreign, transport)

    asyncio.run(asyncio.wait_for(main(), 20))


# -- Redirects -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_credentials_go_along_within_the_origin(scheme: str) -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        home.location = "/there?page=2"
        response = await transport.send(asking(scheme), SOURCE, connected(home, **holding(scheme)))
        assert response.body == b"arrived"
        assert response.url == f"{home.base}/go"
        first, second = [request for request in home.requests if request.path != "/token"]
        assert second.path == "/there"
        assert second.query["page"] == "2"
        for name in ("X-API-KEY", "Cookie", "Authorization"):
            assert first.headers.get(name) == second.headers.get(name)
        assert second.query.get("api_key") == (KEY if scheme == "query" else None)
        assert any(name in second.headers for name in ("X-API-KEY", "Cookie", "Authorization")) == (
            scheme != "query"
        )

    run(scenario)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_credentials_never_go_to_another_origin(scheme: str, method: str) -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        home.location = f"{foreign.base}/there?signed=abc"
        carried = (("Accept", "text/plain"), ("X-Of-A-Step", "step-token"), ("Cookie", "s=step-token"))
        asked = asking(scheme, method, headers=carried)
        response = await transport.send(asked, SOURCE, connected(home, **holding(scheme)))
        assert response.status == 200
        assert response.url == f"{home.base}/go"
        (request,) = foreign.requests
        assert (request.method, request.path_qs) == (method, "/there?signed=abc")
        assert request.headers["Accept"] == "text/plain"
        assert set(request.headers) == {"Host", "Accept", "User-Agent", "Accept-Encoding"}
        home_heard = home.heard()
        assert "step-token" in home_heard
        assert KEY in home_heard or scheme == "basic"

    run(scenario)


def test_credentials_stay_away_when_a_redirect_leads_back() -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        home.location = f"{foreign.base}/go"
        foreign.location = f"{home.base}/there"
        response = await transport.send(asking("bearer"), SOURCE, connected(home, password=KEY))
        assert response.body == b"arrived"
        assert [request.headers.get("Authorization") for request in home.requests] == [f"Bearer {KEY}", None]

    run(scenario)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_unsafe_requests_are_never_redirected(method: str, status: int) -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        home.location, home.status = "/there", status
        response = await transport.send(asking(method=method), SOURCE, connected(home))
        assert (response.status, len(home.requests)) == (status, 1)

    run(scenario)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_following_is_opt_in(status: int) -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        home.location, home.status = "/there", status
        stays = await transport.send(asking(), SOURCE, connected(home, follow_redirects=0))
        assert (stays.status, stays.header("Location")) == (status, "/there")
        goes = await transport.send(asking(), SOURCE, connected(home))
        assert goes.body == b"arrived"

    run(scenario)


def test_a_key_in_the_location_does_not_reach_another_origin() -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        home.location = f"{foreign.base}/there?api_key={KEY}"
        response = await transport.send(asking("query"), SOURCE, connected(home, password=KEY))
        assert response.status == 302
        home.location = f"{foreign.base}/there?t={KEY}"
        response = await transport.send(asking("token"), SOURCE, connected(home, **holding("token")))
        assert response.status == 302
        assert foreign.requests == []

    run(scenario)


def test_loops_end() -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        home.location = "/go"
        response = await transport.send(asking(), SOURCE, connected(home, follow_redirects=4))
        assert (response.status, len(home.requests)) == (302, 5)

    run(scenario)


def test_the_url_of_a_redirect_is_not_shown_when_it_fails() -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        home.location = "http://127.0.0.1:1/there?signature=abcdef"
        with pytest.raises(NotSent) as caught:
            await transport.send(asking(), SOURCE, connected(home))
        assert "http://127.0.0.1:1/there" in str(caught.value)
        assert "abcdef" not in str(caught.value)

    run(scenario)


# -- Forbidden addresses ---------------------------------------------------------------------------------


async def outcome(transport: Transport, given: Connection, asked: Request) -> Response | TransportError:
    try:
        return await transport.send(asked, SOURCE, given)
    except TransportError as error:
        return error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_private_targets_are_refused_at_the_socket(host: str) -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        base = f"http://{host}:{home.port}"
        asked = asking(method="POST", target="/x")
        refused = await outcome(transport, connected(home, base_url=base, forbid_private=True), asked)
        assert type(refused) is NotSent
        assert "no public address" in str(refused)
        assert home.requests == []
        allowed = await outcome(transport, connected(home, base_url=base), asked)
        assert isinstance(allowed, Response)

    run(scenario)


def test_a_name_that_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a look-up says, and however often it changes its mind, the address itself is checked."""
    asked_for: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host != "public.example":
            return real(host, port, *more, **named)
        asked_for.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        base = f"http://public.example:{home.port}"
        refused = await outcome(transport, connected(home, base_url=base, forbid_private=True), asking())
        assert type(refused) is NotSent
        assert home.requests == []
        allowed = await outcome(transport, connected(home, base_url=base), asking(target="/x"))
        assert isinstance(allowed, Response)
        assert len(asked_for) == 2

    run(scenario)


def test_a_token_endpoint_inside_is_refused() -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        given = connected(home, forbid_private=True, **holding("token"))
        refused = await outcome(transport, given, asking("token"))
        assert isinstance(refused, NotSent)
        assert "no public address" in str(refused)
        assert home.requests == []

    run(scenario)


def test_a_connection_that_may_does_not_lend_its_sockets() -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        assert isinstance(await outcome(transport, connected(home), asking(target="/x")), Response)
        refused = await outcome(transport, connected(home, forbid_private=True), asking(target="/x"))
        assert isinstance(refused, NotSent)
        assert len(home.requests) == 1

    run(scenario)


def test_a_proxy_cannot_be_combined_with_it() -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        given = connected(home, forbid_private=True, proxies={"all": foreign.base})
        refused = await outcome(transport, given, asking())
        assert isinstance(refused, BadConnection)
        assert "forbid_private" in str(refused)
        assert foreign.requests == []

    run(scenario)


# -- What a document says ---------------------------------------------------------------------------------


def document(folder: Path, elsewhere: str, **more: str) -> Path:
    """A document that does all it can to send requests elsewhere.

    :param more: members of the objects of both documents, as YAML.
    """
    extra = "".join(f", {name}: {value}" for name, value in more.items())
    servers = f"servers: [{{url: '{elsewhere}/{{v}}', variables: {{v: {{default: v1{extra}}}}}{extra}}}]"
    (folder / "api.yaml").write_text(
        f"""
openapi: 3.1.0
info: {{title: api, version: '1'}}
{servers}
security: [{{key: []}}]
components:
  securitySchemes: {{key: {{type: apiKey, in: header, name: X-API-KEY{extra}}}}}
paths:
  /go/{{where}}:
    {servers}
    post:
      operationId: go
      {servers}
      parameters: [{{name: where, in: path, required: true, schema: {{type: string}}}}]
      responses: {{'200': {{description: ok}}}}
      x-more: {{a: b{extra}}}
"""
    )
    path = folder / "flow.arazzo.yaml"
    path.write_text(
        f"""
arazzo: 1.0.1
info: {{title: flow, version: '1'{extra}}}
sourceDescriptions: [{{name: api, url: '{elsewhere}/api.yaml', type: openapi{extra}}}]
workflows:
- workflowId: w
  steps:
  - stepId: s
    operationId: go
    parameters:
    - {{name: where, in: path, value: '//{elsewhere.partition("//")[2]}/..'}}
    - {{name: Host, in: header, value: '{elsewhere.partition("//")[2]}'}}
    - {{name: X-Forwarded-Host, in: header, value: '{elsewhere.partition("//")[2]}'}}
"""
    )
    return path


def planned(path: Path) -> Plan:
    return compile_workflow(path, options=Options(sources={"api": path.parent / "api.yaml"}))[0]


def test_a_document_cannot_lead_credentials_elsewhere(tmp_path: Path) -> None:
    async def scenario(home: Place, foreign: Place, transport: Transport) -> None:
        plan = planned(document(tmp_path, foreign.base))
        result = await run_plan(plan, {}, {"api": connected(home, password=KEY)})
        assert result.status == "succeeded", result.error
        assert foreign.requests == []
        (request,) = home.requests
        assert request.raw_path == f"/v1/go/%2F%2F127.0.0.1%3A{foreign.port}%2F.."
        assert request.headers["Host"] == f"127.0.0.1:{home.port}"
        assert request.headers["X-API-KEY"] == KEY

    run(scenario)


@pytest.mark.parametrize("member", ["x-verify", "x-insecure", "x-tls", "x-ssl-verify"])
def test_a_document_cannot_switch_off_tls_verification(
    tmp_path: Path, certificate: tuple[Path, Path], member: str
) -> None:
    """The certificate is one that nobody vouches for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def scenario() -> None:
        place = Place()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", place.handle)
        server = TestServer(app, host="127.0.0.1", scheme="https")
        await server.start_server(ssl=context)
        base = f"https://127.0.0.1:{server.port}"
        try:
            plan = planned(document(tmp_path, base, **{member: "false"}))
            for url in (base, ""):
                given = Connection(id="conn", base_url=url, password=KEY)
                result = await run_plan(plan, {}, {"api": given})
                assert result.error is not None
                assert result.error.code == "not-sent"
                assert "certificate" in result.error.message
            assert place.requests == []
            trusting = Connection(id="conn", base_url=base, password=KEY, verify=str(certificate[0]))
            assert (await run_plan(plan, {}, {"api": trusting})).status == "succeeded"
        finally:
            await server.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))
