"""One connection that speaks HTTP/1.1 (RFC 9112), for one exchange at a time.

A request is written once, and never again by itself. Whoever asks learns at any moment whether a byte of it
may have left and whether the head of a response has arrived: what is billed hangs on that. Responses are
parsed by ``httptools``, the parser of Node.js.
"""

from __future__ import annotations

import asyncio
import re
import select
import zlib
from typing import Any, NamedTuple

import httptools

MOST_HEADERS = 200
"""Headers of a response."""

LONGEST_HEADER = 64 * 1024
"""Bytes of a header."""

LONGEST_HEAD = 1024 * 1024
"""Bytes of everything before the body."""

_BLANKS = b" \t"
_TIMEOUT = re.compile(rb"(?:^|[,\s])timeout\s*=\s*\"?([0-9]{1,9})\b", re.IGNORECASE)
"""In a ``Keep-Alive`` header (RFC 2068, section 19.7.1)."""

_SMALL = 64 * 1024
"""Bytes of a body that is sent in one piece with the head."""


class BrokenExchange(Exception):
    """No complete response; the message says why."""


class Http1(asyncio.Protocol):
    """A connection to a server.

    :ivar status: of the response whose head has arrived.
    :ivar idle_until: seconds on the clock of whoever keeps the connection, after which it is not used again.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.idle_until = 0.0
        self._transport: Any = None
        self._reader = Reader()
        self._waiting: asyncio.Future[None] | None = None
        self._usable = True
        self._poll: select.poll | None = None

    # --- for asyncio -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the server."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read a part of the response."""
        reader = self._reader
        if self._waiting is None:  # nobody has asked for anything
            self.abort()
            return
        try:
            reader.feed(data)
        except BrokenExchange as error:
            self._usable = False
            self._end(error)
            return
        finally:
            self.status = reader.status
        if reader.complete:
            self._usable = self._usable and reader.keeps_alive and self._has_left()
            self._end(None)

    def eof_received(self) -> bool:
        """The server says no more; that may be how it ends a body."""
        self._usable = False
        if self._waiting is not None:
            try:
                self._reader.finish()
            except BrokenExchange as error:
                self._end(error)
            else:
                self._end(None)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._usable = False
        self._end(BrokenExchange(_lost(self._reader, error)))

    # --- for the channel -------------------------------------------------------------------------

    @property
    def transport(self) -> Any:
        """What asyncio calls the way to the server."""
        return self._transport

    @property
    def patience(self) -> float | None:
        """Seconds for which the server says that it keeps the idle connection; None where it does not say."""
        return self._reader.patience

    def is_usable(self) -> bool:
        """Whether another request may be sent."""
        return self._usable and not self._transport.is_closing()

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last response, not even the end: asks the socket, since the
        event loop may not have looked for a while. What has come would be taken for the next response.
        """
        if self._transport.is_closing():  # its descriptor may be another connection's by now
            return False
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    async def exchange(self, method: str, head: bytes, body: bytes | None, limit: int) -> Answer:
        """Send a request and read its whole response; without one the connection ends.

        :param head: request line and headers, with the empty line.
        :param limit: bytes that the decoded body may have.
        :raises BrokenExchange: when there is no complete response.
        """
        if not self.is_usable():  # nothing that is written would leave, and nobody would say so
            raise BrokenExchange("the server closed the connection before the request")
        self.status = None
        self._reader.begin(method, limit)
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        try:
            if body and len(body) < _SMALL:
                self._transport.write(head + body)
            else:
                self._transport.write(head)
                if body:
                    self._transport.write(body)
            await waiting
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiting = None
        return self._reader.answer()

    def abort(self) -> None:
        """End the connection at once: nothing that is written still leaves, and no good-bye is awaited."""
        self._usable = False
        if self._transport is not None:
            self._transport.abort()

    def _has_left(self) -> bool:
        """Whether all of the request has left: a server that answers sooner may never read the rest."""
        return not self._transport.get_write_buffer_size()

    def _end(self, error: Exception | None) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)


def _lost(reader: Reader, error: Exception | None) -> str:
    if error is not None and reader.status is None:
        return str(error) or "the server closed the connection without a complete response"
    if reader.status is None:
        return "the server closed the connection without a complete response"
    return "the response body is not complete or not decodable"


class Answer(NamedTuple):
    """A complete response.

    :param headers: in order, as received.
    :param body: decoded from transfer and content codings.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Reader:
    """Reads responses, one after another.

    :ivar status: once the head is there.
    :ivar complete: whether all of it is there.
    :ivar keeps_alive: whether the connection may be used again.
    :ivar patience: seconds for which the server says that it keeps an idle connection.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        # As other clients do: what cannot be read may have been billed.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.begin("", 0)

    def begin(self, method: str, limit: int) -> None:
        """A request is sent.

        :param limit: bytes that the decoded body may have.
        """
        self.status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.keeps_alive = False
        self._method = method
        self._limit = limit
        self._head = 0
        self._chunks: list[bytes] = []
        self._size = 0
        self._decoder: _Decoder | None = None
        self._framed = False
        self.patience: float | None = None
        self._problem = ""

    def answer(self) -> Answer:
        """The response that is complete."""
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        return Answer(self.status or 0, self._headers, body)

    def feed(self, data: bytes) -> None:
        """Read on.

        :raises BrokenExchange: for what is no response or larger than allowed.
        """
        if self.status is None:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.keeps_alive = False
        except httptools.HttpParserError as error:
            self._cannot_go_on(str(error))
        if self.status is None and self._head > LONGEST_HEAD:
            self._problem = self._problem or "the response is not valid HTTP: its head does not end"
        if self._problem:
            raise BrokenExchange(self._problem)

    def _cannot_go_on(self, reason: str) -> None:
        self.keeps_alive = False
        if not self.complete:  # else it is about what comes after the response
            self._problem = self._problem or f"the response is not valid HTTP: {reason}"

    def finish(self) -> None:
        """The server has ended the connection in an orderly way.

        :raises BrokenExchange: when that is not where the response ends.
        """
        if self.status is None or self._framed:
            raise BrokenExchange(_lost(self, None))
        self._complete()
        if self._problem:
            raise BrokenExchange(self._problem)

    # --- for the parser --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A response begins."""
        if self.complete:  # more than was asked for
            self.keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the response, or of one before it. What comes behind a body is none."""
        if self.complete or self.status is not None:
            return
        if len(self._headers) < MOST_HEADERS and len(name) + len(value) <= LONGEST_HEADER:
            self._headers.append((name.rstrip(_BLANKS), value.rstrip(_BLANKS)))
        else:
            self._problem = "the response is not valid HTTP: too many headers, or a header that is too long"

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self.complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self.status = status
        if status == 101:  # nobody asked for that
            self._cannot_go_on("it switches to another protocol")
        coding = ""
        for name, value in self._headers:
            lower = name.lower()
            if lower == b"content-length" or (lower == b"transfer-encoding" and b"chunked" in value.lower()):
                self._framed = True
            elif lower == b"content-encoding":
                coding = value.decode("latin-1").strip().lower()
            elif lower == b"keep-alive" and (found := _TIMEOUT.search(value)):
                self.patience = float(found[1])
        if coding in _DECODERS:
            self._decoder = _Decoder(coding, self._limit)
        if self._method == "HEAD" or (self._method == "CONNECT" and status < 300):
            self.complete = True

    def on_body(self, data: bytes) -> None:
        """A part of the body, without its transfer coding."""
        if self.complete or self._problem:
            return
        if self._decoder is not None:
            try:
                data = self._decoder.decode(data)
            except zlib.error:
                self._problem = "the response body is not complete or not decodable"
                return
        self._size += len(data)
        if self._size > self._limit:
            self._problem = f"the response is larger than {self._limit} bytes"
            self._chunks.clear()
        else:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        """The response ends, as far as its framing says."""
        if self.complete:
            return
        if self.status is None:  # only an interim response (RFC 9110, section 15.2)
            self._headers.clear()
            return
        self.keeps_alive = self._parser.should_keep_alive()
        self._complete()

    def _complete(self) -> None:
        self.complete = True
        if self._decoder is not None and not self._decoder.is_complete():
            self._problem = self._problem or "the response body is not complete or not decodable"


_DECODERS = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP = 31
"""What zlib calls gzip."""


class _Decoder:
    """Undoes a content coding (RFC 9110, section 8.4.1), never to more than is wanted.

    :param limit: bytes; a little more may come out, so that whoever counts them sees it.
    """

    def __init__(self, coding: str, limit: int) -> None:
        self._window = _GZIP if coding != "deflate" else 0
        self._left = limit + 1
        self._coding: Any = None

    def decode(self, data: bytes) -> bytes:
        """Decode a part.

        :raises zlib.error: for what is not in this coding.
        """
        found = []
        while data and self._left > 0:
            if self._coding is None or self._coding.eof:
                if self._coding is not None and (self._window != _GZIP or data[:1] != b"\x1f"):
                    break  # what comes behind the coded text is nobody's; more of gzip may come
                # Some servers send the bare format by the name of deflate.
                window = self._window or (15 if data[0] & 0xF == 8 else -15)
                self._coding = zlib.decompressobj(window)
            some = self._coding.decompress(data, self._left)
            self._left -= len(some)
            found.append(some)
            data = self._coding.unconsumed_tail or self._coding.unused_data
        return b"".join(found)

    def is_complete(self) -> bool:
        """Whether the coded text has come to its end; one without a byte has not begun."""
        return self._coding is None or bool(self._coding.eof)
