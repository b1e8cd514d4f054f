"""Where requests may go: addresses that are refused, and redirects that are followed."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from airflow_arazzo.engine.connection import Connection, origin_of
from airflow_arazzo.engine.credentials import Credentials
from airflow_arazzo.engine.messages import Request, Response
from airflow_arazzo.engine.redact import redact

FOLLOWED = frozenset({301, 302, 303, 307, 308})
"""Statuses that send a safe request elsewhere (RFC 9110, section 15.4)."""

_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
"""Headers that another origin gets to see; any other may be a credential that a step handed on."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddress(OSError):
    """An address that a connection with ``forbid_private`` does not connect to."""


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public Internet, and so are the IPv4 addresses inside it.

    Not public are loopback, private, link-local, shared (RFC 6598), multicast, unspecified and reserved
    addresses. IPv6 addresses that stand for an IPv4 address are judged by that too: mapped and compatible
    ones (RFC 4291, section 2.5.5), NAT64 (RFC 6052), 6to4 (RFC 3056) and Teredo (RFC 4380).

    :param text: as in a socket address, with or without a zone.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_is_public(each) for each in _meant(address))


def _is_public(address: Address) -> bool:
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or site_local)


def _meant(address: Address) -> list[Address]:
    """All addresses that one address may lead to; a mapped one stands for the IPv4 address alone."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or int(address) >> 32 == 0:
        return [last]
    return [address, *([address.sixtofour] if address.sixtofour else []), *(address.teredo or ())]


def public_socket(info: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that is about to be connected to.

    Checked is the address itself, after all names are resolved, so no second look-up can change it.

    :param info: family, type, protocol, canonical name and address, as ``getaddrinfo`` gives them.
    :raises ForbiddenAddress: for an address that is not public.
    """
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise ForbiddenAddress(f"{address[0]} is no public address, and the connection forbids others")
    return socket.socket(family, kind, protocol)


class Hop(msgspec.Struct, frozen=True):
    """Where a redirect leads, and what may be sent there. Its ``repr`` shows no URL.

    :param url: absolute, encoded, without a fragment.
    :param request: less all headers that may be credentials, when the origin is another one.
    :param foreign: whether the origin is another one, so that credentials must stay away.
    """

    url: str
    request: Request
    foreign: bool

    def __repr__(self) -> str:
        return f"Hop(foreign={self.foreign})"


def next_hop(
    request: Request, url: str, response: Response, connection: Connection, credentials: Credentials
) -> Hop | None:
    """Where to send a request next, or ``None`` when its response stands.

    Followed are redirects of GET and HEAD without a body (RFC 9110, section 15.4) to an http or https URL
    without user information. Not followed are those from https to http, and those to another origin whose
    URL holds a secret.

    :param url: that the response came from, its credentials included.
    :param credentials: that were sent, or would have been.
    """
    location = response.header("Location")
    if request.method not in ("GET", "HEAD") or request.body is not None:
        return None
    if response.status not in FOLLOWED or not location:
        return None
    if not location.isascii() or not location.isprintable() or " " in location:
        return None
    try:
        target = urljoin(url, location).partition("#")[0]
        parts = urlsplit(target)
        usable = bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return None
    if not usable or parts.scheme not in ("http", "https"):
        return None
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        return None
    if origin_of(target) == origin_of(url):
        return Hop(target, request, foreign=False)
    if redact(target, (*connection.secret_values(), *credentials.secrets)) != target:
        return None
    headers = tuple((name, value) for name, value in request.headers if name.casefold() in _HARMLESS)
    return Hop(target, msgspec.structs.replace(request, headers=headers), foreign=True)
