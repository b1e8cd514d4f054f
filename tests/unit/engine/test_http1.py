"""Reading responses: however the bytes are cut, and whatever servers do with them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any, cast

import pytest

from airflow_arazzo.engine.http1 import BrokenExchange, Http1, Reader

LIMIT = 10_000
HELLO = b"hello, hello, hello"
PACKED = gzip.compress(HELLO, mtime=0)
BARE = zlib.compressobj(wbits=-15)
DEFLATED = BARE.compress(HELLO) + BARE.flush()


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", b""])


def sized(body: bytes, *lines: bytes) -> bytes:
    return head(*lines, b"Content-Length: %d" % len(body)) + body


def chunked(*parts: bytes) -> bytes:
    whole = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return head(b"Transfer-Encoding: chunked") + whole + b"0\r\n\r\n"


def read(*data: bytes, method: str = "GET", ends: bool = False, limit: int = LIMIT) -> Reader:
    reader = Reader()
    reader.begin(method, limit)
    for some in data:
        reader.feed(some)
    if ends and not reader.complete:
        reader.finish()
    return reader


RESPONSES: dict[str, tuple[bytes, bytes]] = {
    "sized": (sized(HELLO), HELLO),
    "empty": (sized(b""), b""),
    "chunked": (chunked(HELLO[:1], HELLO[1:7], HELLO[7:]), HELLO),
    "gzip": (sized(PACKED, b"Content-Encoding: gzip"), HELLO),
    "gzip in two members": (sized(PACKED + PACKED, b"Content-Encoding: x-gzip"), HELLO * 2),
    "gzip and something behind it": (sized(PACKED + b"\0\0\0", b"Content-Encoding: gzip"), HELLO),
    "deflate": (sized(zlib.compress(HELLO), b"Content-Encoding: deflate"), HELLO),
    "deflate without its header": (sized(DEFLATED, b"Content-Encoding: deflate"), HELLO),
    "a coding that nobody asked for": (sized(b"\x0b\x02", b"Content-Encoding: br"), b"\x0b\x02"),
    "a coding and no body": (sized(b"", b"Content-Encoding: gzip"), b""),
    "after 100 and 103": (
        head(status=b"100 Continue") + head(b"Link: </x>", status=b"103 Early Hints") + sized(HELLO),
        HELLO,
    ),
    "an offer to speak something else": (
        sized(HELLO, b"Upgrade: h2,h2c", b"Connection: Upgrade, Keep-Alive"),
        HELLO,
    ),
    "lines that end in LF alone": (sized(HELLO).replace(b"\r\n", b"\n"), HELLO),
    "without content": (head(status=b"204 No Content"), b""),
    "not modified, with a length": (head(b"Content-Length: 5", status=b"304 Not Modified"), b""),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_bytes_in_one_piece_and_one_by_one(name: str) -> None:
    data, body = RESPONSES[name]
    whole, single = read(data), read(*(data[at : at + 1] for at in range(len(data))))
    for reader in (whole, single):
        assert reader.complete
        assert reader.keeps_alive
        assert reader.answer().body == body
        assert b"Link" not in dict(reader.answer().headers)
    assert whole.answer() == single.answer()


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_that_ends_too_soon(name: str) -> None:
    """Cut anywhere, it is not taken for complete; the status is known once the head is."""
    data, _ = RESPONSES[name]
    for length in range(len(data)):
        reader = Reader()
        reader.begin("GET", LIMIT)
        reader.feed(data[:length])
        if reader.complete:
            assert not data[length:].strip(b"\0")  # only what nobody needs is missing
            continue
        with pytest.raises(BrokenExchange):
            reader.finish()


def test_a_body_that_ends_with_the_connection() -> None:
    reader = read(head() + HELLO[:3], HELLO[3:], ends=True)
    assert (reader.answer().body, reader.keeps_alive) == (HELLO, False)
    packed = read(head(b"Content-Encoding: gzip") + PACKED, ends=True)
    assert packed.answer().body == HELLO
    with pytest.raises(BrokenExchange, match="not complete"):
        read(head(b"Content-Encoding: gzip") + PACKED[:-5], ends=True)


@pytest.mark.parametrize(
    "data",
    [
        sized(HELLO, b"Connection: close"),
        sized(HELLO).replace(b"HTTP/1.1", b"HTTP/1.0"),
        sized(HELLO) + b"more than was asked for",
        sized(HELLO) + sized(HELLO),
        sized(HELLO) + head(b"Upgrade: x", b"Connection: upgrade", status=b"101 Switching Protocols"),
    ],
)
def test_a_connection_that_is_not_used_again(data: bytes) -> None:
    reader = read(data)
    assert (reader.answer().body, reader.complete, reader.keeps_alive) == (HELLO, True, False)
    assert len(reader.answer().headers) <= 2


def test_what_comes_behind_the_body_is_no_header() -> None:
    reader = read(chunked(HELLO)[:-2] + b"X: trailer\r\nRetry-After: 9\r\n\r\n")
    assert (reader.complete, reader.keeps_alive, reader.answer().body) == (True, True, HELLO)
    assert reader.answer().headers == [(b"Transfer-Encoding", b"chunked")]


def test_blanks_around_names_and_values_belong_to_neither() -> None:
    """RFC 9110, section 5.5, and RFC 9112, section 5.1; also where they say how long the body is."""
    reader = read(head(b"X:  \t a b \t", b"Content-Length : 19\t") + HELLO)
    assert reader.answer().headers == [(b"X", b"a b"), (b"Content-Length", b"19")]
    with pytest.raises(BrokenExchange, match="not complete"):
        read(head(b"Content-Length : 19") + HELLO[:5], ends=True)
    with pytest.raises(BrokenExchange, match="not complete"):
        read(head(b"Transfer-Encoding : chunked") + b"5\r\nhello\r\n", ends=True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"timeout=2", 2.0),
        (b"max=5, Timeout = 15", 15.0),
        (b"timeout=0", 0.0),
        (b"timeout=x", None),
        (b"5", None),
    ],
)
def test_how_long_the_server_keeps_a_connection(value: bytes, seconds: float | None) -> None:
    assert read(sized(HELLO, b"Keep-Alive: " + value)).patience == seconds
    assert read(sized(HELLO)).patience is None


class Way:
    """What asyncio would give a connection."""

    def __init__(self) -> None:
        self.aborted = False

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return 0


@pytest.mark.parametrize(
    "more",
    [
        b"x",
        sized(HELLO),
        head(b"Upgrade: x", b"Connection: upgrade", status=b"101 Switching Protocols"),
        head(*[b"X: 1"] * 201),
    ],
)
def test_what_follows_a_response_at_once_ends_the_connection(more: bytes) -> None:
    async def run() -> None:
        http, way = Http1(), Way()
        http.connection_made(cast(asyncio.Transport, way))
        asked = asyncio.create_task(http.exchange("GET", b"", None, LIMIT))
        await asyncio.sleep(0)
        http.data_received(sized(HELLO))
        http.data_received(more)  # before whoever asked gets to run
        assert (await asked).body == HELLO
        assert not http.is_usable()

    asyncio.run(run())


def test_no_body_after_head() -> None:
    reader = read(head(b"Content-Length: 100", b"Content-Encoding: gzip"), method="HEAD")
    assert (reader.complete, reader.answer().body, reader.keeps_alive) == (True, b"", False)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "not valid HTTP"),
        (head(b"Content-Length: 5", b"Content-Length: 6"), "not valid HTTP"),
        (head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), "not valid HTTP"),
        (head(b"Content-Length: -1"), "not valid HTTP"),
        (head(b"Upgrade: x", b"Connection: upgrade", status=b"101 Switching Protocols"), "another protocol"),
        (sized(b"x" * (LIMIT + 1)), "larger than"),
        (chunked(b"x" * LIMIT, b"x"), "larger than"),
        (sized(gzip.compress(b"x" * (LIMIT + 1), mtime=0), b"Content-Encoding: gzip"), "larger than"),
        (sized(b"junk", b"Content-Encoding: gzip"), "not decodable"),
        (sized(PACKED[:-4], b"Content-Encoding: gzip"), "not complete"),
        (head(*[b"X: 1"] * 201), "too many headers"),
        (head(b"X: " + b"x" * 70_000), "too long"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**20, "does not end"),
    ],
)
def test_what_is_no_response(data: bytes, says: str) -> None:
    for cut in (data,), tuple(data[at : at + 4096] for at in range(0, len(data), 4096)):
        with pytest.raises(BrokenExchange, match=says):
            read(*cut)


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_just_as_much_as_is_allowed(size: int) -> None:
    assert len(read(sized(b"x" * size)).answer().body) == size
    packed: Any = gzip.compress(b"x" * size)
    assert len(read(sized(packed, b"Content-Encoding: gzip")).answer().body) == size


def test_one_response_after_another() -> None:
    """Nothing of one is left for the next, whatever they are."""
    reader = Reader()
    for data, body in [*RESPONSES.values(), *reversed(RESPONSES.values())]:
        if data.endswith(b"\0\0"):
            continue
        reader.begin("GET", LIMIT)
        reader.feed(data)
        assert (reader.complete, reader.keeps_alive, reader.answer().body) == (True, True, body)
        assert len(reader.answer().headers) <= 3
