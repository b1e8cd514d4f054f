"""Fetching a file over HTTP, for a person who has asked for it: bounded, encrypted, without credentials."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from airflow_arazzo.version import __version__

MAX_BYTES = 32 * 1024 * 1024
MAX_SECONDS = 60.0
"""For one file, its redirects included."""

MAX_REDIRECTS = 5

_HEADERS = {
    "User-Agent": f"airflow-arazzo/{__version__}",
    "Accept": "application/yaml, application/json, text/yaml, */*;q=0.5",
    "Accept-Encoding": "identity",
}


class CannotFetch(Exception):
    """A file that was not fetched; the message says why.

    :param status: of the answer, if there was one.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True)
class Fetched:
    """A file.

    :param urls: the one that was asked, and those to which redirects led.
    """

    data: bytes
    urls: tuple[str, ...]


def fetch(url: str, *, max_bytes: int = MAX_BYTES, seconds: float = MAX_SECONDS) -> Fetched:
    """Fetch a file.

    :raises CannotFetch: for a URL that is neither https nor of the loopback interface, also behind a
        redirect; for other statuses than 200; and for what is too large or takes too long.
    """
    try:
        return asyncio.run(asyncio.wait_for(_fetch(url, max_bytes), seconds))
    except TimeoutError:
        raise CannotFetch(f"no complete answer within {seconds:g} s") from None
    except aiohttp.ClientError as error:
        raise CannotFetch(f"{type(error).__name__}: {error}") from None
    except (OSError, ValueError) as error:
        raise CannotFetch(str(error) or type(error).__name__) from None


async def _fetch(url: str, max_bytes: int) -> Fetched:
    urls = [url]
    _check(url)
    # Without trust_env nothing is read from a netrc file.
    async with aiohttp.ClientSession(headers=_HEADERS, cookie_jar=aiohttp.DummyCookieJar()) as session:
        while True:
            async with session.get(urls[-1], allow_redirects=False, proxy=_proxy(urls[-1])) as answer:
                if answer.status not in (301, 302, 303, 307, 308):
                    return Fetched(await _body(answer, max_bytes), tuple(urls))
                target = urljoin(urls[-1], answer.headers.get("Location", ""))
            if len(urls) > MAX_REDIRECTS:
                raise CannotFetch(f"more than {MAX_REDIRECTS} redirects: {' → '.join(urls)}")
            _check(target, before=urls[-1])
            urls.append(target)


async def _body(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if answer.status != 200:
        raise CannotFetch(f"the answer is {answer.status} {answer.reason or ''}".rstrip(), answer.status)
    data = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > max_bytes:
            raise CannotFetch(f"it is larger than {max_bytes} bytes")
    return bytes(data)


def _check(url: str, before: str = "") -> None:
    """
    :param before: the URL that redirects here.
    :raises CannotFetch: for a URL that may not be asked.
    """
    where = f"{before} redirects to {url}, and " if before else f"{url}: "
    try:
        parts = urlsplit(url)
        host, named = parts.hostname or "", parts.username is not None or parts.password is not None
    except ValueError:
        raise CannotFetch(f"{where}that is no URL") from None
    if named:
        raise CannotFetch("a URL with a login or password in it is not fetched")
    if parts.scheme == "https" and host:
        return
    came_from_here = not before or urlsplit(before).scheme == "http"
    if not (parts.scheme == "http" and _is_here(host) and came_from_here):
        raise CannotFetch(f"{where}only https is fetched")


def _is_here(host: str) -> bool:
    """Whether a host is this machine: an address of the loopback interface, or ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL."""
    parts = urlsplit(url)
    if _is_here(parts.hostname or "") or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
