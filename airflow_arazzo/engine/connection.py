"""What an Airflow connection says about a source: where it is, how to reach it, who we are there.

Accepted are connections of Airflow's type ``http`` and of the provider's own type ``arazzo``, in the three
forms in which Airflow keeps them: fields, JSON and URI. Unlike in Airflow's HTTP hook an unknown extra is
an error and never becomes a header, so a misspelt option cannot leak as one.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from airflow_arazzo.engine.connection_extra import IGNORED_OF_HTTP, Extra, read_extra
from airflow_arazzo.engine.messages import NotSent

CONNECTION_TYPES = ("arazzo", "http", "https", "generic")
"""Connection types whose fields are understood; an empty type is too."""

_SECRET_KEYS = frozenset({"value", "password", "client_secret", "refresh_token"})
"""Secret among the values of a security scheme."""


class BadConnection(NotSent):
    """A connection that cannot be used; nothing was sent.

    :param conn_id: of the connection.
    :param problems: what is wrong, one sentence each, without any of the connection's secrets.
    """

    def __init__(self, conn_id: str, problems: Sequence[str]) -> None:
        self.conn_id = conn_id
        self.problems = tuple(problems)
        super().__init__(f"connection '{conn_id}': " + "; ".join(self.problems))


class Connection(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A checked connection. Its ``repr`` shows neither login nor secrets.

    :param id: the Airflow connection id, for messages.
    :param base_url: scheme, authority and base path without a slash at the end; empty when the connection
        names no host and the description's servers apply.
    :param timeout: seconds for a whole exchange, or ``None`` for the default.
    :param rate: requests per second that a batch sends, or ``None`` for no bound.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param certificate: path of a client certificate and, where it is a file of its own, of its key.
    :param proxies: proxy URL by scheme of the target (``http``, ``https``) or ``all``.
    :param trust_env: whether ``HTTP_PROXY`` and its kin apply.
    :param schemes: values of single security schemes, by scheme name; keys ``value``, ``login``,
        ``password`` and those with which a token is fetched, which win over the attributes here.
    :param secrets: values of inputs that are secrets, by input name.
    :param token_url: token endpoint, trusted with the client's secret because it is named here.
    :param token_origin: origins, separated by blanks, of which a description may name the token endpoint.
    :param token_auth: ``client_secret_basic`` (also when empty) or ``client_secret_post``.
    :param scope: what to ask for, separated by blanks; empty for what each operation asks for.
    :param follow_redirects: redirects to follow for one GET or HEAD request.
    :param forbid_private: whether to refuse addresses that are not of the public Internet.
    :param server_variables: values of variables in the description's server URLs.
    :param log_bodies: whether logs show bodies of requests and responses, less secrets.
    :param propagate_trace: whether requests have a ``traceparent`` header while they are traced.
    """

    id: str = ""
    base_url: str = ""
    login: str = ""
    password: str = ""
    timeout: float | None = None
    rate: float | None = None
    verify: bool | str = True
    certificate: tuple[str, ...] = ()
    proxies: dict[str, str] = {}
    trust_env: bool = False
    schemes: dict[str, dict[str, str]] = {}
    secrets: dict[str, str] = {}
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""
    token_url: str = ""
    token_origin: str = ""
    token_auth: str = ""
    scope: str = ""
    audience: str = ""
    resource: str = ""
    follow_redirects: int = 0
    forbid_private: bool = False
    server_variables: dict[str, str] = {}
    log_bodies: bool = False
    propagate_trace: bool = False

    def __repr__(self) -> str:
        return f"Connection(id={self.id!r}, base_url={self.base_url!r})"

    @property
    def origin(self) -> str:
        """Scheme, host and port of :attr:`base_url` (RFC 6454), or empty: where credentials may go."""
        return origin_of(self.base_url)

    def secret_values(self) -> tuple[str, ...]:
        """Everything that must never be shown. A login without a password is a key, so it counts."""
        return self._secret_values

    @cached_property
    def _secret_values(self) -> tuple[str, ...]:
        values = [self.password, self.client_secret, self.refresh_token, *self.secrets.values()]
        if not self.password:
            values.append(self.login)
        for scheme in self.schemes.values():
            values += [value for key, value in scheme.items() if key in _SECRET_KEYS]
            if not scheme.get("password"):
                values.append(scheme.get("login", ""))
        for proxy in self.proxies.values():
            values.append(unquote(urlsplit(proxy).password or ""))
        return tuple(dict.fromkeys(value for value in values if value))

    @classmethod
    def from_airflow(
        cls,
        conn_id: str,
        *,
        conn_type: str | None = None,
        host: str | None = None,
        schema: str | None = None,
        port: int | None = None,
        login: str | None = None,
        password: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Connection:
        """Check the fields of an Airflow connection.

        ``host`` may carry a scheme and a base path. Without a scheme, ``schema`` says ``http`` or
        ``https``; without either, type ``http`` means ``http`` as in Airflow's HTTP hook, and the others
        mean ``https`` except on the loopback interface.

        :param extra: the extra field, decoded. Known are the attributes of this class that are named in
            :mod:`~airflow_arazzo.engine.connection_extra`; of type ``http`` also options of Airflow's hook,
            some of which have no meaning here and are ignored.
        :raises BadConnection: with every problem that was found.
        """
        kind = (conn_type or "").lower().replace("-", "_")
        problems: list[str] = []
        if kind and kind not in CONNECTION_TYPES:
            problems.append(f"its type is '{kind}'; expected 'arazzo' or 'http'")
        base_url = _base_url(kind, host or "", schema or "", port, problems)
        ignored = IGNORED_OF_HTTP if kind in ("http", "https") else frozenset[str]()
        options = read_extra(extra or {}, ignored, problems)
        for name, value in (("login", login), ("password", password)):
            if value and any(character in value for character in "\r\n\0"):
                problems.append(f"its {name} contains a line break or a null character")
        if problems:
            raise BadConnection(conn_id, problems)
        return cls(
            id=conn_id,
            base_url=base_url,
            login=login or "",
            password=password or "",
            **{name: getattr(options, name) for name in Extra.__struct_fields__},
        )

    @classmethod
    def from_json(cls, conn_id: str, text: str) -> Connection:
        """Read a connection in Airflow's JSON form, ``extra`` being an object or JSON text of one.

        :raises BadConnection: also for text that is not JSON.
        """
        try:
            fields = json.loads(text)
        except ValueError:
            raise BadConnection(conn_id, ["it is neither JSON nor a URI"]) from None
        if not isinstance(fields, dict):
            raise BadConnection(conn_id, ["its JSON is not an object"])
        known = {"conn_type", "host", "schema", "port", "login", "password", "extra"}
        problems = [
            f"unknown field '{name}'; fields are {', '.join(sorted(known))}"
            for name in fields
            if name not in known | {"conn_id", "description"}
        ]
        extra = _extra(fields.get("extra"), problems)
        port = _port(fields.get("port"), problems)
        for name in known - {"port", "extra"}:
            if not isinstance(fields.get(name), str | None):
                problems.append(f"field '{name}' is not a text")
        if problems:
            raise BadConnection(conn_id, problems)
        texts = {name: fields.get(name) for name in known - {"port", "extra"}}
        return cls.from_airflow(conn_id, port=port, extra=extra, **texts)

    @classmethod
    def from_uri(cls, conn_id: str, uri: str) -> Connection:
        """Read a connection in Airflow's URI form, ``type://login:password@host:port/schema?extras``.

        As in Airflow the host may have a scheme of its own (``arazzo://https://:key@host``), parts are
        percent-encoded, and ``__extra__`` holds extras that are not plain texts as JSON.

        :raises BadConnection: never repeating the URI, which may hold secrets.
        """
        parts = _split_uri(uri)
        if parts is None:
            raise BadConnection(
                conn_id, ["its URI cannot be read; expected type://login:password@host:port/"]
            )
        problems: list[str] = []
        extra = _extra(parts.extra, problems)
        if problems:
            raise BadConnection(conn_id, problems)
        return cls.from_airflow(
            conn_id,
            conn_type=parts.conn_type,
            host=parts.host,
            schema=parts.schema,
            port=parts.port,
            login=parts.login,
            password=parts.password,
            extra=extra,
        )


def environment_text(conn_id: str, environ: Mapping[str, str]) -> str:
    """What ``AIRFLOW_CONN_<ID>`` holds, a connection as JSON or URI; empty when it is not set."""
    return environ.get(f"AIRFLOW_CONN_{conn_id.upper()}", "").strip()


def connection_from_text(conn_id: str, text: str) -> Connection:
    """The connection that a text describes as JSON or URI; an empty one where there is no text.

    :raises BadConnection: when it cannot be used.
    """
    text = text.strip()
    if not text:
        return Connection(id=conn_id)
    is_json = text.startswith("{")
    return Connection.from_json(conn_id, text) if is_json else Connection.from_uri(conn_id, text)


@lru_cache(256)
@lru_cache(maxsize=256)
def origin_of(url: str) -> str:
    """Scheme, host and port of a URL in one spelling, without default ports (RFC 6454, section 4)."""
    if not url:
        return ""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port
    if (parts.scheme, port) in (("http", 80), ("https", 443)):
        port = None
    return f"{parts.scheme}://{_bracketed(host)}" + (f":{port}" if port else "")


def channel_of(connection: Connection) -> tuple[Any, ...]:
    """What decides whether two connections may share sockets: who they are, TLS settings, and egress."""
    return (
        connection.id,
        connection.base_url,
        connection.verify,
        connection.certificate,
        connection.forbid_private,
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: an address of the loopback interface (RFC 4291, section 2.5.3, also one
    that is mapped), or ``localhost`` and the names below it (RFC 6761, section 6.3).

    :param host: a name, or an address without brackets.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().removesuffix(".")
        return name == "localhost" or name.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _base_url(kind: str, host: str, schema: str, port: int | None, problems: list[str]) -> str:
    """The base URL that type, host, schema and port name together, or empty without a host."""
    host = host.strip()
    schema = schema.strip().lower()
    if schema not in ("", "http", "https"):
        problems.append(
            "its schema must be 'http', 'https' or empty; a base path belongs to the host, as in"
            " 'https://host/base'"
        )
    if not host:
        if port:
            problems.append("it has a port and no host")
        return ""
    if "://" not in host:
        host = f"{schema or _default_scheme(kind, host)}://{host}"
    try:
        parts = urlsplit(host)
        own_port = parts.port
    except ValueError:
        problems.append("its host is not a valid URL or host name")
        return ""
    if parts.username is not None or parts.password is not None:
        problems.append("its host contains credentials; put them into login and password")
    if parts.scheme not in ("http", "https"):
        problems.append(f"its host has the scheme '{parts.scheme}'; expected http or https")
    if parts.query or parts.fragment:
        problems.append("its host contains a query or a fragment")
    if not parts.hostname or any(character.isspace() for character in host):
        problems.append("its host is not a valid URL or host name")
        return ""
    if own_port and port and own_port != port:
        problems.append(f"its host names port {own_port} and its port field {port}")
    number = own_port or port
    authority = _bracketed(parts.hostname) + (f":{number}" if number else "")
    path = quote(parts.path.rstrip("/"), safe="/:@!$&'()*+,;=-._~%")
    return f"{parts.scheme}://{authority}{path}"


def _default_scheme(kind: str, host: str) -> str:
    """The scheme of a host that has none: what Airflow says for its own type, else the safe one."""
    if kind == "http":
        return "http"
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return "https"
    return "http" if is_loopback(name or "") and kind != "https" else "https"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _extra(extra: Any, problems: list[str]) -> Mapping[str, Any]:
    """The extra field as an object; it may be JSON text."""
    if not extra:
        return {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError:
            problems.append("its extra is not valid JSON")
            return {}
    if not isinstance(extra, dict):
        problems.append("its extra is not a JSON object")
        return {}
    return extra


def _port(port: Any, problems: list[str]) -> int | None:
    """The port of a JSON connection, which Airflow accepts as a number or as text."""
    if port is None or port == "":
        return None
    try:
        return int(port)
    except (TypeError, ValueError):
        problems.append("its port is not a number")
        return None


class _UriParts(NamedTuple):
    conn_type: str
    host: str
    schema: str
    port: int | None
    login: str
    password: str
    extra: Any


def _split_uri(uri: str) -> _UriParts | None:
    """Take a connection URI apart as Airflow does; ``None`` when it is not one."""
    conn_type, separator, rest = uri.partition("://")
    location, mark, query_text = rest.partition("?")
    protocol, second, after = location.partition("://")
    if second and protocol.isalpha():
        location = after
    else:
        protocol = second = ""
    if not separator or not conn_type or "://" in location or "#" in rest:
        return None
    try:
        parts = urlsplit(f"//{location}{mark}{query_text}")
        port = parts.port
    except ValueError:
        return None
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    authority = parts.netloc.rpartition("@")[2]
    host = authority.rpartition(":")[0] if port is not None or authority.endswith(":") else authority
    return _UriParts(
        conn_type=conn_type,
        host=protocol + second + unquote(host) if host else "",
        schema=unquote(parts.path[1:]),
        port=port,
        login=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        extra=query.get("__extra__", query),
    )
