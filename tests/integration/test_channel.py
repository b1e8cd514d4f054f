"""Connections that go wrong at the worst moment: no request gets another's answer, or is taken for sent."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.engine import channel, dial
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.http1 import Http1
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Request, Response, TransportError
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.model import Source

SOURCE = Source("api")
Behave = Callable[[socket.socket, int], None]


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def read(connection: socket.socket) -> bytes:
    """One request, whole; nothing when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        some = connection.recv(65536)
        if not some:
            return b""
        data += some
    found = re.search(rb"\r\ncontent-length: *(\d+)", data, re.IGNORECASE)
    whole = data.index(b"\r\n\r\n") + 4 + int(found[1] if found else 0)
    while len(data) < whole:
        data += connection.recv(65536)
    return data


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def served(behave: Behave, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server in threads of its own, so that it goes on while the client's event loop does not.

    :param behave: is called with each connection and its number from 0; the connection is closed afterwards.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(raw: socket.socket, number: int) -> None:
        with suppress(OSError, ssl.SSLError):
            connection = context.wrap_socket(raw, server_side=True) if context else raw
            behave(connection, number)
            connection.close()

    def accept() -> None:
        with suppress(OSError):
            for number in range(100):
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection, number), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def post(body: bytes = b"1", **more: Any) -> Request:
    return Request("api", "POST", "/x", (), (), body, **more)


def connected(port: int, scheme: str = "http", **more: Any) -> Connection:
    return Connection(id="c", base_url=f"{scheme}://127.0.0.1:{port}", timeout=5.0, **more)


# -- Connections that are kept ----------------------------------------------------------------------------


def twice(behave: Behave, said: threading.Event) -> list[bytes]:
    """Bodies of the answers to two requests, with an event loop that is busy in between.

    :param said: set by the server when it has done its worst.
    """

    async def run(port: int) -> list[bytes]:
        async with Transport() as transport:
            first = await transport.send(post(), SOURCE, connected(port))
            said.wait(5)  # as a commit to a slow database does
            time.sleep(0.02)
            second = await transport.send(post(), SOURCE, connected(port))
            return [first.body, second.body]

    with served(behave) as port:
        return asyncio.run(run(port))


def test_what_lies_in_the_socket_already_is_no_answer_to_the_next_request() -> None:
    """The event loop has not looked yet; the answer to a POST would be taken from it."""

    def behave(connection: socket.socket, number: int) -> None:
        read(connection)
        connection.sendall(answer(b"%d" % number))
        time.sleep(0.05)
        connection.sendall(answer(b"stale"))
        said.set()
        time.sleep(0.5)

    said = threading.Event()
    assert twice(behave, said) == [b"0", b"1"]


@pytest.mark.parametrize("ends", [socket.socket.close, reset])
def test_a_request_is_not_sent_into_a_connection_that_has_ended_unseen(
    ends: Callable[[socket.socket], None],
) -> None:
    """Its outcome would be unknown, though the server never had a chance to read it."""

    def behave(connection: socket.socket, number: int) -> None:
        read(connection)
        connection.sendall(answer(b"%d" % number))
        time.sleep(0.05)
        ends(connection)
        said.set()

    said = threading.Event()
    assert twice(behave, said) == [b"0", b"1"]


def test_a_connection_is_still_kept() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        for _ in range(2):
            read(connection)
            connection.sendall(answer(b"%d" % number))
            said.set()

    said = threading.Event()
    assert twice(behave, said) == [b"0", b"0"]


def test_a_connection_with_a_body_still_on_its_way_is_not_used_again() -> None:
    """The server has answered without reading it, and may never read on."""
    stop = threading.Event()

    def behave(connection: socket.socket, number: int) -> None:
        if number == 0:
            connection.recv(1000)
            connection.sendall(answer(b"too large", b"413 Content Too Large"))
            stop.wait(5)
            return
        read(connection)
        connection.sendall(answer(b"1"))

    async def run(port: int) -> list[Any]:
        async with Transport() as transport:
            given = connected(port)
            large = await transport.send(post(b"x" * 30_000_000), SOURCE, given)
            found = [large.status, (await transport.send(post(), SOURCE, given)).body]
        await asyncio.sleep(0.01)
        loop: Any = asyncio.get_running_loop()
        assert len(loop._selector.get_map()) == 1, "only what wakes the loop is left; nothing is still sent"
        return found

    with served(behave) as port:
        assert asyncio.run(run(port)) == [413, b"1"]
        stop.set()


@pytest.mark.parametrize(
    ("header", "connections"),
    [(b"", 1), (b"Keep-Alive: timeout=5\r\n", 1), (b"Keep-Alive: timeout=2, max=9\r\n", 2)],
)
def test_a_server_that_keeps_connections_for_a_shorter_time_is_believed(
    header: bytes, connections: int
) -> None:
    now = [0.0]
    seen: set[int] = set()

    def behave(connection: socket.socket, number: int) -> None:
        while read(connection):
            seen.add(number)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + header + b"Content-Length: 0\r\n\r\n")

    async def run(port: int) -> None:
        async with Transport(clock=lambda: now[0]) as transport:
            for _ in range(2):
                await transport.send(post(), SOURCE, connected(port))
                now[0] += 1.5

    with served(behave) as port:
        asyncio.run(run(port))
    assert len(seen) == connections


@pytest.mark.parametrize("base", ["https://api.invalid", "HTTPS://api.invalid"])
def test_the_proxy_does_not_depend_on_how_the_scheme_is_written(base: str) -> None:
    given = Connection(id="c", proxies={"https": "http://proxy.invalid:3128"})
    assert dial.proxy_of(base, given) == "http://proxy.invalid:3128"


# -- Connections that end before a request -----------------------------------------------------------------


@pytest.mark.parametrize("ends", [socket.socket.close, reset])
def test_a_connection_that_ends_before_the_request_is_not_sent(
    ends: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and not when the time is up."""

    async def until_it_is_gone(*arguments: Any) -> Http1:
        http = await dial.dial(*arguments)
        while http.is_usable():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        return http

    monkeypatch.setattr(channel, "dial", until_it_is_gone)

    async def run(port: int) -> TransportError:
        async with Transport() as transport:
            with pytest.raises(TransportError) as caught:
                await transport.send(post(timeout=2.0), SOURCE, connected(port))
            return caught.value

    def behave(connection: socket.socket, number: int) -> None:
        time.sleep(0.05)  # until the client knows of the connection
        ends(connection)

    started = time.monotonic()
    with served(behave) as port:
        error = asyncio.run(run(port))
    assert type(error) is NotSent
    assert "closed the connection before the request" in str(error)
    assert time.monotonic() - started < 1.5


def test_a_connection_that_has_ended_answers_at_once() -> None:
    async def run(port: int) -> None:
        opened = await asyncio.get_running_loop().create_connection(Http1, "127.0.0.1", port)
        http = opened[1]
        while http.is_usable():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        with pytest.raises(channel.BrokenExchange):
            await asyncio.wait_for(http.exchange("GET", b"GET / HTTP/1.1\r\n\r\n", None, 10), 1)

    def behave(connection: socket.socket, number: int) -> None:
        time.sleep(0.05)  # until the client knows of the connection
        reset(connection)

    with served(behave) as port:
        asyncio.run(run(port))


def test_words_before_there_is_a_connection_end_it() -> None:
    """As TLS inside a tunnel may have them: decrypted before anybody is told of the connection."""

    async def run(port: int) -> bool:
        http = Http1()
        http.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: http, "127.0.0.1", port)
        usable = http.is_usable()
        transport.abort()
        return usable

    with served(lambda connection, _: time.sleep(0.2)) as port:
        assert asyncio.run(run(port)) is False


# -- Giving up --------------------------------------------------------------------------------------------


def test_giving_up_as_the_handshake_ends_closes_the_connection(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once; and no socket is taken from under the event loop, which would trip over the next one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    ended = threading.Event()
    problems: list[dict[str, Any]] = []

    def behave(connection: socket.socket, number: int) -> None:
        if number == 0:
            with suppress(OSError):
                connection.recv(1)
            ended.set()
            time.sleep(0.5)
            return
        read(connection)
        connection.sendall(answer(b"%d" % number))

    class GivenUp(Http1):
        first = True

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if GivenUp.first:
                GivenUp.first = False
                task.cancel()

    monkeypatch.setattr(dial, "Http1", GivenUp)
    task: asyncio.Task[Response]

    async def run(port: int) -> tuple[bytes, bool]:
        nonlocal task
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        given = connected(port, "https", verify=str(certificate[0]))
        watched: Any = loop
        async with Transport() as transport:
            before = len(watched._selector.get_map())
            task = asyncio.create_task(transport.send(post(), SOURCE, given))
            with pytest.raises(asyncio.CancelledError):
                await task
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(watched._selector.get_map()) == before
            closed = await asyncio.to_thread(ended.wait, 1)
            return (await transport.send(post(), SOURCE, given)).body, closed

    with served(behave, context) as port:
        assert asyncio.run(run(port)) == (b"1", True)
    assert problems == []


def test_a_late_answer_is_nobodys() -> None:
    """The connection of a request that was given up is not used for the next one."""

    def behave(connection: socket.socket, number: int) -> None:
        read(connection)
        if number == 0:
            time.sleep(0.3)
        with suppress(OSError):
            connection.sendall(answer(b"%d" % number))
        time.sleep(0.3)

    async def run(port: int) -> bytes:
        async with Transport() as transport:
            with pytest.raises(OutcomeUnknown):
                await transport.send(post(timeout=0.1), SOURCE, connected(port))
            await asyncio.sleep(0.3)
            return (await transport.send(post(), SOURCE, connected(port))).body

    with served(behave) as port:
        assert asyncio.run(run(port)) == b"1"


# -- Messages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proxy", ["http://me:pass/word-of-proxy@127.0.0.1:3128", "http://me:word-of-proxy"])
def test_a_proxy_that_cannot_be_read_is_not_shown(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("http_proxy", proxy)

    async def run() -> TransportError:
        async with Transport() as transport:
            given = Connection(id="c", base_url="http://api.invalid", trust_env=True)
            with pytest.raises(TransportError) as caught:
                await transport.send(post(), SOURCE, given)
            return caught.value

    error = asyncio.run(run())
    assert isinstance(error, NotSent)
    assert "pass" not in str(error)
    assert "word-of-proxy" not in str(error)
    assert "proxy" in str(error)


@pytest.mark.parametrize("host", ["a b.invalid", "a\x0bb.invalid", "a\x7f.invalid"])
def test_what_is_no_host_is_not_written_into_a_request(host: str) -> None:
    """Nobody looks it up where a proxy does that."""

    async def run(port: int) -> TransportError:
        async with Transport() as transport:
            proxies = {"http": f"http://127.0.0.1:{port}"}
            given = Connection(id="c", base_url=f"http://{host}", proxies=proxies)
            with pytest.raises(TransportError) as caught:
                await transport.send(post(), SOURCE, given)
            return caught.value

    def behave(connection: socket.socket, number: int) -> None:
        connection.sendall(answer(read(connection)))

    with served(behave) as port:
        error = asyncio.run(run(port))
    assert type(error) is NotSent
    assert "its host is not a host name" in str(error)


# -- Connections of others --------------------------------------------------------------------------------


def test_a_connection_with_other_settings_is_not_used(certificate: tuple[Path, Path]) -> None:
    """Of the same id and host, while one is kept that would do."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(certificate[0])
    context.verify_mode = ssl.CERT_OPTIONAL
    ca, pair = str(certificate[0]), (str(certificate[0]), str(certificate[1]))

    def behave(connection: socket.socket, number: int) -> None:
        shown = b"known" if connection.getpeercert() else b"nobody"  # type: ignore[attr-defined]
        while read(connection):
            connection.sendall(answer(b"%b %d" % (shown, number)))

    async def run(port: int) -> list[Any]:
        found: list[Any] = []
        async with Transport() as transport:
            for more in (
                {"verify": ca},
                {"verify": ca},
                {},
                {"verify": ca, "certificate": pair},
                {"verify": False},
                {"verify": ca, "forbid_private": True},
                {"verify": ca, "proxies": {"https": "http://127.0.0.1:1"}},
                {"verify": ca},
            ):
                try:
                    found.append(
                        (await transport.send(post(), SOURCE, connected(port, "https", **more))).body
                    )
                except TransportError as error:
                    found.append(type(error))
        return found

    with served(behave, context) as port:
        found = asyncio.run(run(port))
    assert found[:3] == [b"nobody 0", b"nobody 0", NotSent]
    assert found[3].startswith(b"known ")
    assert found[4].startswith(b"nobody ")
    assert found[4] != b"nobody 0"
    assert found[5:] == [NotSent, NotSent, b"nobody 0"]
