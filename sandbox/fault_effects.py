"""How faults are carried out on a request and its answer."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
from collections.abc import Callable
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.faults import Rule
from sandbox.keys import FAULT, RECORD, STATE
from sandbox.reply import Reply

ErrorReply = Callable[[int, str], Reply]
"""Makes a service's own error answer from a status and a message."""

_ABORT_WITH_RESET = struct.pack("ii", 1, 0)


async def execute(request: web.Request, work: Callable[[], Reply], error: ErrorReply) -> Reply:
    """Carry out an operation, with the request's fault when that fault happens inside the service."""
    rule = request.get(FAULT)
    if rule is None or rule.when != "inside":
        return work()
    if rule.action == "delay":
        await asyncio.sleep(rule.parameters["seconds"])
        return work()
    if rule.parameters.get("effect", True):
        work()
    status = rule.parameters.get("status", 500)
    if "body" in rule.parameters:
        return Reply(status, rule.parameters["body"].encode())
    return error(status, "An injected fault inside the service")


def reset_connection(request: web.Request) -> web.Response:
    """End the connection with a TCP reset; the response returned is never sent."""
    transport = request.transport
    if transport is not None:
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            # Without lingering, closing sends RST, which clients see as "connection reset by peer".
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_WITH_RESET)
        transport.abort()
    return web.Response(status=500)


async def with_fault(
    request: web.Request, handler: Handler, error: ErrorReply
) -> tuple[web.StreamResponse, bool]:
    """Handle a request with its fault, if it met one.

    :return: the response, and whether an answer is really sent.
    """
    rule = request.get(FAULT)
    if rule is None or rule.when == "inside":
        return await handler(request), True
    if rule.when == "after":
        return await _after(rule, request, await handler(request), error)
    if rule.action == "reset":
        return reset_connection(request), False
    if rule.action == "delay":
        await asyncio.sleep(rule.parameters["seconds"])
        return await handler(request), True
    return _instead(rule, request, error), True


def _instead(rule: Rule, request: web.Request, error: ErrorReply) -> web.Response:
    given = rule.parameters
    if rule.action == "redirect":
        return web.Response(status=given.get("status", 307), headers={"Location": given["location"]})
    if rule.action == "content_type":
        return _text(200, given.get("body", "<html>not what you expected</html>"), _type_of(rule))
    if rule.action == "echo":
        echoes = " ".join(_echoes(request))
        return _echoing(request, error(given.get("status", 400), f"Refused {echoes}").response())
    if rule.action == "rate_limit":
        response = error(given.get("status", 429), "Too many requests").response()
        response.headers["Retry-After"] = str(given.get("retry_after", 1))
        return response
    return _error(rule, error)


async def _after(
    rule: Rule, request: web.Request, response: web.StreamResponse, error: ErrorReply
) -> tuple[web.StreamResponse, bool]:
    body = response.body if isinstance(response, web.Response) else b""
    own = body if isinstance(body, bytes) else b""
    if rule.action == "reset":
        return reset_connection(request), False
    if rule.action == "delay":
        await asyncio.sleep(rule.parameters["seconds"])
        return response, True
    if rule.action == "truncate":
        return await _truncated(request, response, own, rule.parameters.get("bytes", len(own) // 2)), True
    if rule.action == "content_type":
        return _text(response.status, rule.parameters.get("body", own.decode()), _type_of(rule)), True
    if rule.action == "echo":
        plain, *coded = _echoes(request)
        answer = {"echo": plain, "coded": coded, "answer": json.loads(own or b"null")}
        return _echoing(request, web.json_response(answer, status=response.status)), True
    if rule.action == "refuse":
        refuse = request.app[STATE].refuse_connections
        if refuse is not None:
            refuse(float(rule.parameters["seconds"]))
        return response, True
    return _error(rule, error), True


def _error(rule: Rule, error: ErrorReply) -> web.Response:
    status = rule.parameters.get("status", 500)
    if "body" in rule.parameters:
        return _text(status, rule.parameters["body"], "text/plain")
    return error(status, "An injected fault").response()


async def _truncated(
    request: web.Request, response: web.StreamResponse, body: bytes, sent: int
) -> web.StreamResponse:
    cut = web.StreamResponse(status=response.status, headers=response.headers)
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(body[:sent])
    if request.transport is not None:
        request.transport.close()
    return cut


def _text(status: int, body: str, content_type: str) -> web.Response:
    return web.Response(status=status, body=body.encode(), headers={"Content-Type": content_type})


def _type_of(rule: Rule) -> str:
    return str(rule.parameters.get("content_type", "text/html"))


def _echoes(request: web.Request) -> list[str]:
    """The credentials of a request: as they came, in base64, and percent-encoded."""
    record = request[RECORD]
    plain = " ".join(record.headers_named("authorization") + record.headers_named("x-api-key"))
    return [plain, base64.b64encode(plain.encode()).decode(), quote(plain, safe="")]


def _echoing(request: web.Request, response: web.Response) -> web.Response:
    """The response with the credentials in its headers, too."""
    plain, coded, quoted = _echoes(request)
    response.headers["X-Echo"] = f"{plain} {coded} {quoted}"
    location = request[FAULT].parameters.get("location")
    if location is not None:
        response.headers["Location"] = f"{location}?echo={quoted}&coded={quote(coded, safe='')}"
    return response
