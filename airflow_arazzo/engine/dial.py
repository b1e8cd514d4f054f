"""Opening connections: names, addresses, proxies, TLS. Whatever goes wrong here, no request has left."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohappyeyeballs

from airflow_arazzo.engine.connection import BadConnection, Connection
from airflow_arazzo.engine.egress import public_socket
from airflow_arazzo.engine.http1 import BrokenExchange, Http1

NEXT_ADDRESS = 0.25
"""Seconds after which the next address of a name is tried beside the first (RFC 8305, section 5)."""

_PORTS = {"http": 80, "https": 443}


class Unreachable(Exception):
    """There is no connection; the message says why."""


class Origin(NamedTuple):
    """Where a URL leads.

    :param host: a name in ASCII, or an address without brackets.
    :param authority: host and port as a ``Host`` header has them, without the scheme's own port.
    """

    scheme: str
    host: str
    port: int
    authority: str


@lru_cache(maxsize=256)
def origin(base: str) -> Origin:
    """The origin of a URL.

    :param base: scheme and authority, without path.
    :raises ValueError: for what is none.
    """
    parts = urlsplit(base)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("it is no http or https URL")
    host = parts.hostname
    if not host.isprintable() or " " in host:
        raise ValueError("its host is not a host name")
    if not host.isascii():
        host = host.encode("idna").decode()
    shown = f"[{host}]" if ":" in host else host
    port = parts.port or _PORTS[parts.scheme]
    return Origin(parts.scheme, host, port, shown if port == _PORTS[parts.scheme] else f"{shown}:{port}")


def proxy_of(base: str, connection: Connection) -> str:
    """The proxy for an origin, from the connection, else from the environment where it may be used.

    :param base: scheme and authority of the URL.
    :return: a URL, or empty.
    :raises BadConnection: where there must not be one, and for one that is none of HTTP.
    """
    proxies = connection.proxies
    scheme, _, authority = base.partition("://")
    if not proxies and connection.trust_env and not proxy_bypass(authority):
        proxies = getproxies()
    if not proxies:
        return ""
    proxy = proxies.get(scheme.lower()) or proxies.get("all") or ""
    if not proxy:
        return ""
    if connection.forbid_private:
        problem = "a proxy looks up hosts by itself, so 'forbid_private' cannot be kept through one"
        raise BadConnection(connection.id, [problem])
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in _PORTS:
        raise BadConnection(connection.id, ["only proxies that speak HTTP can be used"])
    return proxy


def proxy_headers(proxy: str) -> str:
    """The header that authenticates to a proxy whose URL has a user, or nothing (RFC 7617)."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return ""
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"


async def dial(where: Origin, proxy: str, connection: Connection) -> Http1:
    """Open a connection to an origin, through a proxy where there is one.

    :raises Unreachable: when there is none.
    :raises BadConnection: when the TLS settings cannot be used.
    """
    # Settings that cannot be used are told also where they are not needed.
    settings = tls_context(connection)
    tls = settings() if where.scheme == "https" else None
    try:
        if not proxy:
            return await _open(where, tls, connection.forbid_private)
        between = _proxy_origin(proxy)
        http = await _open(between, _default_context() if between.scheme == "https" else None, False)
        return http if tls is None else await _tunnel(http, where, proxy, tls)
    except ssl.SSLCertVerificationError as error:
        problem = f"the server's certificate is not accepted: {error.verify_message or error}"
    except (OSError, ValueError, BrokenExchange) as error:
        problem = str(error) or type(error).__name__
    raise Unreachable(problem)


def _proxy_origin(proxy: str) -> Origin:
    """Where a proxy is.

    :raises ValueError: when its URL does not say so; the message does not repeat it.
    """
    parts = urlsplit(proxy)
    try:
        return origin(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    except ValueError:
        pass
    # Raised out here, since what the first one says may be part of a password.
    raise ValueError("the URL of the proxy cannot be read; expected http://USER:PASSWORD@HOST:PORT, encoded")


async def _open(where: Origin, tls: ssl.SSLContext | None, public: bool) -> Http1:
    loop = asyncio.get_running_loop()
    addresses = await _addresses(loop, where)
    opened = await aiohappyeyeballs.start_connection(
        addresses,
        happy_eyeballs_delay=NEXT_ADDRESS,
        interleave=1,
        socket_factory=public_socket if public else None,
    )
    http = Http1()
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        name = where.host if tls is not None else None
        await loop.create_connection(lambda: http, sock=opened, ssl=tls, server_hostname=name)
    except BaseException:
        # Whoever gives up just as the handshake ends: asyncio would wait for the server to say good-bye, and
        # trip over the socket if it were closed before.
        http.abort()
        opened.close()
        raise
    return http


async def _addresses(loop: asyncio.AbstractEventLoop, where: Origin) -> list[Any]:
    """The addresses of a host, as ``getaddrinfo`` gives them."""
    try:
        ipaddress.ip_address(where.host)
    except ValueError:
        return await loop.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    # Nobody has to be asked for it, so no thread has to be started to wait for the answer.
    return socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


async def _tunnel(http: Http1, where: Origin, proxy: str, tls: ssl.SSLContext) -> Http1:
    """TLS to the origin, through a proxy (RFC 9110, section 9.3.6)."""
    authority = f"[{where.host}]:{where.port}" if ":" in where.host else f"{where.host}:{where.port}"
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{proxy_headers(proxy)}\r\n"
    answer = await http.exchange("CONNECT", head.encode("ascii"), None, 64 * 1024)
    if not 200 <= answer.status < 300:
        http.abort()
        raise OSError(f"the proxy answered {answer.status}")
    inner = Http1()
    try:
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(http.transport, inner, tls, server_hostname=where.host)
    except BaseException:
        http.abort()
        raise
    if transport is None:
        raise OSError("the connection was lost during the TLS handshake")
    inner.connection_made(transport)
    return inner


@lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    """The system's certificate authorities; reading them takes a while."""
    return _speaking_http(ssl.create_default_context())


def _speaking_http(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_alpn_protocols(["http/1.1"])
    return context


def tls_context(connection: Connection) -> Callable[[], ssl.SSLContext]:
    """TLS settings: the system's CAs or the connection's, or none, and its client certificate.

    :return: what gives the context; the system's CAs are read only then.

    :raises BadConnection: for files that cannot be read.
    """
    if connection.verify is True and not connection.certificate:
        return _default_context
    try:
        ca: Any = connection.verify if isinstance(connection.verify, str) else None
        folder = ca is not None and os.path.isdir(ca)
        context = ssl.create_default_context(cafile=None if folder else ca, capath=ca if folder else None)
        if connection.certificate:
            context.load_cert_chain(*connection.certificate)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise BadConnection(
            connection.id, [f"its CA bundle or client certificate cannot be read: {reason}"]
        ) from None
    if connection.verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return lambda: _speaking_http(context)
