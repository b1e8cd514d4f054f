"""The extra field of a connection: which options exist, and how their values are read.

Values may be JSON values, or texts where Airflow keeps only texts (the URI form, form fields).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airflow_arazzo.description.diagnostics import did_you_mean

IGNORED_OF_HTTP = frozenset({"allow_redirects", "check_response", "max_redirects", "stream"})
"""Options of Airflow's HTTP hook without a meaning here: redirects are responses like any other, statuses
are judged by the document, and responses are always read whole."""

OAUTH_KEYS = (
    "client_id",
    "client_secret",
    "refresh_token",
    "token_url",
    "token_origin",
    "token_auth",
    "scope",
    "audience",
    "resource",
)
"""Options with which a token is fetched; each may also stand in the values of a single scheme."""

TOKEN_AUTH = ("client_secret_basic", "client_secret_post")
"""How a client shows its secret at the token endpoint (RFC 7591, section 2); the first is the default."""

MOST_REDIRECTS = 20
"""Redirects that a connection may allow for one request."""

_SCHEME_KEYS = ("value", "login", "password", *OAUTH_KEYS)


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """The known options, checked. The names are attributes of ``Connection``; see there."""

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


def read_extra(extra: Mapping[str, Any], ignored: frozenset[str], problems: list[str]) -> Extra:
    """Read the options of an extra field.

    :param extra: the decoded extra field; options that are null or empty text count as not given.
    :param ignored: names that are accepted without effect.
    :param problems: receives a sentence, without any value, for every option that cannot be used.
    """
    found: dict[str, Any] = {}
    for name, value in extra.items():
        if name in ignored or value is None or value == "":
            continue
        if name not in _OPTIONS:
            hint = did_you_mean(name, _OPTIONS)
            problems.append(f"unknown extra '{name}'" + (f", {hint}" if hint else ""))
            continue
        attribute, read = _OPTIONS[name]
        try:
            result = read(value)
        except ValueError as error:
            problems.append(f"extra '{name}' {error}")
            continue
        if attribute in found and found[attribute] != result:
            problems.append(f"extra '{name}' contradicts another option for the same thing")
        found[attribute] = result
    return Extra(**found)


def _text(value: Any) -> str:
    if not isinstance(value, str) or any(character in value for character in "\r\n\0"):
        raise ValueError("must be a text of one line")
    return value


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    spelled = str(value).strip().lower()
    if spelled in ("true", "1", "yes", "on"):
        return True
    if spelled in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _seconds(value: Any) -> float:
    return _above_zero(value, "seconds")


def _rate(value: Any) -> float:
    return _above_zero(value, "requests per second")


def _above_zero(value: Any, unit: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (number > 0 and math.isfinite(number)):
        raise ValueError(f"must be a number of {unit} above zero")
    return number


def _redirects(value: Any) -> int:
    try:
        count = -1 if isinstance(value, bool) else int(str(value))
    except ValueError:
        count = -1
    if not 0 <= count <= MOST_REDIRECTS:
        raise ValueError(f"must be a whole number of redirects from 0 to {MOST_REDIRECTS}")
    return count


def _token_url(value: Any) -> str:
    url = _text(value).strip()
    if not _is_http(url) or urlsplit(url).fragment:
        raise ValueError("must be an http or https URL without credentials and without a fragment")
    return url


def _token_origin(value: Any) -> str:
    """Origins separated by blanks; what stands after host and port is refused, since it would not count."""
    origins = _text(value).split()
    for origin in origins:
        if not _is_http(origin) or urlsplit(origin)._replace(scheme="", netloc="").geturl().strip("/"):
            raise ValueError("must be an origin such as 'https://login.example.com', without a path")
    return " ".join(origins)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and parts.username is None and not any(character.isspace() for character in url)


def _token_auth(value: Any) -> str:
    if value not in TOKEN_AUTH:
        raise ValueError(f"must be {' or '.join(TOKEN_AUTH)}")
    return str(value)


def _verify(value: Any) -> bool | str:
    try:
        return _flag(value)
    except ValueError:
        if isinstance(value, str):
            return _text(value)
        raise ValueError("must be true, false or the path of a CA bundle") from None


def _certificate(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _decoded(value)
    paths = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
    if len(paths) not in (1, 2) or not all(isinstance(path, str) and path for path in paths):
        raise ValueError("must be the path of a certificate, or a list of the paths of certificate and key")
    return paths


def _proxies(value: Any) -> dict[str, str]:
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        value = {"all": value}
    proxies = _mapping(value)
    for scheme, url in proxies.items():
        if scheme not in ("http", "https", "all"):
            raise ValueError("may name proxies for 'http', 'https' and 'all' only")
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must hold URLs of HTTP proxies, such as 'http://proxy:3128'")
    return proxies


def _schemes(value: Any) -> dict[str, dict[str, str]]:
    schemes = _decoded(value)
    if not isinstance(schemes, dict):
        raise ValueError(f"must be an object of scheme names, each with {', '.join(_SCHEME_KEYS)}")
    checked: dict[str, dict[str, str]] = {}
    for name, fields in schemes.items():
        fields = {"value": fields} if isinstance(fields, str) else fields
        if not isinstance(fields, dict):
            raise ValueError(f"must give an object for scheme '{name}', with {', '.join(_SCHEME_KEYS)}")
        for key in fields:
            if key not in _SCHEME_KEYS:
                raise ValueError(f"has the unknown key '{key}' for scheme '{name}'")
        checked[name] = {key: _field(key, field) for key, field in fields.items() if field not in (None, "")}
    return checked


def _field(key: str, value: Any) -> str:
    """One value of a scheme, read as the option of the same name is."""
    readers: dict[str, Callable[[Any], str]] = {
        "token_url": _token_url,
        "token_origin": _token_origin,
        "token_auth": _token_auth,
    }
    try:
        return readers.get(key, _text)(value)
    except ValueError as error:
        raise ValueError(f"has a '{key}' that {error}") from None


def _mapping(value: Any) -> dict[str, str]:
    decoded = _decoded(value)
    if not isinstance(decoded, dict) or not all(isinstance(item, str) for item in decoded.values()):
        raise ValueError("must be an object of texts")
    return decoded


def _decoded(value: Any) -> Any:
    """A value, or what it says as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


_OPTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "timeout": ("timeout", _seconds),
    "rate": ("rate", _rate),
    "verify": ("verify", _verify),
    "verify_ssl": ("verify", _verify),
    "cert": ("certificate", _certificate),
    "proxy": ("proxies", _proxies),
    "proxies": ("proxies", _proxies),
    "trust_env": ("trust_env", _flag),
    "schemes": ("schemes", _schemes),
    "secrets": ("secrets", _mapping),
    "client_id": ("client_id", _text),
    "client_secret": ("client_secret", _text),
    "refresh_token": ("refresh_token", _text),
    "token_url": ("token_url", _token_url),
    "token_origin": ("token_origin", _token_origin),
    "token_auth": ("token_auth", _token_auth),
    "scope": ("scope", _text),
    "audience": ("audience", _text),
    "resource": ("resource", _text),
    "follow_redirects": ("follow_redirects", _redirects),
    "forbid_private": ("forbid_private", _flag),
    "server_variables": ("server_variables", _mapping),
    "log_bodies": ("log_bodies", _flag),
    "propagate_trace": ("propagate_trace", _flag),
}
"""Name of each option as it is written, the attribute that it sets, and how its value is read."""
