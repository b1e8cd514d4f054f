"""What an observer hears of requests over real sockets: each that is sent, and what became of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.machine import Machine, Send, begin
from airflow_arazzo.engine.messages import OutcomeUnknown, Response
from airflow_arazzo.engine.observe import UnderWay, watched
from airflow_arazzo.engine.run import Exchange, sender
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.engine.wire import Wire
from airflow_arazzo.plan.compiler import compile_workflow

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


class Recorder:
    """Notes every request as ``[purpose, method, path, resends, what became of it]``."""

    def __init__(self, broken: str = "") -> None:
        self.told: list[list[Any]] = []
        self._broken = broken

    def sending(self, under_way: UnderWay, wire: Wire, secrets: Iterable[str]) -> Any:
        if self._broken == "sending":
            raise RuntimeError("no observer today")
        path = wire.shown_url.partition("://")[2].partition("/")[2]
        noted = [under_way.purpose, wire.method, f"/{path}", under_way.resends]
        self.told.append(noted)
        return Noted(noted, self._broken)


class Noted:
    traceparent = TRACE

    def __init__(self, noted: list[Any], broken: str) -> None:
        self._noted = noted
        self._broken = broken

    def answered(self, response: Response) -> None:
        if self._broken == "answered":
            raise RuntimeError("no observer today")
        self._noted.append(response.status)

    def failed(self, fate: str, kind: str, message: str) -> None:
        if self._broken == "failed":
            raise RuntimeError("no observer today")
        self._noted += [fate, kind]


class Service:
    """An API whose first token is not accepted, and what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.redirect = ""
        self.delay = 0.0
        self.tokens = 0
        self.came: list[tuple[str, str | None]] = []

    async def serve(self, request: web.Request) -> web.Response:
        self.came.append((request.path, request.headers.get("traceparent")))
        if request.path == "/token":
            self.tokens += 1
            return web.json_response(
                {"access_token": f"token-number-{self.tokens}", "token_type": "Bearer", "expires_in": 3600}
            )
        if self.redirect and request.path == "/x":
            return web.Response(status=302, headers={"Location": self.redirect})
        await asyncio.sleep(self.delay)
        stale = request.headers.get("Authorization") == "Bearer token-number-1"
        return web.Response(status=401 if stale else 200)


@asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.serve)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    service.url = f"http://127.0.0.1:{server.port}"
    try:
        yield service
    finally:
        await server.close()


def document(folder: Path, *, method: str = "get", oauth: bool = False) -> Path:
    """A workflow with one step."""
    described: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": "api", "version": "1"},
        "servers": [{"url": "https://api.example"}],
        "paths": {"/x": {method: {"operationId": "x", "responses": {"200": {"description": "ok"}}}}},
    }
    if oauth:
        flow = {"clientCredentials": {"tokenUrl": "/token", "scopes": {}}}
        described["components"] = {"securitySchemes": {"o": {"type": "oauth2", "flows": flow}}}
        described["security"] = [{"o": []}]
    (folder / "api.json").write_text(json.dumps(described))
    path = folder / "flow.arazzo.json"
    path.write_text(
        json.dumps(
            {
                "arazzo": "1.0.1",
                "info": {"title": "flow", "version": "1"},
                "sourceDescriptions": [{"name": "api", "url": "api.json", "type": "openapi"}],
                "workflows": [{"workflowId": "w", "steps": [{"stepId": "x", "operationId": "x"}]}],
            }
        )
    )
    return path


class Scene:
    """A machine that wants to send its request, and an observed exchange for it."""

    def __init__(self, path: Path, transport: Transport, connection: Connection) -> None:
        plan, _ = compile_workflow(path)
        machine = Machine(plan, begin(plan, {}, now=0.0), clock=lambda: 0.0)
        command = machine.next()
        assert isinstance(command, Send)
        self.command = command
        self.exchange: Exchange = watched(sender(transport, plan, {"api": connection}), machine)

    async def send(self) -> Response:
        return await self.exchange(self.command)


def connected(service: Service, **fields: Any) -> Connection:
    return Connection(id="conn", base_url=service.url, **fields)


def test_tokens_and_the_request_that_is_sent_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        async with serving() as service, Transport(observer=recorder) as transport:
            given = connected(service, client_id="id", client_secret="client-secret", propagate_trace=True)
            scene = Scene(document(tmp_path, oauth=True), transport, given)
            assert (await scene.send()).status == 200
            assert recorder.told == [
                ["token", "POST", "/token", 0, 200],
                ["step", "GET", "/x", 0, 401],
                ["token", "POST", "/token", 0, 200],
                ["step", "GET", "/x", 1, 200],
            ]
            # A token endpoint is somebody else.
            assert service.came == [("/token", None), ("/x", TRACE), ("/token", None), ("/x", TRACE)]

    asyncio.run(scenario())


@pytest.mark.parametrize("foreign", [False, True])
def test_a_trace_stays_at_the_origin(tmp_path: Path, foreign: bool) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        async with serving() as service, serving() as other, Transport(observer=recorder) as transport:
            service.redirect = f"{other.url if foreign else ''}/y?signature=s"
            given = connected(service, follow_redirects=1, propagate_trace=True)
            assert (await Scene(document(tmp_path), transport, given).send()).status == 200
            assert recorder.told == [["step", "GET", "/x", 0, 302], ["step", "GET", "/y", 1, 200]]
            assert service.came[0] == ("/x", TRACE)
            assert (other if foreign else service).came[-1] == ("/y", None if foreign else TRACE)

    asyncio.run(scenario())


def test_no_trace_unless_the_connection_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving() as service, Transport(observer=Recorder()) as transport:
            await Scene(document(tmp_path), transport, connected(service)).send()
            assert service.came == [("/x", None)]

    asyncio.run(scenario())


def test_a_time_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        async with serving() as service, Transport(observer=recorder) as transport:
            service.delay = 1.0
            scene = Scene(document(tmp_path, method="post"), transport, connected(service, timeout=0.1))
            with pytest.raises(OutcomeUnknown):
                await scene.send()
            assert recorder.told == [["step", "POST", "/x", 0, "unknown", "timeout"]]

    asyncio.run(scenario())


def test_a_task_that_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        async with serving() as service, Transport(observer=recorder) as transport:
            service.delay = 1.0
            scene = Scene(document(tmp_path, method="post"), transport, connected(service))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(scene.send(), 0.1)
            assert recorder.told == [["step", "POST", "/x", 0, "unknown", "interrupted"]]

    asyncio.run(scenario())


def test_nothing_listens(tmp_path: Path) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        async with Transport(observer=recorder) as transport:
            given = Connection(id="conn", base_url="http://127.0.0.1:9")
            with pytest.raises(Exception, match="9/x"):
                await Scene(document(tmp_path), transport, given).send()
        assert recorder.told == [["step", "GET", "/x", 0, "not_sent", "NotSent"]]

    asyncio.run(scenario())


@pytest.mark.parametrize("broken", ["sending", "answered", "failed"])
def test_an_observer_that_fails_changes_nothing(tmp_path: Path, broken: str) -> None:
    async def scenario() -> None:
        async with serving() as service, Transport(observer=Recorder(broken)) as transport:
            scene = Scene(document(tmp_path, method="post"), transport, connected(service, timeout=0.3))
            assert (await scene.send()).status == 200
            service.delay = 1.0
            with pytest.raises(OutcomeUnknown):
                await scene.send()

    asyncio.run(scenario())


def test_rows_at_once_do_not_mix(tmp_path: Path) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        async with serving() as service, Transport(observer=recorder) as transport:
            service.delay = 0.05
            path, given = document(tmp_path), connected(service)
            scenes = [Scene(path, transport, given) for _ in range(20)]
            await asyncio.gather(*[scene.send() for scene in scenes])
        assert recorder.told == [["step", "GET", "/x", 0, 200]] * 20

    asyncio.run(scenario())
