from __future__ import annotations

import base64
import json
import math
from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.tokens import (
    Grant,
    NoGrant,
    TokenAnswer,
    TokenError,
    TokenRefused,
    grant_for,
    read_discovery,
    read_token,
    token_request,
    wants_grant,
)
from airflow_arazzo.plan.model import SchemeUse, SecurityScheme

SECRET = "client-secret-0123"
USE = SchemeUse("o", ("read", "write"))
ENDPOINT = "https://api.example.com/token"


def scheme(flow: str = "clientCredentials", url: str = ENDPOINT, refresh: str = "") -> SecurityScheme:
    return SecurityScheme("oauth2", flow=flow, token_url=url, refresh_url=refresh)


def oidc(url: str) -> SecurityScheme:
    return SecurityScheme("openIdConnect", open_id_connect_url=url)


def connection(base_url: str = "https://api.example.com/v1", **fields: Any) -> Connection:
    return Connection(id="c", base_url=base_url, **fields)


def client(base_url: str = "https://api.example.com/v1", **fields: Any) -> Connection:
    return connection(base_url, client_id="id", client_secret=SECRET, **fields)


# -- Which grant -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "given", "expected"),
    [
        (scheme(), client(), {"kind": "client_credentials", "scope": "read write"}),
        (scheme(), client(scope="all"), {"kind": "client_credentials", "scope": "all"}),
        (scheme(""), client(), {"kind": "client_credentials"}),
        (scheme("authorizationCode"), client(token_url=ENDPOINT), {"kind": "client_credentials"}),
        (scheme("password"), client(token_url=ENDPOINT), {"kind": "client_credentials"}),
        (
            scheme("password"),
            connection(login="me", password="pw"),
            {"kind": "password", "login": "me", "password": "pw", "client_id": ""},
        ),
        (
            scheme("password"),
            client(login="me", password="pw"),
            {"kind": "password", "client_id": "id", "client_secret": SECRET},
        ),
        # login and password of another purpose do not go to the token endpoint
        (scheme(), client(login="me", password="pw"), {"login": "", "password": ""}),
        # a refresh token comes first, and asks for no other scope than it was given for
        (
            scheme("authorizationCode"),
            client(refresh_token="r"),
            {"kind": "refresh_token", "refresh_token": "r", "scope": "", "client_secret": SECRET},
        ),
        (scheme(), client(refresh_token="r", scope="s"), {"kind": "refresh_token", "scope": "s"}),
        (
            scheme(refresh="https://api.example.com/refresh"),
            connection(refresh_token="r"),
            {"url": "https://api.example.com/refresh", "client_id": ""},
        ),
        # the certificate in place of the secret
        (scheme(), connection(client_id="id", certificate=("/c",)), {"kind": "client_credentials"}),
        # values of the scheme's own win, and a client id keeps its secret
        (
            scheme(),
            client(schemes={"o": {"scope": "own", "audience": "a"}}),
            {"client_id": "id", "client_secret": SECRET, "scope": "own", "audience": "a"},
        ),
        (
            scheme(),
            client(schemes={"o": {"client_id": "own", "client_secret": "secret"}}),
            {"client_id": "own", "client_secret": "secret"},
        ),
        (
            scheme("password"),
            connection(login="x", password="y", schemes={"o": {"login": "me", "password": "pw"}}),
            {"login": "me", "password": "pw"},
        ),
        (scheme(), client(resource="urn:x", token_auth="client_secret_post"), {"resource": "urn:x"}),
    ],
)
def test_grants(asked: SecurityScheme, given: Connection, expected: dict[str, str]) -> None:
    assert wants_grant("o", given)
    grant = grant_for(USE, asked, given)
    assert {name: getattr(grant, name) for name in expected} == expected


def test_a_client_id_of_the_schemes_own_does_not_borrow_a_secret() -> None:
    with pytest.raises(NoGrant, match="'client_secret'"):
        grant_for(USE, scheme(), client(schemes={"o": {"client_id": "other"}}))


@pytest.mark.parametrize(
    "given",
    [
        connection(password="token"),
        client(schemes={"o": {"value": "token"}}),
        client(schemes={"o": {"password": "token"}}),
        connection(),
    ],
)
def test_tokens_that_are_there_are_not_fetched(given: Connection) -> None:
    assert not wants_grant("o", given)


# -- Whom to trust with the secret -----------------------------------------------------------------------

ELSEWHERE = "https://login.example.com/token"


@pytest.mark.parametrize(
    ("url", "given", "expected"),
    [
        (ENDPOINT, client(), ENDPOINT),
        ("https://API.example.com:443/token", client(), "https://API.example.com:443/token"),
        ("/oauth/token", client(), "https://api.example.com/oauth/token"),
        ("token", client(), "https://api.example.com/v1/token"),
        (ELSEWHERE, client(token_origin="https://login.example.com"), ELSEWHERE),
        (ELSEWHERE, client(token_origin="https://a https://login.example.com/"), ELSEWHERE),
        (ELSEWHERE, client("", token_origin="https://login.example.com"), ELSEWHERE),
        (ELSEWHERE, client(schemes={"o": {"token_origin": "https://login.example.com"}}), ELSEWHERE),
        ("http://localhost:8080/t", client("http://localhost:8080"), "http://localhost:8080/t"),
        # the connection's own word needs no trust, and wins over the description
        ("https://evil.example/t", client(token_url="http://keycloak:8080/t"), "http://keycloak:8080/t"),
        (ENDPOINT, client(token_url="https://mine/t"), "https://mine/t"),
        (
            ENDPOINT,
            client(token_url="https://mine/t", schemes={"o": {"token_url": "https://o"}}),
            "https://o",
        ),
    ],
)
def test_trusted_endpoints(url: str, given: Connection, expected: str) -> None:
    assert grant_for(USE, scheme(url=url), given).url == expected


@pytest.mark.parametrize(
    ("url", "given", "words"),
    [
        (ELSEWHERE, client(), "https://login.example.com, which is not the connection's own origin"),
        ("https://api.example.com:8443/token", client(), "not the connection's own origin"),
        ("https://api.example.com.evil.example/token", client(), "not the connection's own origin"),
        ("https://evil.example/https://api.example.com/", client(), "not the connection's own origin"),
        ("//evil.example/token", client(), "https://evil.example, which is not"),
        ("https://api.example.com@evil.example/token", client(), "no https URL"),
        ("https://evil.example\\@api.example.com/token", client(), "no https URL"),
        ("https://api.example.com\\.evil.example/token", client(), "no https URL"),
        ("http://api.example.com/token", client(), "no https URL"),
        ("http://api.example.com/token", client("http://api.example.com"), "no https URL"),
        ("ftp://api.example.com/token", client(), "no https URL"),
        ("https://api.example.com/token#x", client(), "no https URL"),
        ("https://api.example.com:port/token", client(), "no https URL"),
        ("https://[::1/token", client(), "no https URL"),
        ("/token", client(""), "no https URL"),
        (ENDPOINT, client(""), "not the connection's own origin"),
        (ELSEWHERE, client(token_origin="https://other.example.com"), "not the connection's own origin"),
    ],
)
def test_a_description_cannot_have_the_secret_sent_elsewhere(url: str, given: Connection, words: str) -> None:
    for asked in (scheme(url=url), oidc(url), scheme("password", url), scheme(refresh=url)):
        holding = given
        if asked.flow == "password":
            holding = connection(given.base_url, login="me", password=SECRET, token_origin=given.token_origin)
        if asked.refresh_url:
            holding = connection(given.base_url, refresh_token=SECRET, token_origin=given.token_origin)
        with pytest.raises(NoGrant) as caught:
            grant_for(USE, asked, holding)
        assert words in caught.value.why
        assert "extra" in caught.value.fill
        assert "'token_url'" in caught.value.fill


def discovered(endpoint: Any, status: int = 200, **fields: Any) -> str:
    given = client(**fields)
    grant = grant_for(USE, oidc("https://api.example.com/.well-known/openid-configuration"), given)
    assert grant.url == ""
    return read_discovery(grant, Response(status, (), json.dumps({"token_endpoint": endpoint}).encode()))


def test_discovery() -> None:
    assert discovered(ENDPOINT) == ENDPOINT
    assert discovered(ELSEWHERE, token_origin="https://login.example.com") == ELSEWHERE
    issuer = grant_for(
        USE, oidc("https://login.example.com/d"), client(token_origin="https://login.example.com")
    )
    answer = Response(200, (), json.dumps({"token_endpoint": ELSEWHERE}).encode())
    assert read_discovery(issuer, answer) == ELSEWHERE
    assert grant_for(USE, oidc("https://x/d"), client(token_url="https://t/t")).url == "https://t/t"


@pytest.mark.parametrize(
    ("endpoint", "status"),
    [
        (ELSEWHERE, 200),
        ("http://api.example.com/token", 200),
        ("https://api.example.com@evil.example/", 200),
        ("/token", 200),
        ("", 200),
        (None, 200),
        (7, 200),
        (ENDPOINT, 302),
        (ENDPOINT, 404),
    ],
)
def test_a_discovery_document_cannot_have_the_secret_sent_elsewhere(endpoint: Any, status: int) -> None:
    with pytest.raises(TokenError) as caught:
        discovered(endpoint, status)
    assert SECRET not in str(caught.value)


# -- What is sent ----------------------------------------------------------------------------------------


def sent(grant: Grant) -> tuple[dict[str, str], dict[str, str]]:
    headers, body = token_request(grant)
    form = {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items()}
    return dict(headers), form


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("grant", "authorization", "form"),
    [
        (
            Grant(kind="client_credentials", client_id="id", client_secret="s", scope="a b"),
            basic("id:s"),
            {"grant_type": "client_credentials", "scope": "a b"},
        ),
        # form-encoded before base64 (RFC 6749, section 2.3.1)
        (
            Grant(kind="client_credentials", client_id="i:d", client_secret="a+b %ü"),
            basic("i%3Ad:a%2Bb+%25%C3%BC"),
            {"grant_type": "client_credentials"},
        ),
        (
            Grant(
                kind="client_credentials",
                client_id="id",
                client_secret="s&",
                auth="client_secret_post",
                audience="https://a",
                resource="urn:r",
            ),
            None,
            {
                "grant_type": "client_credentials",
                "client_id": "id",
                "client_secret": "s&",
                "audience": "https://a",
                "resource": "urn:r",
            },
        ),
        (
            Grant(kind="password", login="me", password="p&w", client_id="public"),
            None,
            {"grant_type": "password", "username": "me", "password": "p&w", "client_id": "public"},
        ),
        (
            Grant(kind="refresh_token", refresh_token="r", client_id="id", client_secret="s"),
            basic("id:s"),
            {"grant_type": "refresh_token", "refresh_token": "r"},
        ),
    ],
)
def test_token_requests(grant: Grant, authorization: str | None, form: dict[str, str]) -> None:
    headers, found = sent(grant)
    assert headers.get("Authorization") == authorization
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert found == form


def test_a_grant_hides_its_secrets_and_names_them() -> None:
    grant = Grant(
        kind="password",
        client_id="id",
        client_secret=SECRET,
        login="me",
        password="pass-word",
        url="https://t",
    )
    assert set(grant.secret_values()) == {SECRET, "pass-word", basic(f"id:{SECRET}")[6:]}
    assert SECRET not in repr(grant)
    assert "pass-word" not in repr(grant)


# -- What comes back -------------------------------------------------------------------------------------


def answer(fields: Any, status: int = 200) -> Response:
    return Response(status, (), fields if isinstance(fields, bytes) else json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}, TokenAnswer("t", 3600.0)),
        ({"access_token": "t", "token_type": "bearer", "expires_in": "60"}, TokenAnswer("t", 60.0)),
        ({"access_token": "t"}, TokenAnswer("t")),
        ({"access_token": "t", "expires_in": "soon"}, TokenAnswer("t")),
        ({"access_token": "t", "expires_in": True}, TokenAnswer("t")),
        ({"access_token": "t", "expires_in": -5}, TokenAnswer("t", 0.0)),
        ({"access_token": "t", "refresh_token": "r"}, TokenAnswer("t", refresh_token="r")),
    ],
)
def test_token_answers(fields: Any, token: TokenAnswer) -> None:
    assert read_token(answer(fields)) == token
    assert "'t'" not in repr(token)


def test_the_margin_before_expiry() -> None:
    assert TokenAnswer("t", 3600.0).usable_for() == 3570.0
    assert TokenAnswer("t", 60.0).usable_for() == 54.0
    assert TokenAnswer("t", 0.0).usable_for() == 0.0
    assert TokenAnswer("t").usable_for() == math.inf


@pytest.mark.parametrize(
    ("fields", "status", "refused", "words"),
    [
        ({"error": "invalid_client", "error_description": "no"}, 401, True, "401 (invalid_client: no)"),
        ({"error": "invalid_grant"}, 400, True, "400 (invalid_grant)"),
        (b"<html>secret stuff</html>", 400, True, "answered 400"),
        ({"error": "slow_down"}, 429, False, "answered 429"),
        ({"error": ["x"], "error_description": 7}, 500, False, "answered 500"),
        (b"", 503, False, "answered 503"),
        ({"access_token": "t"}, 302, False, "answered 302"),
        ({}, 200, False, "no access token"),
        (b"[1]", 200, False, "no access token"),
        (b"[" * 100_000, 200, False, "no access token"),
        (b"\xff\xfe", 200, False, "no access token"),
        ({"access_token": ""}, 200, False, "no access token"),
        ({"access_token": "a\r\nX: y"}, 200, False, "no access token"),
        ({"access_token": "t é"}, 200, False, "no access token"),
        ({"access_token": "t", "token_type": "DPoP"}, 200, False, "not a bearer token"),
        ({"access_token": "t", "token_type": 1}, 200, False, "not a bearer token"),
    ],
)
def test_answers_without_a_token(fields: Any, status: int, refused: bool, words: str) -> None:
    with pytest.raises(TokenError) as caught:
        read_token(answer(fields, status))
    assert words in str(caught.value)
    assert isinstance(caught.value, TokenRefused) == refused
    assert "secret stuff" not in str(caught.value)


def test_the_services_words_are_bounded_and_printable() -> None:
    with pytest.raises(TokenRefused) as caught:
        read_token(answer({"error": "x", "error_description": "a\r\n\x1b[31m" + "b" * 9999}, 400))
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()
