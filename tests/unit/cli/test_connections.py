"""The commands that ``init`` prints, run by a shell, and what the engine makes of these connections."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from airflow_arazzo.cli.connections import connection_commands, connection_id
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.credentials import Credentials
from airflow_arazzo.engine.messages import Request
from airflow_arazzo.engine.security import authenticate
from airflow_arazzo.engine.wire import base_url
from airflow_arazzo.expression.model import Expression
from airflow_arazzo.plan.model import (
    CredentialInput,
    OperationCall,
    Parameter,
    Plan,
    SchemeUse,
    SecurityScheme,
    Server,
    Source,
)
from tests.unit.operators.workflows import plan_of, step

SCHEMES = {
    "header": SecurityScheme("apiKey", place="header", parameter="X-API-KEY"),
    "query": SecurityScheme("apiKey", place="query", parameter="api_key"),
    "bearer": SecurityScheme("http", scheme="bearer"),
    "basic": SecurityScheme("http", scheme="basic"),
    "digest": SecurityScheme("http", scheme="digest"),
    "custom": SecurityScheme("http", scheme="Token"),
    "client": SecurityScheme("oauth2", flow="clientCredentials", token_url="https://h.example/token"),
    "relative": SecurityScheme("oauth2", flow="clientCredentials", token_url="/token"),
    "foreign": SecurityScheme("oauth2", flow="clientCredentials", token_url="https://login.example/token"),
    "nowhere": SecurityScheme("oauth2", flow="clientCredentials"),
    "plain": SecurityScheme("oauth2", flow="clientCredentials", token_url="http://h.example/token"),
    "ropc": SecurityScheme("oauth2", flow="password", token_url="https://h.example/token"),
    "code": SecurityScheme("oauth2", flow="authorizationCode", token_url="https://h.example/token"),
    "implicit": SecurityScheme("oauth2", flow="implicit"),
    "oidc": SecurityScheme("openIdConnect", open_id_connect_url="https://id.example/.well-known/x"),
    "mtls": SecurityScheme("mutualTLS"),
    "it's $(odd) `x`": SecurityScheme("apiKey", place="header", parameter="X-Odd"),
}
SERVER = Server("https://h.example/v1")


def plan(
    *securities: str, servers: Sequence[Server] = (SERVER,), source: str = "theApi", **fields: Any
) -> Plan:
    """Each text is an operation, its alternatives separated by ``|``, combinations joined by ``+``."""
    calls = [
        OperationCall(
            source,
            f"op{number}",
            "POST",
            f"/op{number}",
            servers=tuple(servers),
            security=tuple(
                tuple(SchemeUse(name) for name in alternative.split("+") if name)
                for alternative in security.split("|")
            ),
            **fields,
        )
        for number, security in enumerate(securities)
    ]
    made = plan_of(*(step(f"s{number}", call=call) for number, call in enumerate(calls)))
    return msgspec.structs.replace(made, sources={source: Source(source, schemes=SCHEMES)})


def run_by_a_shell(lines: Sequence[str]) -> tuple[dict[str, Connection], dict[str, str]]:
    """Connections that commands add, by id, when every variable has a value; and those values."""
    text = "\n".join(lines)
    names = set(re.findall(r'"\$([A-Z0-9_]+)"', text))
    values = {
        name: f"{name.lower()}' $x `y` & z" if not name.endswith("_URL") else "https://t.example"
        for name in names
    }
    values |= {name: "https://given.example" for name in names if name.endswith("_HOST")}
    shell = subprocess.run(
        ["/bin/sh", "-euc", "airflow() { printf '%s\\0' \"$@\"; printf '\\n\\0'; }\n" + text],
        env={"PATH": os.environ["PATH"], **values},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stderr == ""
    found = {}
    for command in shell.stdout.split("\n\0")[:-1]:
        arguments = command.split("\0")[:-1]
        assert arguments[:2] == ["connections", "add"]
        given = dict(zip(arguments[3::2], arguments[4::2], strict=True))
        assert given.pop("--conn-type") == "arazzo"
        extra = json.loads(given.pop("--conn-extra", "{}"))
        fields = {name.removeprefix("--conn-"): value for name, value in given.items()}
        found[arguments[2]] = Connection.from_airflow(arguments[2], conn_type="arazzo", extra=extra, **fields)
    return found, values


def commands(made: Plan) -> list[str]:
    return list(connection_commands([made]))


def credentials(
    made: Plan, tokens: Mapping[str, str] | None = None
) -> tuple[list[Credentials], dict[str, str]]:
    """What the engine sends with each operation, given the connection that the commands add."""
    (source,) = made.sources.values()
    connections, values = run_by_a_shell(commands(made))
    (connection,) = connections.values()
    found = []
    for each in made.root.steps:
        call = each.call
        assert isinstance(call, OperationCall)
        asked = Request(source.name, "POST", "/", call.servers, (), None, call.security, call.credentials)
        found.append(authenticate(asked, source, connection, tokens))
    return found, values


def test_the_commands_as_they_are_printed() -> None:
    assert commands(plan("basic|bearer")) == [
        "# theApi: basic, login and password, would do as well",
        "# theApi: bearer, bearer token",
        "airflow connections add theApi --conn-type arazzo --conn-host https://h.example/v1 \\\n"
        '  --conn-password "$THE_API_TOKEN"',
    ]
    assert commands(plan("foreign"))[-1].splitlines()[1] == (
        "  --conn-extra "
        """'{"client_id": "'"$THE_API_CLIENT_ID"'", "client_secret": "'"$THE_API_CLIENT_SECRET"'", """
        """"token_origin": "https://login.example"}'"""
    )
    assert commands(plan(""))[-1] == (
        "airflow connections add theApi --conn-type arazzo --conn-host https://h.example/v1"
    )


@pytest.mark.parametrize(
    ("security", "header"),
    [
        ("header", ("X-API-KEY", "{THE_API_KEY}")),
        ("bearer", ("Authorization", "Bearer {THE_API_TOKEN}")),
        ("custom", ("Authorization", "Token {THE_API_TOKEN}")),
        ("implicit", ("Authorization", "Bearer {THE_API_TOKEN}")),
        ("basic|header", ("X-API-KEY", "{THE_API_KEY}")),
        ("|header", ("X-API-KEY", "{THE_API_KEY}")),
        ("mtls|client|basic|bearer", ("Authorization", "Bearer {THE_API_TOKEN}")),
    ],
)
def test_values_reach_the_header(security: str, header: tuple[str, str]) -> None:
    (sent,), values = credentials(plan(security))
    assert sent.headers == ((header[0], header[1].format(**values)),)


def test_query_basic_and_digest() -> None:
    (sent,), values = credentials(plan("query"))
    assert sent.query == (("api_key", values["THE_API_KEY"]),)
    (sent,), values = credentials(plan("basic"))
    assert sent.headers[0][1].startswith("Basic ")
    assert values["THE_API_PASSWORD"] in sent.secrets
    (sent,), values = credentials(plan("digest"))
    assert sent.digest is not None
    assert (sent.digest.login, sent.digest.password) == (values["THE_API_LOGIN"], values["THE_API_PASSWORD"])


@pytest.mark.parametrize(
    ("security", "kind", "url"),
    [
        ("client", "client_credentials", "https://h.example/token"),
        ("relative", "client_credentials", "https://h.example/token"),
        ("foreign", "client_credentials", "https://login.example/token"),
        ("nowhere", "client_credentials", "https://t.example"),
        ("plain", "client_credentials", "https://t.example"),
        ("ropc", "password", "https://h.example/token"),
        ("code", "refresh_token", "https://h.example/token"),
        ("oidc", "client_credentials", "https://id.example/.well-known/x"),
    ],
)
def test_tokens_can_be_fetched(security: str, kind: str, url: str) -> None:
    (sent,), values = credentials(plan(security))
    assert sent.token is not None
    grant = sent.token.grant
    assert (grant.kind, grant.url or grant.discovery) == (kind, url)
    assert grant.client_secret == values["THE_API_CLIENT_SECRET"]


@pytest.mark.parametrize("security", ["foreign", "oidc"])
def test_whom_a_description_wants_trusted_is_said(security: str) -> None:
    (said,) = [
        line for line in commands(plan(security)) if "make sure that this may have the secrets" in line
    ]
    assert "https://login.example" in said or "https://id.example" in said


def test_several_schemes_have_a_value_each() -> None:
    made = plan("header+basic", "bearer", "it's $(odd) `x`", "client", "mtls")
    found, values = credentials(made)
    assert found[0].headers == (
        ("X-API-KEY", values["THE_API_HEADER_KEY"]),
        *[header for header in found[0].headers if header[0] == "Authorization"],
    )
    assert values["THE_API_BASIC_PASSWORD"] in found[0].secrets
    assert found[1].headers == (("Authorization", f"Bearer {values['THE_API_BEARER_TOKEN']}"),)
    assert found[2].headers == (("X-Odd", values["THE_API_IT_S_ODD_X_KEY"]),)
    assert found[3].token is not None
    assert found[3].token.grant.client_id == values["THE_API_CLIENT_CLIENT_ID"]
    assert found[4].client_certificate


def test_a_scheme_that_is_needed_anyway_serves_alternatives() -> None:
    """A password alone would go into the header of the first operation, too."""
    made = plan("header|bearer", "bearer")
    found, values = credentials(made)
    assert {header for each in found for header in each.headers} == {
        ("Authorization", f"Bearer {values['THE_API_BEARER_TOKEN']}")
    }


@pytest.mark.parametrize(
    "securities",
    [
        ["header|bearer", "bearer"],
        ["bearer|header", "header"],
        ["digest|basic", "basic"],
        ["client|code", "code"],
    ],
)
def test_a_value_is_never_sent_as_another_kind_of_credential(securities: list[str]) -> None:
    made = plan(*securities)
    chosen = securities[1]
    (connection,) = run_by_a_shell(commands(made))[0].values()
    assert list(connection.schemes) == [chosen]
    assert not connection.password
    assert not connection.client_id


def test_credentials_that_a_document_sends_itself() -> None:
    parameter = Parameter(
        "X-API-KEY", "header", Expression("inputs", name="key"), "simple", credential="header"
    )
    made = plan("", parameters=(parameter,))
    assert '--conn-password "$THE_API_KEY"' in commands(made)[-1]
    assert '--conn-password "$THE_API_KEY"' in commands(plan("", credentials=("header",)))[-1]


def test_secret_inputs_are_by_their_names() -> None:
    made = plan("bearer")
    secrets = {
        "it's": CredentialInput("theApi"),
        "pin": CredentialInput("theApi"),
        "not": CredentialInput("other"),
    }
    root = msgspec.structs.replace(made.root, credentials=secrets)
    made = msgspec.structs.replace(made, workflows={"root": root})
    connections, values = run_by_a_shell(commands(made))
    assert connections["theApi"].secrets == {"it's": values["IT_S"], "pin": values["PIN"]}
    assert connections["theApi"].password == values["THE_API_TOKEN"]


@pytest.mark.parametrize(
    ("servers", "url"),
    [
        ([Server("https://h.example/v1/")], "https://h.example/v1"),
        ([Server("/v1"), Server("https://b.example/v2")], "https://b.example/v2"),
        ([Server("https://{r}.example/{v}", {"r": "eu", "v": "v2"})], "https://eu.example/v2"),
        ([Server("https://h.example/a'b$(x)")], "https://h.example/a'b$(x)"),
        ([Server("https://h.example/a b")], "https://given.example/a%20b"),
        ([Server("https://{tenant}.example")], "https://given.example"),
        ([Server("https://user:pw@h.example")], "https://given.example"),
        ([Server("/v1")], "https://given.example/v1"),
        ([], "https://given.example"),
    ],
)
def test_the_host(servers: list[Server], url: str) -> None:
    made = plan("bearer", servers=servers)
    connections, _ = run_by_a_shell(commands(made))
    (source,) = made.sources.values()
    if any("{" in server.url for server in servers):
        url = connections["theApi"].base_url
    assert base_url(servers, source, connections["theApi"]) == url


def test_what_speaks_against_a_host_is_said() -> None:
    assert any(
        "unencrypted" in line for line in commands(plan("bearer", servers=[Server("http://h.example")]))
    )
    assert not any(
        "unencrypted" in line for line in commands(plan("bearer", servers=[Server("http://127.0.0.1:1")]))
    )
    made = plan("bearer")
    other = plan("bearer", servers=[Server("https://b.example")])
    lines = list(connection_commands([made, other]))
    assert "# theApi: some of its operations have another server: https://b.example" in lines
    assert sum(line.startswith("airflow ") for line in lines) == 1


def test_names_that_a_shell_or_airflow_would_not_take() -> None:
    assert connection_id("a b/c;$(x)") == "a_b_c_x_"
    assert connection_id("--x") == "x"
    connections, values = run_by_a_shell(commands(plan("bearer", source="a'b; rm -rf $HOME # 1")))
    assert list(connections) == ["a_b_rm_-rf_HOME_1"]
    assert list(values) == ["A_B_RM_RF_HOME_1_TOKEN"]
    connections, values = run_by_a_shell(commands(plan("header", source="日本")))
    assert list(connections) == ["_"]
