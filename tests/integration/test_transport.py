"""The transport over real sockets: what arrives byte for byte, and what becomes of every kind of failure."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import ssl
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_arazzo import __version__
from airflow_arazzo.engine.connection import BadConnection, Connection
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Request, Response, TransportError
from airflow_arazzo.engine.security import MissingCredential
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.model import SchemeUse, SecurityScheme, Server, Source

KEY = "sk_live_0123456789"
SOURCE = Source(
    "api",
    schemes={
        "query": SecurityScheme("apiKey", place="query", parameter="api_key"),
        "bearer": SecurityScheme("http", scheme="bearer"),
    },
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
METHODS = ["GET", "PUT", "DELETE", "POST", "PATCH"]


class Listener:
    """A listening socket that does what it is told with each connection, and remembers what it read."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """One request, whole."""
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        request = head + await reader.readexactly(int(found[1]) if found else 0)
        self.requests.append(request)
        return request


@asynccontextmanager
async def listening(
    behave: Callable[..., Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[Listener]:
    server = Listener()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            await behave(server, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


def answering(*answers: bytes) -> Callable[..., Awaitable[None]]:
    """Read requests and give these answers, one after another on each connection, then close it."""

    async def behave(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await server.read(reader)
            writer.write(answer)
            await writer.drain()

    return behave


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def request(method: str = "GET", target: str = "/v1/x", body: bytes | None = None, **more: Any) -> Request:
    return Request("api", method, target, (), more.pop("headers", ()), body, **more)


def connection(port: int, **more: Any) -> Connection:
    return Connection(
        id="conn", base_url=more.pop("base_url", f"http://127.0.0.1:{port}"), password=KEY, **more
    )


def exchange(
    behave: Callable[..., Awaitable[None]], *requests: Request, limit: int = 10_000, **more: Any
) -> tuple[Listener, list[Response | TransportError]]:
    """Send requests one after another over one transport, and collect what comes of each."""

    async def run() -> tuple[Listener, list[Response | TransportError]]:
        outcomes: list[Response | TransportError] = []
        async with listening(behave) as server, Transport(limit=limit) as transport:
            for one in requests:
                try:
                    outcomes.append(await transport.send(one, SOURCE, connection(server.port, **more)))
                except TransportError as error:
                    outcomes.append(error)
            return server, outcomes

    return asyncio.run(asyncio.wait_for(run(), 20))


# -- What is sent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", None, b""),
        ("HEAD", None, b""),
        ("POST", None, b"Content-Length: 0\r\n"),
        ("PUT", None, b"Content-Length: 0\r\n"),
        ("PATCH", None, b"Content-Length: 0\r\n"),
        ("DELETE", None, b"Content-Length: 0\r\n"),
        ("POST", b"", b"Content-Length: 0\r\n"),
        ("POST", b"a=1", b"Content-Length: 3\r\n"),
        ("GET", b"{}", b"Content-Length: 2\r\n"),
    ],
)
def test_the_exact_bytes(method: str, body: bytes | None, length: bytes) -> None:
    answer = OK if method != "HEAD" else b"HTTP/1.1 200 OK\r\n\r\n"
    headers = (("Accept", "application/json"), ("x-LOWER", "1"), ("X-Twice", "a"), ("X-Twice", "b"))
    server, (response,) = exchange(
        answering(answer), request(method, "/v1/a%2fb/%C3%A9;%41~%7E?q=%20+%5B&r", body, headers=headers)
    )
    assert isinstance(response, Response)
    assert server.requests == [
        method.encode() + b" /v1/a%2fb/%C3%A9;%41~%7E?q=%20+%5B&r HTTP/1.1\r\n"
        b"Host: 127.0.0.1:" + str(server.port).encode() + b"\r\n"
        b"Accept: application/json\r\n"
        b"x-LOWER: 1\r\n"
        b"X-Twice: a\r\n"
        b"X-Twice: b\r\n"
        b"User-Agent: airflow-arazzo/" + __version__.encode() + b"\r\n"
        b"Accept-Encoding: gzip, deflate\r\n" + length + b"\r\n" + (body or b"")
    ]


@pytest.mark.filterwarnings("error")
def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000
    server, (response,) = exchange(answering(OK), request("POST", body=body))
    assert isinstance(response, Response)
    assert server.requests[0].partition(b"\r\n\r\n")[2] == body
    assert b"Content-Length: 5120000\r\n" in server.requests[0]
    assert b"Content-Type" not in server.requests[0]


def test_credentials_are_sent_and_the_query_is_shown_without_them() -> None:
    asked = request(target="/v1?a=1", security=((SchemeUse("query"),),))
    server, (response,) = exchange(answering(OK), asked)
    assert server.requests[0].startswith(f"GET /v1?a=1&api_key={KEY} HTTP/1.1\r\n".encode())
    assert isinstance(response, Response)
    assert response.url == f"http://127.0.0.1:{server.port}/v1?a=1"
    server, _ = exchange(answering(OK), request(security=((SchemeUse("bearer"),),)))
    assert f"\r\nAuthorization: Bearer {KEY}\r\n".encode() in server.requests[0]


def test_the_base_path_of_the_connection_comes_first() -> None:
    async def run() -> bytes:
        async with listening(answering(OK)) as server, Transport() as transport:
            base = f"http://127.0.0.1:{server.port}/base"
            await transport.send(request(target="/x"), SOURCE, connection(0, base_url=base))
            return server.requests[0]

    assert asyncio.run(run()).startswith(b"GET /base/x HTTP/1.1\r\n")


def test_the_described_server_is_used_without_a_host() -> None:
    async def run() -> bytes:
        async with listening(answering(OK)) as server, Transport() as transport:
            servers = (Server(f"http://127.0.0.1:{server.port}/v2/"),)
            asked = msgspec.structs.replace(request(target="/x"), servers=servers)
            await transport.send(asked, SOURCE, connection(0, base_url=""))
            return server.requests[0]

    assert asyncio.run(run()).startswith(b"GET /v2/x HTTP/1.1\r\n")


def test_connections_are_reused() -> None:
    server, outcomes = exchange(answering(OK, OK, OK), *[request("POST", body=b"x")] * 3)
    assert [type(outcome) for outcome in outcomes] == [Response] * 3
    assert server.connections == 1


def test_two_connections_of_one_transport_do_not_share_credentials() -> None:
    async def run() -> list[bytes]:
        async with listening(answering(OK, OK)) as server, Transport() as transport:
            asked = request(security=((SchemeUse("bearer"),),))
            for key in ("first-key", "second-key"):
                given = Connection(id="c", base_url=f"http://127.0.0.1:{server.port}", password=key)
                await transport.send(asked, SOURCE, given)
            return server.requests

    first, second = asyncio.run(run())
    assert b"Bearer first-key" in first
    assert b"Bearer second-key" in second


# -- What comes back -------------------------------------------------------------------------------------


def test_the_response_as_it_arrived() -> None:
    answer = (
        b"HTTP/1.1 201 Created\r\nx-One: 1\r\nX-Two: a\r\nx-two: b\r\nX-Latin: caf\xe9\r\n"
        b"X-Utf: caf\xc3\xa9\r\nContent-Length: 3\r\n\r\n\x00\xffz"
    )
    server, (response,) = exchange(answering(answer), request("POST"))
    assert isinstance(response, Response)
    assert response.status == 201
    assert response.headers == (
        ("x-One", "1"),
        ("X-Two", "a"),
        ("x-two", "b"),
        ("X-Latin", "café"),
        ("X-Utf", "café"),
        ("Content-Length", "3"),
    )
    assert response.header("X-TWO") == "a"
    assert response.body == b"\x00\xffz"
    assert response.url == f"http://127.0.0.1:{server.port}/v1/x"
    assert 0 < response.elapsed < 10


def test_codings_are_decoded() -> None:
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    until_close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    for answer in (head + packed, chunked, until_close):
        _, (response,) = exchange(answering(answer), request())
        assert isinstance(response, Response)
        assert response.body == b"hello"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_responses(status: int) -> None:
    answer = b"HTTP/1.1 %d Go\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n" % status
    server, (response,) = exchange(answering(answer), request("POST", body=b"x"))
    assert isinstance(response, Response)
    assert response.status == status
    assert response.header("Location") == "http://127.0.0.1:1/elsewhere"
    assert len(server.requests) == 1


def test_cookies_are_not_kept() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=1\r\nContent-Length: 0\r\n\r\n"

    async def run() -> bytes:
        async with listening(answering(answer, OK)) as server, Transport() as transport:
            for _ in range(2):
                given = connection(0, base_url=f"http://localhost:{server.port}")
                await transport.send(request(), SOURCE, given)
            return server.requests[1]

    assert b"cookie" not in asyncio.run(run()).lower()


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_error_statuses_are_responses(status: int) -> None:
    answer = b"HTTP/1.1 %d No\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno" % status
    _, (response,) = exchange(answering(answer), request("POST"))
    assert isinstance(response, Response)
    assert (response.status, response.body, response.header("retry-after")) == (status, b"no", "3")


# -- What goes wrong after the request may have left -----------------------------------------------------


async def resets_unread(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    reset(writer)


async def resets_read(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)
    reset(writer)


async def closes_read(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)


async def stalls(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)
    await asyncio.sleep(30)


async def stalls_in_the_body(
    server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read(reader)
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(30)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("behave", "status"),
    [
        (resets_unread, None),
        (resets_read, None),
        (closes_read, None),
        (stalls, None),
        (stalls_in_the_body, 201),
        (answering(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf"), 201),
        (answering(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), 201),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk"), 200),
        (answering(b"this is not HTTP\r\n\r\n"), None),
        (answering(b"HTTP/1.1 200"), None),
    ],
)
def test_what_may_have_arrived_is_unknown_and_never_repeated(
    behave: Callable[..., Awaitable[None]], status: int | None, method: str
) -> None:
    asked = request(method, body=b"amount=1", timeout=0.3, security=((SchemeUse("query"),),))
    server, (outcome,) = exchange(behave, asked)
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.status == status
    assert server.connections == 1
    _hides_the_key(outcome)


@pytest.mark.parametrize("method", METHODS)
def test_a_kept_connection_that_the_server_closes_is_unknown_and_never_repeated(method: str) -> None:
    async def behave(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        writer.write(OK)
        await server.read(reader)  # reads the second request and closes without an answer

    server, (first, second) = exchange(behave, request(method, body=b"1"), request(method, body=b"2"))
    assert isinstance(first, Response)
    assert isinstance(second, OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 2)


def test_an_oversized_response_is_unknown() -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n" + b"x" * 10_001
    _, (outcome,) = exchange(answering(large), request("POST"))
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.status == 200
    assert "larger than 10000 bytes" in str(outcome)
    just = large.replace(b"10001", b"10000")[:-1]
    _, (response,) = exchange(answering(just), request("POST"))
    assert isinstance(response, Response)
    assert len(response.body) == 10_000


def test_the_limit_counts_decoded_bytes() -> None:
    packed = gzip.compress(b"x" * 1_000_000)
    assert len(packed) < 10_000
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    _, (outcome,) = exchange(answering(head + packed), request())
    assert isinstance(outcome, OutcomeUnknown)
    assert "larger than" in str(outcome)


def test_a_decompression_bomb_is_not_unpacked() -> None:
    packed = gzip.compress(bytes(64 * 2**20))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    tracemalloc.start()
    try:
        _, (outcome,) = exchange(answering(head + packed), request())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(outcome, OutcomeUnknown)
    assert "larger than" in str(outcome)
    assert peak < 8 * 2**20


@pytest.mark.parametrize(("count", "fine"), [(150, True), (300, False), (5000, False)])
def test_headers_are_counted(count: int, fine: bool) -> None:
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(count))
    answer = b"HTTP/1.1 200 OK\r\n" + many + b"Content-Length: 2\r\n\r\nok"
    _, (outcome,) = exchange(answering(answer), request("POST"))
    if fine:
        assert isinstance(outcome, Response)
        assert len(outcome.headers) == count + 1
    else:
        assert isinstance(outcome, OutcomeUnknown)
        assert "not valid HTTP" in str(outcome)


def test_a_header_is_bounded() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok"
    _, (outcome,) = exchange(answering(answer), request("POST"))
    assert isinstance(outcome, OutcomeUnknown)


def test_the_timeout_is_the_requests_then_the_connections() -> None:
    _, (outcome,) = exchange(stalls, request(timeout=0.2), timeout=20.0)
    assert isinstance(outcome, OutcomeUnknown)
    assert "after 0.2 s" in str(outcome)
    _, (outcome,) = exchange(stalls, request(), timeout=0.3)
    assert "after 0.3 s" in str(outcome)


def test_a_response_that_trickles_is_bound_by_the_same_timeout() -> None:
    async def trickles(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    _, (outcome,) = exchange(trickles, request(timeout=0.4))
    assert isinstance(outcome, OutcomeUnknown)


def test_cancelling_is_not_swallowed() -> None:
    async def run() -> None:
        async with listening(stalls) as server, Transport() as transport:
            task = asyncio.create_task(transport.send(request("POST"), SOURCE, connection(server.port)))
            while not server.requests:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())


# -- What goes wrong before anything left ----------------------------------------------------------------


def _hides_the_key(error: BaseException | None) -> None:
    """Neither the message nor anything that a traceback would print after it holds the key."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        assert KEY not in str(error)
        assert KEY not in repr(error)
        error = error.__cause__ or error.__context__


def _send(asked: Request, given: Connection) -> TransportError:
    async def run() -> TransportError:
        async with Transport() as transport:
            with pytest.raises(TransportError) as caught:
                await transport.send(asked, SOURCE, given)
            return caught.value

    return asyncio.run(run())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


QUERY_KEY = request("POST", body=b"x", security=((SchemeUse("query"),),))


def test_a_refused_connection_is_not_sent() -> None:
    error = _send(QUERY_KEY, connection(_free_port()))
    assert type(error) is NotSent
    assert "Connect call failed" in str(error)
    _hides_the_key(error)


def test_an_unknown_host_is_not_sent() -> None:
    error = _send(QUERY_KEY, connection(0, base_url="http://nowhere.invalid"))
    assert type(error) is NotSent
    assert "POST http://nowhere.invalid/v1/x" in str(error)
    _hides_the_key(error)


def test_a_stalled_handshake_is_not_sent() -> None:
    async def silent(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async def run() -> TransportError:
        async with listening(silent) as server, Transport() as transport:
            given = connection(0, base_url=f"https://127.0.0.1:{server.port}", timeout=0.3)
            with pytest.raises(TransportError) as caught:
                await transport.send(QUERY_KEY, SOURCE, given)
            return caught.value

    error = asyncio.run(run())
    assert type(error) is NotSent
    assert "there is no connection after 0.3 s" in str(error)


def test_a_failed_handshake_is_not_sent() -> None:
    async def hangs_up(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def run() -> TransportError:
        async with listening(hangs_up) as server, Transport() as transport:
            given = connection(0, base_url=f"https://127.0.0.1:{server.port}", timeout=5)
            with pytest.raises(TransportError) as caught:
                await transport.send(QUERY_KEY, SOURCE, given)
            return caught.value

    error = asyncio.run(run())
    assert type(error) is NotSent
    _hides_the_key(error)


@pytest.mark.parametrize("header", [("X", f"{KEY}\r\nX-Evil: 1"), ("X", f"{KEY}\n"), ("X\r\nY", KEY)])
def test_split_headers_are_not_sent(header: tuple[str, str]) -> None:
    server, (outcome,) = exchange(answering(OK), request(headers=(header,)))
    assert type(outcome) is NotSent
    assert server.connections == 0
    _hides_the_key(outcome)


def test_missing_credentials_and_bad_connections_are_not_sent() -> None:
    asked = request(security=((SchemeUse("bearer"),),))
    missing = _send(asked, Connection(id="conn", base_url="http://127.0.0.1:1"))
    assert isinstance(missing, MissingCredential)
    no_host = _send(asked, Connection(id="conn", password=KEY))
    assert isinstance(no_host, BadConnection)
    no_file = _send(request(), connection(1, verify="/no/such/bundle.pem"))
    assert isinstance(no_file, BadConnection)
    assert "cannot be read" in str(no_file)


# -- TLS and proxies -------------------------------------------------------------------------------------


def over_tls(files: tuple[Path, Path], *, ask_client: bool = False, **more: Any) -> tuple[Listener, Any]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    if ask_client:
        context.load_verify_locations(files[0])
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # refuses within the handshake

    async def run() -> tuple[Listener, Any]:
        async with listening(answering(OK), context) as server, Transport() as transport:
            given = connection(0, base_url=f"https://127.0.0.1:{server.port}", timeout=5, **more)
            try:
                return server, await transport.send(QUERY_KEY, SOURCE, given)
            except TransportError as error:
                return server, error

    return asyncio.run(run())


def test_an_unknown_certificate_is_not_sent(certificate: tuple[Path, Path]) -> None:
    server, error = over_tls(certificate)
    assert type(error) is NotSent
    assert "certificate" in str(error)
    assert server.requests == []
    _hides_the_key(error)


def test_tls_settings_of_the_connection(certificate: tuple[Path, Path]) -> None:
    for verify in (False, str(certificate[0])):
        server, response = over_tls(certificate, verify=verify)
        assert isinstance(response, Response)
        assert len(server.requests) == 1


def test_a_client_certificate_is_shown(certificate: tuple[Path, Path]) -> None:
    server, error = over_tls(certificate, ask_client=True, verify=False)
    assert type(error) is NotSent
    assert server.requests == []
    paths = tuple(str(path) for path in certificate)
    server, response = over_tls(certificate, ask_client=True, verify=False, certificate=paths)
    assert isinstance(response, Response)


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("key", ["http", "all"])
def test_the_proxy_of_the_connection(no_proxies: pytest.MonkeyPatch, key: str) -> None:
    async def run() -> bytes:
        async with listening(answering(OK)) as proxy, Transport() as transport:
            proxies = {key: f"http://me:{KEY}@127.0.0.1:{proxy.port}"}
            await transport.send(
                request(), SOURCE, connection(0, base_url="http://api.invalid", proxies=proxies)
            )
            return proxy.requests[0]

    seen = asyncio.run(run())
    assert seen.startswith(b"GET http://api.invalid/v1/x HTTP/1.1\r\nHost: api.invalid\r\n")
    assert b"\r\nProxy-Authorization: Basic " in seen


def test_proxies_of_the_environment_only_when_asked(no_proxies: pytest.MonkeyPatch) -> None:
    async def run(trust_env: bool) -> int:
        async with (
            listening(answering(OK)) as proxy,
            listening(answering(OK)) as server,
            Transport() as transport,
        ):
            no_proxies.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            await transport.send(request(), SOURCE, connection(server.port, trust_env=trust_env))
            return len(proxy.requests) - len(server.requests)

    assert asyncio.run(run(False)) == -1
    assert asyncio.run(run(True)) == 1


def test_a_netrc_file_is_never_read(no_proxies: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret-of-netrc\n")
    no_proxies.setenv("NETRC", str(netrc))
    server, (response,) = exchange(answering(OK), request(), trust_env=True)
    assert isinstance(response, Response)
    assert b"uthorization" not in server.requests[0]


def test_a_proxy_that_refuses_a_tunnel_is_not_sent(no_proxies: pytest.MonkeyPatch) -> None:
    async def run() -> TransportError:
        answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        async with listening(answering(answer)) as proxy, Transport() as transport:
            given = connection(
                0, base_url="https://api.invalid", proxies={"all": f"http://127.0.0.1:{proxy.port}"}
            )
            with pytest.raises(TransportError) as caught:
                await transport.send(QUERY_KEY, SOURCE, given)
            return caught.value

    error = asyncio.run(run())
    assert type(error) is NotSent
    assert "the proxy answered 407" in str(error)
    _hides_the_key(error)


def test_a_tunnel_through_a_proxy(no_proxies: pytest.MonkeyPatch, certificate: tuple[Path, Path]) -> None:
    """The proxy sees where it leads, and nothing of what goes through."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    tunnels: list[bytes] = []

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(4096):
            tunnels.append(data)
            target.write(data)
        target.close()

    async def run() -> tuple[list[bytes], list[bytes], list[Any]]:
        async with listening(answering(OK, OK), context) as server:

            async def behave(
                proxy: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
            ) -> None:
                await proxy.read(reader)
                inner, outer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(pump(reader, outer), pump(inner, writer), return_exceptions=True)

            async with listening(behave) as proxy, Transport() as transport:
                given = connection(
                    0,
                    base_url=f"https://127.0.0.1:{server.port}",
                    proxies={"https": f"http://me:{KEY}@127.0.0.1:{proxy.port}"},
                    verify=str(certificate[0]),
                )
                found = [await transport.send(QUERY_KEY, SOURCE, given) for _ in range(2)]
                assert proxy.connections == 1
                return proxy.requests, server.requests, found

    asked, received, responses = asyncio.run(asyncio.wait_for(run(), 20))
    assert [response.status for response in responses] == [200, 200]
    assert re.match(rb"CONNECT 127\.0\.0\.1:\d+ HTTP/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n", asked[0])
    assert b"Proxy-Authorization: Basic " in asked[0]
    assert len(received) == 2
    assert received[0].startswith(b"POST /v1/x?api_key=")
    assert b"Proxy-Authorization" not in received[0]
    assert KEY.encode() not in b"".join(tunnels)


def test_a_connection_that_was_idle_for_long_is_not_used() -> None:
    now = [0.0]

    async def run() -> int:
        async with listening(answering(OK, OK)) as server, Transport(clock=lambda: now[0]) as transport:
            for _ in range(2):
                await transport.send(request(), SOURCE, connection(server.port))
                now[0] += 10
            return server.connections

    assert asyncio.run(run()) == 2


def test_what_nobody_asked_for_ends_a_connection() -> None:
    """A server that says something between two requests is not taken for an answer to the second."""

    async def behave(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.2)

    async def run() -> list[int]:
        async with listening(behave) as server, Transport() as transport:
            found = []
            for _ in range(2):
                response = await transport.send(request("POST", body=b"1"), SOURCE, connection(server.port))
                found.append(response.status)
                await asyncio.sleep(0.15)
            return [*found, server.connections]

    assert asyncio.run(asyncio.wait_for(run(), 20)) == [200, 200, 2]


def test_requests_side_by_side_have_connections_of_their_own() -> None:
    async def slow(server: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(4):
            asked = await server.read(reader)
            await asyncio.sleep(0.05)
            body = asked.partition(b"\r\n\r\n")[2]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async def run() -> tuple[list[bytes], int]:
        async with listening(slow) as server, Transport() as transport:
            given = connection(server.port)
            found: list[bytes] = []
            for _ in range(2):
                asked = [request("POST", body=b"%d" % number) for number in range(5)]
                answers = await asyncio.gather(*(transport.send(one, SOURCE, given) for one in asked))
                found += [answer.body for answer in answers]
            return found, server.connections

    bodies, connections = asyncio.run(asyncio.wait_for(run(), 20))
    assert bodies == [b"%d" % number for number in range(5)] * 2
    assert connections == 5
