from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from airflow_arazzo.engine.connection import BadConnection, Connection
from airflow_arazzo.engine.credentials import Credentials
from airflow_arazzo.engine.digest import DigestUser
from airflow_arazzo.engine.messages import NotSent, Request
from airflow_arazzo.engine.security import MissingCredential, authenticate
from airflow_arazzo.plan.model import SchemeUse, SecurityScheme, Source

KEY = "sk_live_abc"
SCHEMES = {
    "header": SecurityScheme("apiKey", place="header", parameter="X-API-KEY"),
    "other": SecurityScheme("apiKey", place="header", parameter="X-App-Id"),
    "query": SecurityScheme("apiKey", place="query", parameter="api_key"),
    "cookie": SecurityScheme("apiKey", place="cookie", parameter="sid"),
    "bearer": SecurityScheme("http", scheme="bearer"),
    "basic": SecurityScheme("http", scheme="basic"),
    "digest": SecurityScheme("http", scheme="digest"),
    "custom": SecurityScheme("http", scheme="Token"),
    "inferred": SecurityScheme("apiKey", place="header", parameter="Authorization", prefix="Token "),
    "oauth": SecurityScheme("oauth2", flow="clientCredentials", token_url="https://h/token"),
    "oidc": SecurityScheme("openIdConnect"),
    "foreign": SecurityScheme("oauth2", flow="clientCredentials", token_url="https://elsewhere/token"),
    "ropc": SecurityScheme("oauth2", flow="password", token_url="https://h/token"),
    "code": SecurityScheme("oauth2", flow="authorizationCode", token_url="https://h/token"),
    "hoba": SecurityScheme("http", scheme="hoba"),
    "mtls": SecurityScheme("mutualTLS"),
}
SOURCE = Source("stripe", schemes=SCHEMES)


def request(
    *security: str,
    credentials: tuple[str, ...] = (),
    target: str = "/",
    headers: tuple[tuple[str, str], ...] = (),
) -> Request:
    """Each text is an alternative of schemes joined by ``+``; an empty one is anonymous."""
    alternatives = tuple(
        tuple(SchemeUse(name) for name in alternative.split("+") if name) for alternative in security
    )
    return Request("stripe", "POST", target, (), headers, None, alternatives, credentials)


def connection(**fields: Any) -> Connection:
    return Connection(id="stripe_default", base_url="https://h", **fields)


def bearer(value: str, word: str = "Bearer") -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"{word} {value}"),)


def basic(login: str, password: str) -> tuple[tuple[str, str], ...]:
    return bearer(base64.b64encode(f"{login}:{password}".encode()).decode(), "Basic")


KEYED = (("X-API-KEY", KEY),)
OWN = (("X-API-KEY", "own"),)
OWN_BEARER = {"bearer": {"value": "own"}}
OWN_HEADER = {"header": {"value": "own"}}
OWN_BASIC = {"basic": {"login": "u", "password": "p"}}
PASSWORD = connection(password=KEY)
LOGIN = connection(login="me", password=KEY)
NOTHING = connection()
CLIENT = connection(client_id="id", client_secret="client-secret")


@pytest.mark.parametrize(
    ("asked", "given", "headers", "query", "cookies"),
    [
        (request(), PASSWORD, (), (), ()),
        (request("header"), PASSWORD, KEYED, (), ()),
        (request("query"), PASSWORD, (), (("api_key", KEY),), ()),
        (request("cookie"), PASSWORD, (), (), (("sid", KEY),)),
        (request("bearer"), PASSWORD, bearer(KEY), (), ()),
        (request("custom"), PASSWORD, bearer(KEY, "Token"), (), ()),
        (request("inferred"), PASSWORD, bearer(KEY, "Token"), (), ()),
        (request("oauth"), PASSWORD, bearer(KEY), (), ()),
        (request("oidc"), PASSWORD, bearer(KEY), (), ()),
        (request("basic"), LOGIN, basic("me", KEY), (), ()),
        (request("basic"), connection(login=KEY), basic(KEY, ""), (), ()),
        (
            request("basic"),
            connection(login="é", password="ü"),
            basic("é", "ü"),
            (),
            (),
        ),
        # a prefix that is in the value already is not doubled
        (
            request("bearer"),
            connection(password=f"Bearer {KEY}"),
            bearer(KEY),
            (),
            (),
        ),
        (
            request("inferred"),
            connection(password=f"token {KEY}"),
            bearer(KEY, "Token"),
            (),
            (),
        ),
        # alternatives: Stripe offers basic or bearer
        (request("basic", "bearer"), PASSWORD, bearer(KEY), (), ()),
        (request("bearer", "basic"), LOGIN, basic("me", KEY), (), ()),
        (request("bearer", "header"), PASSWORD, bearer(KEY), (), ()),
        (request("header", "bearer"), PASSWORD, KEYED, (), ()),
        (request("header"), LOGIN, KEYED, (), ()),
        (request("digest", "bearer"), PASSWORD, bearer(KEY), (), ()),
        (
            request("mtls", "bearer"),
            connection(password=KEY, certificate=("/c",)),
            bearer(KEY),
            (),
            (),
        ),
        # anonymous
        (request(""), PASSWORD, (), (), ()),
        (request("", "header"), NOTHING, (), (), ()),
        (request("", "header"), PASSWORD, KEYED, (), ()),
        (request("header", ""), NOTHING, (), (), ()),
        (request("digest", ""), PASSWORD, (), (), ()),
        # combinations
        (
            request("header+other"),
            connection(password=KEY, schemes={"other": {"value": "app"}}),
            (("X-API-KEY", KEY), ("X-App-Id", "app")),
            (),
            (),
        ),
        (
            request("header+query"),
            connection(schemes={"header": {"value": "a"}, "query": {"password": "b"}}),
            (("X-API-KEY", "a"),),
            (("api_key", "b"),),
            (),
        ),
        (
            request("header+mtls"),
            connection(password=KEY, certificate=("/c",)),
            KEYED,
            (),
            (),
        ),
        # values of a scheme's own win, over the password and in the choice
        (
            request("bearer"),
            connection(password=KEY, schemes=OWN_BEARER),
            bearer("own"),
            (),
            (),
        ),
        (
            request("bearer", "header"),
            connection(password=KEY, schemes=OWN_HEADER),
            OWN,
            (),
            (),
        ),
        (
            request("basic"),
            connection(schemes=OWN_BASIC),
            basic("u", "p"),
            (),
            (),
        ),
        (
            request("basic"),
            connection(schemes={"basic": {"password": "p"}}),
            basic("", "p"),
            (),
            (),
        ),
        # what the document sends by itself
        (request(credentials=("header",)), PASSWORD, KEYED, (), ()),
        (request("header", credentials=("header",)), PASSWORD, KEYED, (), ()),
        (request("bearer", credentials=("header",)), PASSWORD, KEYED, (), ()),
        (request("", credentials=("header",)), PASSWORD, KEYED, (), ()),
        (
            request("bearer", credentials=("header",)),
            connection(password=KEY, schemes=OWN_BEARER),
            (("X-API-KEY", KEY), ("Authorization", "Bearer own")),
            (),
            (),
        ),
        # what the request carries already
        (request("bearer", headers=(("authorization", "Bearer made-by-a-step"),)), NOTHING, (), (), ()),
        (request("header", "bearer", headers=(("Authorization", "Bearer a"),)), PASSWORD, (), (), ()),
        (request("header", headers=(("x-api-key", "handed over"),)), PASSWORD, (), (), ()),
        (request("query", target="/?a=1&api_key=x"), NOTHING, (), (), ()),
        (request("cookie", headers=(("Cookie", "a=1; sid=2"),)), NOTHING, (), (), ()),
        (request("header+other", headers=(("X-App-Id", "app"),)), PASSWORD, KEYED, (), ()),
        (
            request("header", credentials=("header",), headers=(("X-API-KEY", "x"),)),
            PASSWORD,
            KEYED,
            (),
            (),
        ),
    ],
)
def test_credentials(asked: Request, given: Connection, headers: Any, query: Any, cookies: Any) -> None:
    found = authenticate(asked, SOURCE, given)
    assert (found.headers, found.query, found.cookies) == (headers, query, cookies)


def test_a_client_certificate_is_enough_for_mutual_tls() -> None:
    found = authenticate(request("mtls"), SOURCE, connection(certificate=("/c.pem",)))
    assert found == Credentials(client_certificate=True)


def test_fetched_tokens_are_used() -> None:
    given = connection(client_id="id", client_secret="secret")
    found = authenticate(request("oauth"), SOURCE, given, {"oauth": "fetched"})
    assert found.headers == (("Authorization", "Bearer fetched"),)
    assert "fetched" in found.secrets


@pytest.mark.parametrize(
    ("asked", "given", "words"),
    [
        (
            request("header"),
            NOTHING,
            ["'header'", "source 'stripe'", "of connection 'stripe_default'"],
        ),
        (request("bearer", "query"), NOTHING, ["'bearer'", "; or: ", "'query'"]),
        (request("basic"), NOTHING, ["fill login and password"]),
        (request("basic"), PASSWORD, ["fill login and password", "put it into login"]),
        (request("mtls"), PASSWORD, ["extra 'cert'"]),
        (request("header+query"), PASSWORD, ["extra 'schemes'", "'header' and 'query' need a value each"]),
        (request("header"), connection(schemes={"header": {"login": "x"}}), ["extra 'schemes.header.value'"]),
        (request("hoba"), LOGIN, ["not supported yet", "hoba", "basic, digest, bearer"]),
        (request("hoba"), connection(schemes={"hoba": {"value": "x"}}), ["not supported yet", "hoba"]),
        (request("digest"), PASSWORD, ["fill login and password"]),
        (request("digest"), connection(login="me"), ["fill login and password"]),
        (
            request("digest"),
            connection(schemes={"digest": {"login": "x"}}),
            ["'schemes.digest.login' and '.password'"],
        ),
        (request("basic+digest"), LOGIN, ["'basic' and 'digest' need a value each"]),
        (request("oauth"), connection(client_id="a"), ["extras 'client_id' and 'client_secret'"]),
        (request("oauth"), LOGIN, ["extras 'client_id' and 'client_secret'", "access token into password"]),
        (request("oidc"), connection(client_id="a"), ["extras 'client_id' and 'client_secret'"]),
        (request("oidc"), CLIENT, ["extra 'token_url'"]),
        (request("foreign"), CLIENT, ["'token_origin' or 'token_url'", "https://elsewhere", "not the conn"]),
        (request("ropc"), CLIENT, ["fill login and password"]),
        (request("ropc+basic"), LOGIN, ["'basic' and 'ropc' need a value each"]),
        (request("code"), CLIENT, ["extra 'refresh_token'", "authorizationCode"]),
        (request("unknown"), PASSWORD, ["no security scheme 'unknown'"]),
        (request(credentials=("header",)), NOTHING, ["'header'"]),
        (request("", credentials=("header",)), NOTHING, ["'header'"]),
        (request(credentials=("header", "query")), PASSWORD, ["need a value each"]),
    ],
)
def test_a_missing_credential_says_what_to_fill(asked: Request, given: Connection, words: list[str]) -> None:
    with pytest.raises(MissingCredential) as caught:
        authenticate(asked, SOURCE, given)
    for word in words:
        assert word in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.source == "stripe"
    assert isinstance(caught.value, NotSent)


@pytest.mark.parametrize(
    ("scheme", "fields"),
    [
        ("header", {"password": "a\r\nX-Evil: 1"}),
        ("header", {"password": "key "}),
        ("bearer", {"password": "ké"}),
        ("cookie", {"password": "a;b"}),
        ("basic", {"login": "a:b", "password": KEY}),
    ],
)
def test_values_that_cannot_be_sent_are_not_shown(scheme: str, fields: dict[str, str]) -> None:
    with pytest.raises(BadConnection, match=f"'{scheme}'") as caught:
        authenticate(request(scheme), SOURCE, connection(**fields))
    for value in fields.values():
        assert value not in str(caught.value)


def test_a_token_to_be_fetched_is_asked_for() -> None:
    found = authenticate(request("oauth"), SOURCE, CLIENT)
    assert found.headers == ()
    assert found.token is not None
    assert (found.token.scheme, found.token.grant.url) == ("oauth", "https://h/token")
    assert not found.is_empty()
    assert {"client-secret"} < set(found.secrets)
    sent = found.with_token("fetched")
    assert sent.headers == (("Authorization", "Bearer fetched"),)
    assert "fetched" in sent.secrets
    assert "client-secret" not in repr((found, found.token, sent))


@pytest.mark.parametrize(
    ("asked", "given", "token"),
    [
        # a token that is there is not fetched
        (request("oauth"), PASSWORD, None),
        (request("oauth"), connection(client_id="a", schemes={"oauth": {"value": "fixed"}}), None),
        (request("oauth"), connection(client_id="a", schemes={"oauth": {"password": "fixed"}}), None),
        (request("oauth", headers=(("Authorization", "Bearer of-a-step"),)), CLIENT, None),
        # what the connection holds decides between alternatives
        (request("oauth", "header"), PASSWORD, None),
        (request("header", "oauth"), CLIENT, "oauth"),
        (request("basic", "oauth"), connection(login="a", password=KEY, client_id="b"), None),
        (request("basic", "oauth"), msgspec.structs.replace(CLIENT, login="a", password=KEY), "oauth"),
        (request("foreign", "oauth"), CLIENT, "oauth"),
        (request("ropc"), LOGIN, "ropc"),
        (request("code"), connection(refresh_token="long-lived"), "code"),
        # login and password serve another scheme beside a token that does without them
        (request("oauth+header"), msgspec.structs.replace(CLIENT, password=KEY), "oauth"),
    ],
)
def test_which_token_is_fetched(asked: Request, given: Connection, token: str | None) -> None:
    found = authenticate(asked, SOURCE, given)
    assert (found.token and found.token.scheme) == token


def test_digest_adds_nothing_before_the_challenge() -> None:
    for given in (LOGIN, connection(schemes={"digest": {"login": "me", "password": KEY}})):
        found = authenticate(request("digest"), SOURCE, given)
        assert found.headers == ()
        assert found.digest == DigestUser("me", KEY)
        assert not found.is_empty()
        assert KEY in found.secrets
        assert KEY not in repr(found.digest)


def test_secrets_cover_what_is_derived() -> None:
    token = base64.b64encode(f"me:{KEY}".encode()).decode()
    assert set(authenticate(request("basic"), SOURCE, LOGIN).secrets) == {KEY, token}
    assert KEY in authenticate(request("query"), SOURCE, PASSWORD).secrets
    shown = repr(authenticate(request("basic"), SOURCE, LOGIN))
    assert token not in shown
    assert KEY not in shown
