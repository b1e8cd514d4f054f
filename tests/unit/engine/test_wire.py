from __future__ import annotations

from typing import Any

import msgspec
import pytest

from airflow_arazzo import __version__
from airflow_arazzo.engine.connection import BadConnection, Connection
from airflow_arazzo.engine.credentials import Credentials, TokenUse
from airflow_arazzo.engine.digest import DigestUser
from airflow_arazzo.engine.messages import NotSent, Request
from airflow_arazzo.engine.tokens import Grant
from airflow_arazzo.engine.wire import base_url, prepare, wire_headers
from airflow_arazzo.plan.model import SecurityScheme, Server, Source

KEY = "sk_live_abc"
SOURCE = Source("api", schemes={"q": SecurityScheme("apiKey", place="query", parameter="api_key")})
AUTOMATIC = (("User-Agent", f"airflow-arazzo/{__version__}"), ("Accept-Encoding", "gzip, deflate"))


def request(method: str = "GET", target: str = "/v1", body: bytes | None = None, **more: Any) -> Request:
    return Request("api", method, target, more.pop("servers", ()), more.pop("headers", ()), body, **more)


def sent(asked: Request, *, credentials: Credentials | None = None, base: str = "https://h") -> Any:
    return prepare(
        asked, SOURCE, Connection(id="c", base_url=base, password=KEY), credentials or Credentials()
    )


@pytest.mark.parametrize(
    ("base", "servers", "expected"),
    [
        # the connection's host wins
        ("https://mine", ["https://api.example.com"], "https://mine"),
        ("https://mine", [], "https://mine"),
        ("https://mine/base", ["https://api.example.com/v2"], "https://mine/base"),
        ("https://mine", ["https://api.example.com/v2/"], "https://mine/v2"),
        ("https://mine", ["/v2"], "https://mine/v2"),
        ("https://mine", ["./v2/"], "https://mine/v2"),
        ("https://mine", ["/"], "https://mine"),
        ("https://mine", ["https://{tenant}.example.com/api"], "https://mine/api"),
        ("https://mine", ["https://example.com/{version}"], "https://mine"),
        # without one, the first usable server
        ("", ["https://api.example.com/"], "https://api.example.com"),
        ("", ["/v2", "https://api.example.com:8443/v2//"], "https://api.example.com:8443/v2"),
        ("", ["https://{tenant}.example.com", "https://b.example.com"], "https://b.example.com"),
        ("", ["ftp://a", "https://u:p@b", "https://c"], "https://c"),
    ],
)
def test_base_urls(base: str, servers: list[str], expected: str) -> None:
    described = [Server(url) for url in servers]
    assert base_url(described, SOURCE, Connection(id="c", base_url=base)) == expected


def test_server_variables() -> None:
    server = Server("https://{region}.example.com/{version}", {"region": "us", "version": "v1"})
    assert base_url([server], SOURCE, Connection()) == "https://us.example.com/v1"
    given = Connection(server_variables={"region": "eu"})
    assert base_url([server], SOURCE, given) == "https://eu.example.com/v1"


@pytest.mark.parametrize("servers", [[], ["/v2"], ["https://{tenant}.example.com"]])
def test_without_any_host_the_connection_is_asked_for_one(servers: list[str]) -> None:
    with pytest.raises(BadConnection, match="connection 'c': it must name the host of source 'api'"):
        base_url([Server(url) for url in servers], SOURCE, Connection(id="c"))


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", None, None),
        ("HEAD", None, None),
        ("POST", None, "0"),
        ("PUT", None, "0"),
        ("PATCH", None, "0"),
        ("POST", b"", "0"),
        ("POST", b"abc", "3"),
        ("GET", b"abc", "3"),
    ],
)
def test_lengths(method: str, body: bytes | None, length: str | None) -> None:
    expected = (*AUTOMATIC, ("Content-Length", length)) if length else AUTOMATIC
    assert wire_headers(request(method, body=body), Credentials()) == expected


def test_headers_come_in_order_with_the_credentials_behind() -> None:
    asked = request(headers=(("Accept", "a/b"), ("X", "1"), ("X", "2"), ("user-agent", "mine")))
    assert wire_headers(asked, Credentials(headers=(("Authorization", "Bearer k"),))) == (
        ("Accept", "a/b"),
        ("X", "1"),
        ("X", "2"),
        ("user-agent", "mine"),
        ("Authorization", "Bearer k"),
        ("Accept-Encoding", "gzip, deflate"),
    )


def test_a_credential_replaces_what_the_document_sends_by_its_name() -> None:
    asked = request(
        headers=(("authorization", "Bearer theirs"), ("Cookie", "a=1; sid=theirs")),
        target="/?api_key=theirs&b=2",
    )
    credentials = Credentials(
        headers=(("Authorization", "Bearer ours"),), query=(("api_key", "o&rs"),), cookies=(("sid", "ours"),)
    )
    wire = sent(asked, credentials=credentials)
    assert wire.url == "https://h/?b=2&api_key=o%26rs"
    assert wire.shown_url == "https://h/?b=2"
    assert wire.headers == (
        ("Authorization", "Bearer ours"),
        ("Cookie", "a=1; sid=ours"),
        *AUTOMATIC,
    )


def test_a_credential_in_the_query_that_the_request_carries_is_sent_and_not_shown() -> None:
    wire = sent(request(target="/?a=1&api_key=theirs"), credentials=Credentials(query=(("k", "v"),)))
    assert wire.url == "https://h/?a=1&api_key=theirs&k=v"
    assert wire.shown_url == "https://h/?a=1"


def test_nothing_shown_holds_a_secret() -> None:
    wire = sent(request(target=f"/x/{KEY}?a={KEY}"), credentials=Credentials(query=(("api_key", KEY),)))
    assert wire.shown_url == "https://h/x/***?a=***"
    assert KEY not in repr(wire)
    assert KEY not in wire.describe()


def test_the_target_is_sent_as_it_is_encoded() -> None:
    assert sent(request(target="/a%2Fb//c;x=1?q=%20+%5B&r"), base="https://h/base").url == (
        "https://h/base/a%2Fb//c;x=1?q=%20+%5B&r"
    )


@pytest.mark.parametrize("target", ["", "v1", "@evil.example/", "/a b", "/a\r\nHost: evil", "//\x7f"])
def test_targets_that_are_refused(target: str) -> None:
    with pytest.raises(NotSent):
        sent(request(target=target))


@pytest.mark.parametrize(
    "headers", [(("X", "a\r\nEvil: 1"),), (("X", "é"),), (("X\r\nEvil", "1"),), (("", "1"),)]
)
def test_headers_that_are_refused_are_not_shown(headers: Any) -> None:
    with pytest.raises(NotSent) as caught:
        sent(request(headers=headers))
    assert "Evil: 1" not in str(caught.value)


def test_credentials_are_not_sent_in_the_clear_on_the_descriptions_word_alone() -> None:
    credentials = Credentials(headers=(("Authorization", "Bearer k"),))
    asked = request(servers=(Server("http://api.example.com"),))
    with pytest.raises(BadConnection, match="unencrypted"):
        prepare(asked, SOURCE, Connection(id="c"), credentials)
    assert prepare(asked, SOURCE, Connection(id="c"), Credentials()).url == "http://api.example.com/v1"
    named = Connection(id="c", base_url="http://api.example.com")
    assert prepare(asked, SOURCE, named, credentials).url == "http://api.example.com/v1"
    alike = msgspec.structs.replace(asked, servers=(Server("http://127.0.0.1.example.com"),))
    with pytest.raises(BadConnection, match="unencrypted"):
        prepare(alike, SOURCE, Connection(id="c"), credentials)
    local = msgspec.structs.replace(asked, servers=(Server("http://localhost:8080"),))
    assert prepare(local, SOURCE, Connection(id="c"), credentials).url == "http://localhost:8080/v1"


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(digest=DigestUser("me", KEY)),
        Credentials(token=TokenUse("o", Grant(kind="client_credentials", url="https://h/token"))),
    ],
)
def test_credentials_that_are_still_to_come_are_checked_before_the_first_request(
    credentials: Credentials,
) -> None:
    asked = request(servers=(Server("http://api.example.com"),))
    with pytest.raises(BadConnection, match="unencrypted"):
        prepare(asked, SOURCE, Connection(id="c"), credentials)
    with pytest.raises(BadConnection, match="another origin"):
        prepare(asked, SOURCE, Connection(id="c", base_url="https://h"), credentials, "https://other/x")


@pytest.mark.parametrize(
    ("at", "url", "shown"),
    [
        ("https://h/x?y=%20&z", "https://h/x?y=%20&z&api_key=" + KEY, "https://h/x"),
        ("https://h?y", "https://h/?y&api_key=" + KEY, "https://h/"),
        ("https://h:443//a//b", "https://h:443//a//b?api_key=" + KEY, "https://h:443//a//b"),
        ("https://h/x?api_key=old", "https://h/x?api_key=" + KEY, "https://h/x"),
    ],
)
def test_after_a_redirect(at: str, url: str, shown: str) -> None:
    given = Connection(id="c", base_url="https://h", password=KEY)
    wire = prepare(request(), SOURCE, given, Credentials(query=(("api_key", KEY),)), at)
    assert (wire.url, wire.shown_url) == (url, shown)
