"""Fetching a file over HTTP, for a person who has asked for it: bounded, encrypted, without credentials."""

from __future__ import annotations

import http.client
import ipaddress
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from airflow_arazzo.version import __version__

MAX_BYTES = 32 * 1024 * 1024
MAX_SECONDS = 60.0
"""For one file, its redirects included."""

MAX_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE = "%/:?#[]@!$&'()*+,;=~-._"
_CHUNK = 64 * 1024
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
    answer: SimpleQueue[Fetched | Exception] = SimpleQueue()
    # No time-out of a socket bounds an answer that comes byte by byte; a thread can be left behind.
    threading.Thread(target=_into, args=(answer, url, max_bytes, seconds), daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except Empty:
        raise CannotFetch(f"no complete answer within {seconds:g} s") from None
    if isinstance(found, Fetched):
        return found
    if isinstance(found, CannotFetch):
        raise found
    if isinstance(found, TimeoutError):
        raise CannotFetch(f"no complete answer within {seconds:g} s") from None
    reason = found.reason if isinstance(found, URLError) else found
    if isinstance(reason, OSError | http.client.HTTPException | ValueError):
        raise CannotFetch(str(reason) or type(reason).__name__) from None
    raise found


def _into(answer: SimpleQueue[Fetched | Exception], url: str, max_bytes: int, seconds: float) -> None:
    try:
        answer.put(_fetch(url, max_bytes, seconds))
    except Exception as error:
        answer.put(error)


def _fetch(url: str, max_bytes: int, seconds: float) -> Fetched:
    urls = [url]
    _check(url)
    while True:
        request = Request(quote(urls[-1], safe=_SAFE), headers=_HEADERS)  # noqa: S310 - checked
        try:
            with _opener(urls[-1]).open(request, timeout=seconds) as response:
                return Fetched(_body(response, max_bytes), tuple(urls))
        except HTTPError as error:
            with error:
                if error.code not in _REDIRECTS:
                    raise CannotFetch(
                        f"the answer is {error.code} {error.reason}".rstrip(), error.code
                    ) from None
                target = urljoin(urls[-1], error.headers.get("Location", ""))
        if len(urls) > MAX_REDIRECTS:
            raise CannotFetch(f"more than {MAX_REDIRECTS} redirects: {' → '.join(urls)}")
        _check(target, before=urls[-1])
        urls.append(target)


class _NoRedirect(HTTPRedirectHandler):
    """Leaves redirects to us."""

    def redirect_request(self, *_: object) -> None:
        """No request."""
        return


def _opener(url: str) -> OpenerDirector:
    """Opens a URL, through the proxy that the environment names except on the loopback interface.

    Nothing in it reads a netrc file, keeps cookies or answers a question for a password.
    """
    proxies: dict[str, str] | None = {} if _is_here(urlsplit(url).hostname or "") else None
    return build_opener(ProxyHandler(proxies), _NoRedirect())


def _body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    if response.status != 200:
        raise CannotFetch(f"the answer is {response.status} {response.reason}".rstrip(), response.status)
    data = bytearray()
    while chunk := response.read(_CHUNK):
        data += chunk
        if len(data) > max_bytes:
            raise CannotFetch(f"it is larger than {max_bytes} bytes")
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and len(data) != int(length):
        raise CannotFetch(f"it ended after {len(data)} of {length} bytes")
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
