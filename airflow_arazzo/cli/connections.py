"""Commands that add the Airflow connections of a workflow, with keys from environment variables."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from airflow_arazzo.engine.connection import is_loopback, origin_of
from airflow_arazzo.plan.explanation import alternatives, calls_of
from airflow_arazzo.plan.model import Plan, SecurityScheme
from airflow_arazzo.plan.outline import one_line, scheme_text, server_url

_SPLICE = re.compile(r"\\u0000([A-Z0-9_]+)\\u0000")


def connection_commands(plans: Sequence[Plan]) -> Iterator[str]:
    """Lines for a shell, one command for each source, with comments on what a person has to decide.

    Values are named as environment variables and never asked for. What they are put into is what
    :mod:`airflow_arazzo.engine.security` takes them from.
    """
    names = dict.fromkeys(name for plan in plans for name in plan.sources)
    for number, name in enumerate(names):
        if number:
            yield ""
        yield from _Command(name, [plan for plan in plans if name in plan.sources]).lines()


def connection_id(source: str) -> str:
    """The id of a source's connection: its name, as far as Airflow takes such ids."""
    return re.sub(r"[^\w.-]+", "_", source, flags=re.ASCII).lstrip("-") or "api"


class _Command:
    """The command for one source.

    :param plans: those that call it.
    """

    def __init__(self, name: str, plans: Sequence[Plan]) -> None:
        self.name = name
        self.plans = plans
        self.prefix = _upper(name)
        self.comments: list[str] = []
        self.flags: list[tuple[str, str]] = []
        self.extra: dict[str, Any] = {}
        self.known: dict[str, SecurityScheme] = {
            scheme: each for plan in plans for scheme, each in plan.sources[name].schemes.items()
        }

    def lines(self) -> Iterator[str]:
        """Comments, then the command, a line for what and where and one for each value."""
        host = self._host()
        self._credentials(host)
        secrets = {
            name: _variable(_upper(name))
            for plan in self.plans
            for workflow in plan.workflows.values()
            for name, credential in workflow.credentials.items()
            if credential.source == self.name and not credential.scheme
        }
        if secrets:
            self.extra["secrets"] = secrets
        command = f"airflow connections add {shlex.quote(connection_id(self.name))} --conn-type arazzo"
        command += f" --conn-host {shlex.quote(host) if host else _env(f'{self.prefix}_HOST')}"
        parts = [f"{flag} {value}" for flag, value in self.flags]
        if self.extra and any("\\u0000" in json.dumps(value) for value in self.extra.values()):
            self.comments.append(
                "values inside --conn-extra may not have double quotes or backslashes in them"
            )
        if self.extra:
            parts.append(f"--conn-extra {_json(self.extra)}")
        yield from (f"# {comment}" for comment in self.comments)
        yield " \\\n  ".join([command, *parts])

    def _host(self) -> str:
        """The first server that can be used; what speaks against it becomes a comment."""
        urls = [server_url(call) for plan in self.plans for call in calls_of(plan, self.name)]
        servers = list(dict.fromkeys(url for url in urls if url))
        if not servers:
            self.comments.append(f"{one_line(self.name)}: its description names no host that can be used")
            return ""
        if len(servers) > 1:
            others = ", ".join(map(one_line, servers[1:]))
            self.comments.append(
                f"{one_line(self.name)}: some of its operations have another server: {others}"
            )
        parts = urlsplit(servers[0])
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            self.comments.append(f"{one_line(self.name)}: this host would get credentials unencrypted")
        return servers[0]

    def _credentials(self, host: str) -> None:
        needed = self._needed()
        if len(needed) == 1 and self._is_clear(next(iter(needed))):
            self._single(*next(iter(needed.items())), host)
            return
        values: dict[str, dict[str, Any]] = {}
        for name, scheme in needed.items():
            if scheme.type == "mutualTLS":
                self.extra["cert"] = self._certificate()
            else:
                values[name] = self._values(f"{self.prefix}_{_upper(name)}", scheme, host)
        if values:
            self.extra["schemes"] = values

    def _needed(self) -> dict[str, SecurityScheme]:
        """Schemes that serve every operation: of alternatives the one that adds least, and least effort."""
        needed: dict[str, SecurityScheme] = {}
        offered = self._offered()
        for names in sorted(offered, key=len):
            added = [[name for name in each if name not in needed] for each in names]
            best = min(added, key=lambda each: [len(each), *(_effort(self.known[name]) for name in each)])
            needed |= {name: self.known[name] for name in best}
        passed_over = {name for names in offered for each in names for name in each} - needed.keys()
        for name in sorted(passed_over):
            text = f"{self.name}: {name}, {scheme_text(self.known[name])}, would do as well"
            self.comments.append(one_line(text))
        return needed

    def _offered(self) -> list[list[tuple[str, ...]]]:
        """For each call that needs credentials, the combinations of schemes that it may have."""
        calls = [call for plan in self.plans for call in calls_of(plan, self.name)]
        offered = [[names for names in alternatives(call) if names] for call in calls]
        return [names for names in offered if names]

    def _is_clear(self, chosen: str) -> bool:
        """Whether the connection's own fields can only be meant for a scheme.

        Login and password serve whatever scheme comes first of those that take such; values in ``schemes``
        serve theirs alone.
        """
        kind = _effort(self.known[chosen])
        firsts = [
            next((each for each in names if [_effort(self.known[n]) for n in each] == [kind]), (chosen,))
            for names in self._offered()
        ]
        return all(first == (chosen,) for first in firsts)

    def _single(self, name: str, scheme: SecurityScheme, host: str) -> None:
        """A scheme by itself: the connection's own fields."""
        self.comments.append(one_line(f"{self.name}: {name}, {scheme_text(scheme)}"))
        if scheme.type == "mutualTLS":
            self.extra["cert"] = self._certificate()
            return
        for key, value in self._values(self.prefix, scheme, host).items():
            if key in ("login", "password", "value"):
                flag = "--conn-login" if key == "login" else "--conn-password"
                self.flags.append((flag, _splice(value)))
            else:
                self.extra[key] = value

    def _values(self, prefix: str, scheme: SecurityScheme, host: str) -> dict[str, Any]:
        """Values for a scheme, by the names that they have in the extra ``schemes``."""
        if scheme.type == "apiKey":
            return {"value": _variable(f"{prefix}_KEY")}
        if scheme.type == "http" and scheme.scheme in ("basic", "digest"):
            return self._pair(prefix)
        if scheme.type == "http" or scheme.flow == "implicit":
            return {"value": _variable(f"{prefix}_TOKEN")}
        client = {key: _variable(f"{prefix}_{key.upper()}") for key in ("client_id", "client_secret")}
        endpoint = self._endpoint(prefix, scheme, host)
        if scheme.flow == "password":
            return {**self._pair(prefix), **client, **endpoint}
        if scheme.flow == "authorizationCode":
            return {"refresh_token": _variable(f"{prefix}_REFRESH_TOKEN"), **client, **endpoint}
        return {**client, **endpoint}

    def _pair(self, prefix: str) -> dict[str, Any]:
        return {key: _variable(f"{prefix}_{key.upper()}") for key in ("login", "password")}

    def _certificate(self) -> list[str]:
        return [_variable(f"{self.prefix}_CERTIFICATE"), _variable(f"{self.prefix}_CERTIFICATE_KEY")]

    def _endpoint(self, prefix: str, scheme: SecurityScheme, host: str) -> dict[str, Any]:
        """Where tokens come from, as far as the connection has to say so."""
        url = scheme.token_url
        if scheme.type == "openIdConnect":
            url = scheme.open_id_connect_url
        elif scheme.flow == "authorizationCode":
            url = scheme.refresh_url or url
        try:
            joined = urljoin(f"{host}/", url) if host else url
            parts = urlsplit(joined)
            encrypted = parts.scheme == "https" or (
                parts.scheme == "http" and is_loopback(parts.hostname or "")
            )
            usable = bool(url and encrypted and parts.hostname and not parts.username)
            origin = origin_of(joined) if usable else ""
        except ValueError:
            origin = ""
        if not origin or not origin.isascii() or not origin.isprintable():
            return {"token_url": _variable(f"{prefix}_TOKEN_URL")}
        if host and origin == origin_of(host):
            return {}
        self.comments.append(
            f"{one_line(self.name)}: its description has tokens fetched from {origin}; make sure that this"
            " may have the secrets"
        )
        return {"token_origin": origin}


def _effort(scheme: SecurityScheme) -> int:
    """What it takes to hold a credential: one value, a pair, a client at a token endpoint, a certificate."""
    if scheme.type == "apiKey" or (scheme.type == "http" and scheme.scheme not in ("basic", "digest")):
        return 0
    return {"http": 1, "oauth2": 2, "openIdConnect": 3}.get(scheme.type, 4)


def _upper(name: str) -> str:
    """A name as an environment variable's: ``billingApi`` is ``BILLING_API``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    text = re.sub(r"[^A-Z0-9]+", "_", words.upper()).strip("_") or "API"
    return f"_{text}" if text[0].isdigit() else text


def _env(name: str) -> str:
    return f'"${name}"'


def _variable(name: str) -> str:
    """A value that is an environment variable's, as it stands in an extra before that is written."""
    return f"\0{name}\0"


def _splice(value: str) -> str:
    return _env(value.strip("\0"))


def _json(extra: Mapping[str, Any]) -> str:
    """JSON in single quotes, in which a shell does nothing but put in the variables."""
    text = json.dumps(extra).replace("'", "'\\''")
    return "'" + _SPLICE.sub(lambda match: f"'\"${match[1]}\"'", text) + "'"
