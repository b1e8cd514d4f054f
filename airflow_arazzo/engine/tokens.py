"""OAuth 2.0 and OpenID Connect without I/O: which token to ask for, where, how, and what the answer says.

Whom to trust with the client's secret: the connection, never a document. The token endpoint is the
connection's ``token_url``. Without one it is the description's, which may name any host, so that URL counts
only if it is encrypted (or of the loopback interface) and its origin is the connection's own or listed in
the connection's ``token_origin``. The same holds for a discovery document and for the token endpoint that
it names, which may also be of the origin of the discovery document itself.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote_plus, urlencode, urljoin, urlsplit

import msgspec

from airflow_arazzo.engine.connection import Connection, is_loopback, origin_of
from airflow_arazzo.engine.connection_extra import OAUTH_KEYS
from airflow_arazzo.engine.messages import NotSent, Response
from airflow_arazzo.plan.model import SchemeUse, SecurityScheme

MARGIN = 30.0
"""Seconds before its end at which a token is renewed; a tenth of its life where that is less."""

_PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))

Kind = Literal["client_credentials", "password", "refresh_token"]


class NoGrant(ValueError):
    """A token cannot be asked for.

    :param fill: the fields of the connection to fill.
    :param why: what stands in the way where that is not obvious, or empty.
    """

    def __init__(self, fill: str, why: str = "") -> None:
        self.fill = fill
        self.why = why
        super().__init__(fill)


class TokenError(NotSent):
    """No token was to be had, so the request that needed it was not sent."""


class TokenRefused(TokenError):
    """The token endpoint refused; a repetition does not cure that.

    :param code: the error of RFC 6749, section 5.2, for example ``invalid_client``, or empty.
    """

    def __init__(self, message: str, error: str = "") -> None:
        self.error = error
        super().__init__(message)


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """How to get a token. Its ``repr`` shows no secret.

    :param url: the token endpoint, or empty when discovery tells.
    :param discovery: the OpenID Connect discovery document, where :attr:`url` is empty.
    :param origins: that may be trusted with the secrets when discovery names them.
    """

    kind: Kind
    url: str = ""
    discovery: str = ""
    origins: tuple[str, ...] = ()
    client_id: str = ""
    client_secret: str = ""
    login: str = ""
    password: str = ""
    refresh_token: str = ""
    auth: str = ""
    scope: str = ""
    audience: str = ""
    resource: str = ""

    def __repr__(self) -> str:
        return f"Grant({self.kind!r}, {self.url or self.discovery!r})"

    def secret_values(self) -> tuple[str, ...]:
        """What must not be shown, the basic token of the client included."""
        basic = _basic(self) if self.client_secret else ""
        values = (self.client_secret, self.password, self.refresh_token, basic)
        return tuple(value for value in values if value)


class TokenAnswer(msgspec.Struct, frozen=True):
    """A token as it was issued. Its ``repr`` shows nothing of it.

    :param seconds: that it is said to live, or ``None`` when the service does not say.
    :param refresh_token: that replaces the one it was asked with, or empty.
    """

    value: str
    seconds: float | None = None
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"TokenAnswer(***, seconds={self.seconds})"

    def usable_for(self) -> float:
        """Seconds for which it should be used."""
        if self.seconds is None:
            return math.inf
        return self.seconds - min(MARGIN, self.seconds / 10)


def wants_grant(name: str, connection: Connection) -> bool:
    """Whether a token has to be fetched for a scheme, because the connection does not hold one."""
    own = connection.schemes.get(name, {})
    if own.get("value") or (own.get("password") and not own.get("login")):
        return False
    held = _held(name, connection)
    return bool(held["client_id"] or held["refresh_token"] or held["login"])


def grant_for(use: SchemeUse, scheme: SecurityScheme, connection: Connection) -> Grant:
    """The grant that fits what the connection holds and what the scheme offers.

    A refresh token comes first, then login and password where the scheme has the password flow, then
    client credentials: for the flow of that name, for OpenID Connect, and for any flow when the
    connection itself names the token endpoint.

    :raises NoGrant: when something is missing, or the token endpoint must not be trusted.
    """
    held = _held(use.name, connection)
    kind = _kind(scheme, held, connection)
    described, scope = scheme.token_url, held["scope"] or " ".join(use.scopes)
    if kind == "refresh_token":
        # Without a scope it is the one that was granted (RFC 6749, section 6).
        described, scope = scheme.refresh_url or scheme.token_url, held["scope"]
    url, discovery, origins = _endpoint(described, scheme, held, connection)
    with_login = kind == "password"
    return Grant(
        kind=kind,
        url=url,
        discovery=discovery,
        origins=origins,
        client_id=held["client_id"],
        client_secret=held["client_secret"],
        login=held["login"] if with_login else "",
        password=held["password"] if with_login else "",
        refresh_token=held["refresh_token"] if kind == "refresh_token" else "",
        auth=held["token_auth"],
        scope=scope,
        audience=held["audience"],
        resource=held["resource"],
    )


def _kind(scheme: SecurityScheme, held: Mapping[str, str], connection: Connection) -> Kind:
    """Which grant to use.

    :raises NoGrant: when the connection does not hold what it takes.
    """
    if held["refresh_token"]:
        return "refresh_token"
    as_client = bool(held["token_url"] and held["client_id"] and not held["login"])
    if scheme.flow == "password" and not as_client:
        if not (held["login"] and held["password"]):
            raise NoGrant("login and password")
        return "password"
    if scheme.flow not in ("", "clientCredentials") and not held["token_url"]:
        why = f"the {scheme.flow} flow gives its tokens to a person; or put an access token into password"
        raise NoGrant("extra 'refresh_token'", why)
    if not held["client_id"] or not (held["client_secret"] or connection.certificate):
        why = "or put an access token into password, without login" if connection.login else ""
        raise NoGrant("extras 'client_id' and 'client_secret'", why)
    return "client_credentials"


def token_request(grant: Grant) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Headers and body of a request to the token endpoint (RFC 6749, sections 2.3.1, 4.3, 4.4, 6).

    A client without a secret names itself in the body; its certificate may authenticate it (RFC 8705).
    """
    form: dict[str, str] = {"grant_type": grant.kind}
    if grant.kind == "password":
        form.update(username=grant.login, password=grant.password)
    elif grant.kind == "refresh_token":
        form["refresh_token"] = grant.refresh_token
    for name in ("scope", "audience", "resource"):
        if value := getattr(grant, name):
            form[name] = value
    headers = [("Accept", "application/json"), ("Content-Type", "application/x-www-form-urlencoded")]
    if grant.client_secret and grant.auth != "client_secret_post":
        headers.append(("Authorization", f"Basic {_basic(grant)}"))
    elif grant.client_id:
        form["client_id"] = grant.client_id
        if grant.client_secret:
            form["client_secret"] = grant.client_secret
    return tuple(headers), urlencode(form).encode()


def read_token(response: Response) -> TokenAnswer:
    """Read the answer of a token endpoint (RFC 6749, sections 5.1 and 5.2).

    :raises TokenRefused: for a refusal. The message holds the service's error, never the body.
    :raises TokenError: for any other answer without a bearer token that a header can carry.
    """
    fields = _object(response)
    if response.status != 200:
        error, said = _printable(fields.get("error")), _printable(fields.get("error_description"))
        detail = ": ".join(part for part in (error, said) if part)
        message = f"the token endpoint answered {response.status}" + (f" ({detail})" if detail else "")
        if 400 <= response.status < 500 and response.status not in (408, 425, 429):
            raise TokenRefused(message, error)
        raise TokenError(message)
    value, kind = fields.get("access_token"), fields.get("token_type", "Bearer")
    if not isinstance(value, str) or not value or not all("!" <= character <= "~" for character in value):
        raise TokenError("the token endpoint's answer holds no access token that a header can carry")
    if not isinstance(kind, str) or kind.casefold() != "bearer":
        raise TokenError("the token endpoint issued a token that is not a bearer token")
    refresh = fields.get("refresh_token")
    return TokenAnswer(value, _seconds(fields.get("expires_in")), refresh if isinstance(refresh, str) else "")


def read_discovery(grant: Grant, response: Response) -> str:
    """The token endpoint that a discovery document names (OpenID Connect Discovery 1.0, section 4.2).

    :raises TokenError: when there is none, or when it must not be trusted with the client's secret.
    """
    endpoint = _object(response).get("token_endpoint")
    if response.status != 200 or not isinstance(endpoint, str):
        raise TokenError(f"{grant.discovery} names no token endpoint (status {response.status})")
    origin = _origin(endpoint)
    if not _is_safe(endpoint) or origin not in (*grant.origins, origin_of(grant.discovery)):
        raise TokenRefused(
            f"{grant.discovery} names a token endpoint at {origin or 'no usable URL'}, which the connection"
            " does not trust with its secrets; if that is right, put the origin into extra 'token_origin' or"
            " the endpoint into extra 'token_url'"
        )
    return endpoint


def _held(name: str, connection: Connection) -> dict[str, str]:
    """What the connection holds for a scheme: its own values, else the connection's; pairs stay pairs."""
    own = connection.schemes.get(name, {})
    held = {key: own.get(key) or getattr(connection, key) for key in OAUTH_KEYS}
    if own.get("client_id"):
        held["client_secret"] = own.get("client_secret", "")
    pair: Mapping[str, str] = own
    if not own.get("login"):
        pair = {"login": connection.login, "password": connection.password}
    return {**held, "login": pair.get("login", ""), "password": pair.get("password", "")}


def _endpoint(
    described: str, scheme: SecurityScheme, held: Mapping[str, str], connection: Connection
) -> tuple[str, str, tuple[str, ...]]:
    """Where to ask for a token: the endpoint or the discovery document, and which origins to trust."""
    if held["token_url"]:
        return held["token_url"], "", ()
    is_discovery = scheme.type == "openIdConnect"
    url = scheme.open_id_connect_url if is_discovery else described
    if not url:
        raise NoGrant("extra 'token_url'")
    url = _joined(connection.base_url, url)
    trusted = tuple(filter(None, (connection.origin, *map(origin_of, held["token_origin"].split()))))
    what = "OpenID Connect URL" if is_discovery else "token URL"
    if not _is_safe(url):
        raise NoGrant("extra 'token_url'", f"the description's {what} is no https URL that can be used")
    if _origin(url) not in trusted:
        raise NoGrant(
            "extra 'token_origin' or 'token_url'",
            f"the description's {what} is at {_origin(url)}, which is not the connection's own origin and"
            " so must not get its secrets unless the connection says so",
        )
    return ("", url, trusted) if is_discovery else (url, "", ())


def _joined(base_url: str, url: str) -> str:
    """A described URL, which OpenAPI allows to be relative, made absolute if there is a base."""
    try:
        return urljoin(f"{base_url}/", url) if base_url else url
    except ValueError:
        return ""


def _is_safe(url: str) -> bool:
    """Whether secrets may be sent to a URL of an allowed origin: encrypted, plain and unambiguous."""
    if not _origin(url) or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    parts = urlsplit(url)
    encrypted = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    return encrypted and parts.username is None and not parts.fragment


def _origin(url: str) -> str:
    """The origin of an absolute URL, or empty."""
    try:
        return origin_of(url) if urlsplit(url).hostname else ""
    except ValueError:
        return ""


def _basic(grant: Grant) -> str:
    """Client id and secret, form-encoded before they are joined (RFC 6749, section 2.3.1)."""
    joined = f"{quote_plus(grant.client_id)}:{quote_plus(grant.client_secret)}"
    return base64.b64encode(joined.encode()).decode()


def _object(response: Response) -> Mapping[str, Any]:
    try:
        fields = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _printable(value: Any) -> str:
    """A text of the service for a message, bounded."""
    return "".join(filter(_PRINTABLE.__contains__, value))[:200] if isinstance(value, str) else ""


def _seconds(value: Any) -> float | None:
    """Seconds to live, which some services write as text; ``None`` for what makes no sense."""
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
