"""A request as it goes onto the wire: its URL, all its headers, and the URL that may be shown.

Pure, so that tests and logs can see what :mod:`airflow_arazzo.engine.transport` sends. Only the ``Host``
header is not in it: the transport writes it, first, from the URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote, unquote_plus, urlsplit

import msgspec

from airflow_arazzo.engine.connection import BadConnection, Connection, is_loopback, origin_of
from airflow_arazzo.engine.credentials import Credentials
from airflow_arazzo.engine.messages import NotSent, Request
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.plan.model import Server, Source
from airflow_arazzo.version import __version__

USER_AGENT = f"airflow-arazzo/{__version__}"
CODINGS = "gzip, deflate"
"""Content codings that can be decoded wherever the provider is installed."""

_NO_LENGTH = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that say nothing of the length of a body that they do not have; the others say 0."""

_BASES_KEPT = 256
"""Bases of operations that a connection remembers."""

_VARIABLE = re.compile(r"\{([^{}]+)\}")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Wire(msgspec.Struct, frozen=True):
    """What is sent. Its ``repr`` shows no credential.

    :param url: absolute and encoded, credentials in its query included.
    :param headers: all but ``Host``, credentials included.
    :param shown_url: the URL without its credentials, for responses and messages.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    shown_url: str

    def __repr__(self) -> str:
        return f"Wire({self.describe()!r})"

    def describe(self) -> str:
        """Method and URL for messages."""
        return f"{self.method} {self.shown_url}"


def prepare(
    request: Request, source: Source, connection: Connection, credentials: Credentials, at: str = ""
) -> Wire:
    """Join a request with the host and the credentials of its connection.

    :param at: URL that takes the place of the request's, after a redirect. Its query is not shown, since it
        may be a signature.
    :raises BadConnection: when neither connection nor description says where to send it, and when the
        description alone would have credentials sent over plain HTTP.
    :raises NotSent: when a header or the target cannot be sent as it is.
    """
    if at:
        parts = urlsplit(at)
        base = f"{parts.scheme}://{parts.netloc}"
        target = at[len(base) :] if parts.path else f"/{at[len(base) :]}"
    else:
        base, target = base_url(request.servers, source, connection), request.target
    path, _, query = target.partition("?")
    if not path.startswith("/") or _CONTROL.search(target):
        raise NotSent(f"{request.method} of source '{source.name}': its target is not an encoded path")
    _check_origin(base, connection, credentials)
    sent = shown = ""
    if query or credentials.query:
        replaced = {name for name, _ in credentials.query}
        described = {scheme.parameter for scheme in source.schemes.values() if scheme.place == "query"}
        added = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in credentials.query]
        sent = "&".join([*_without(query, replaced), *added])
        shown = "" if at else "&".join(_without(query, replaced | described))
    secrets = (*connection.secret_values(), *credentials.secrets)
    return Wire(
        method=request.method,
        url=base + path + (f"?{sent}" if sent else ""),
        headers=wire_headers(request, credentials),
        body=request.body,
        shown_url=redact(base + path + (f"?{shown}" if shown else ""), secrets),
    )


def _without(query: str, names: set[str]) -> list[str]:
    """The parts of a query string but those of some names."""
    return [part for part in query.split("&") if part and unquote_plus(part.partition("=")[0]) not in names]


def wire_headers(request: Request, credentials: Credentials) -> tuple[tuple[str, str], ...]:
    """All headers but ``Host``, in the order in which they are sent.

    A credential replaces a header that the document sends by the same name; its cookies join the others.

    :raises NotSent: for a name that is no token and for a value with line breaks or other control
        characters or beyond ASCII; the message never shows the value.
    """
    replaced = {name.casefold() for name, _ in credentials.headers}
    headers = [(name, value) for name, value in request.headers if name.casefold() not in replaced]
    headers += credentials.headers
    return _completed(request.method, _with_cookies(headers, credentials.cookies), request.body)


def plain_wire(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes | None = None) -> Wire:
    """A request of the engine's own, such as for a token; its query is not shown."""
    return Wire(method, url, _completed(method, list(headers), body), body, url.partition("?")[0])


def _completed(
    method: str, headers: list[tuple[str, str]], body: bytes | None
) -> tuple[tuple[str, str], ...]:
    """Headers with those that every request has; all are checked.

    :raises NotSent: for a header that cannot be sent.
    """
    names = {name.casefold() for name, _ in headers}
    if "user-agent" not in names:
        headers.append(("User-Agent", USER_AGENT))
    headers.append(("Accept-Encoding", CODINGS))
    if body is not None:
        headers.append(("Content-Length", str(len(body))))
    elif method not in _NO_LENGTH:
        headers.append(("Content-Length", "0"))
    for name, value in headers:
        if not _is_name(name):
            raise NotSent(f"'{name}' is not a name that a header can have")
        if not (value.isascii() and value.isprintable()) and not _PRINTABLE.fullmatch(value):
            raise NotSent(f"the value of header '{name}' contains a line break or is not printable ASCII")
    return tuple(headers)


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None


def base_url(servers: Sequence[Server], source: Source, connection: Connection) -> str:
    """Where the paths of a source's operations begin, without a slash at the end.

    The connection's host wins. Where it names no base path of its own, the path of the description's first
    server is kept: ``https://sandbox`` in place of ``https://api.example.com/v2`` is ``https://sandbox/v2``.
    Without a host in the connection it is the first server that is absolute and whose variables are known,
    from their defaults or from the connection's ``server_variables``.

    :raises BadConnection: when there is neither.
    """
    # Asked for every request, and the same for all of an operation.
    known = connection.__dict__.setdefault("_bases", {})
    key = (id(servers), id(source))
    if key not in known:
        if len(known) >= _BASES_KEPT:
            known.clear()
        # With what the key names, which therefore stays what it is.
        known[key] = (_base_url(servers, source, connection), servers, source)
    base: str = known[key][0]
    return base


def _base_url(servers: Sequence[Server], source: Source, connection: Connection) -> str:
    resolved = [_resolved(server, connection.server_variables) for server in servers]
    if connection.base_url:
        if urlsplit(connection.base_url).path or not resolved:
            return connection.base_url
        path = _server_path(resolved[0])
        return connection.base_url + ("" if "{" in path else path)
    for url in resolved:
        if url.lower().startswith(("http://", "https://")) and "{" not in url:
            parts = urlsplit(url)
            if parts.hostname and parts.username is None:
                return f"{parts.scheme}://{parts.netloc}{_server_path(url)}"
    found = ", ".join(repr(server.url) for server in servers) or "none"
    problem = (
        f"it must name the host of source '{source.name}': its description has no usable server ({found})"
    )
    raise BadConnection(connection.id or source.name, [problem])


def _resolved(server: Server, values: Mapping[str, str]) -> str:
    """A server's URL with its variables filled in; unknown ones stay in braces."""
    known = {**server.variables, **values}
    return _VARIABLE.sub(lambda match: known.get(match[1], match[0]), server.url.strip())


def _server_path(url: str) -> str:
    """The path of a server's URL, absolute or relative, without a slash at the end."""
    path = urlsplit(url).path.rstrip("/").removeprefix(".")
    path = quote(path, safe="/:@!$&'()*+,;=-._~%{}")
    return path if path.startswith("/") or not path else f"/{path}"


def _check_origin(base: str, connection: Connection, credentials: Credentials) -> None:
    """Credentials go to the connection's own origin, or to the described one if that is encrypted."""
    if credentials.is_empty():
        return
    if connection.origin:
        if origin_of(base) != connection.origin:
            raise BadConnection(connection.id, ["its credentials are for another origin"])
    elif urlsplit(base).scheme == "http" and not is_loopback(urlsplit(base).hostname or ""):
        raise BadConnection(
            connection.id,
            [
                f"the description's server {base} would get its credentials unencrypted; if that is wanted,"
                " name the host in the connection"
            ],
        )


def _with_cookies(
    headers: list[tuple[str, str]], cookies: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Headers with credential cookies joined to the ``Cookie`` header that may be there."""
    pairs = [f"{name}={value}" for name, value in cookies]
    if not pairs:
        return headers
    names = {pair.partition("=")[0] for pair in pairs}
    kept = [value for name, value in headers if name.casefold() == "cookie"]
    kept = [part for value in kept for part in value.split("; ") if part.partition("=")[0] not in names]
    others = [(name, value) for name, value in headers if name.casefold() != "cookie"]
    return [*others, ("Cookie", "; ".join([*kept, *pairs]))]
