from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_arazzo.engine.connection import (
    BadConnection,
    Connection,
    connection_from_text,
    environment_text,
    origin_of,
)
from airflow_arazzo.engine.messages import NotSent

SECRET = "sk_live_abcdef"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"host": "api.stripe.com"}, "https://api.stripe.com"),
        ({"host": "https://api.stripe.com/"}, "https://api.stripe.com"),
        ({"host": "https://api.stripe.com/v1//"}, "https://api.stripe.com/v1"),
        ({"host": "HTTPS://API.Stripe.com/V1"}, "https://api.stripe.com/V1"),
        ({"host": "api.stripe.com/v1"}, "https://api.stripe.com/v1"),
        ({"host": "api.stripe.com", "port": 8443}, "https://api.stripe.com:8443"),
        ({"host": "https://api.stripe.com/base", "port": 8443}, "https://api.stripe.com:8443/base"),
        ({"host": "api.stripe.com:8443"}, "https://api.stripe.com:8443"),
        ({"host": "api.stripe.com:8443", "port": 8443}, "https://api.stripe.com:8443"),
        ({"host": "api.stripe.com", "schema": "http"}, "http://api.stripe.com"),
        ({"host": "https://api.stripe.com", "schema": "http"}, "https://api.stripe.com"),
        ({"host": "localhost", "port": 8080}, "http://localhost:8080"),
        ({"host": "127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"host": "[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "localhost", "schema": "https"}, "https://localhost"),
        ({"conn_type": "http", "host": "api.stripe.com"}, "http://api.stripe.com"),
        ({"conn_type": "http", "host": "api.stripe.com", "schema": "https"}, "https://api.stripe.com"),
        ({"conn_type": "https", "host": "localhost"}, "https://localhost"),
        ({"conn_type": None, "host": "api.stripe.com"}, "https://api.stripe.com"),
        ({"host": "https://h/a b"}, None),
        ({"host": ""}, ""),
        ({"host": None}, ""),
        ({"schema": "https"}, ""),
    ],
)
def test_base_urls(fields: dict[str, Any], expected: str | None) -> None:
    fields = {"conn_type": "arazzo", **fields}
    if expected is None:
        with pytest.raises(BadConnection):
            Connection.from_airflow("c", **fields)
    else:
        assert Connection.from_airflow("c", **fields).base_url == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"conn_type": "postgres"}, "type is 'postgres'"),
        ({"host": "h", "schema": "v1"}, "schema must be"),
        ({"host": "ftp://h"}, "scheme 'ftp'"),
        ({"host": f"https://user:{SECRET}@h"}, "credentials"),
        ({"host": f"https://h?key={SECRET}"}, "query"),
        ({"host": "https://h#x"}, "fragment"),
        ({"host": "h:99999"}, "not a valid URL"),
        ({"host": "https://"}, "not a valid URL"),
        ({"host": "h:1", "port": 2}, "port 1 and its port field 2"),
        ({"port": 80}, "port and no host"),
        ({"password": f"{SECRET}\n"}, "password contains a line break"),
        ({"login": "a\r\nb"}, "login contains a line break"),
        ({"extra": {"timout": 5}}, "unknown extra 'timout', did you mean 'timeout'?"),
        ({"extra": {"X-API-KEY": SECRET}}, "unknown extra 'X-API-KEY'"),
        ({"extra": {"max_redirects": 5}}, "unknown extra 'max_redirects'"),
        ({"extra": {"timeout": "soon"}}, "'timeout' must be a number of seconds"),
        ({"extra": {"timeout": 0}}, "'timeout'"),
        ({"extra": {"timeout": True}}, "'timeout'"),
        ({"extra": {"timeout": "nan"}}, "'timeout'"),
        ({"extra": {"timeout": "inf"}}, "'timeout'"),
        ({"extra": {"verify": 7}}, "'verify' must be true, false or the path"),
        ({"extra": {"verify": True, "verify_ssl": False}}, "contradicts"),
        ({"extra": {"trust_env": "perhaps"}}, "'trust_env' must be true or false"),
        ({"extra": {"cert": ["a", "b", "c"]}}, "'cert'"),
        ({"extra": {"proxy": "socks5://h:1"}}, "'proxy'"),
        ({"extra": {"proxies": {"ftp": "http://h"}}}, "'proxies'"),
        ({"extra": {"schemes": [SECRET]}}, "'schemes' must be an object"),
        ({"extra": {"schemes": {"key": {"valeu": SECRET}}}}, "unknown key 'valeu' for scheme 'key'"),
        ({"extra": {"schemes": {"key": {"value": f"{SECRET}\n"}}}}, "one line"),
        ({"extra": {"token_url": "not a url"}}, "'token_url' must be an http or https URL"),
        ({"extra": {"token_url": f"https://u:{SECRET}@h/t"}}, "without credentials"),
        ({"extra": {"token_url": "https://h/t#x"}}, "'token_url'"),
        ({"extra": {"token_origin": "https://a https://b/token"}}, "'token_origin' must be an origin"),
        ({"extra": {"token_origin": "login.example.com"}}, "'token_origin'"),
        ({"extra": {"token_auth": "private_key_jwt"}}, "client_secret_basic or client_secret_post"),
        ({"extra": {"schemes": {"o": {"token_auth": "none"}}}}, "has a 'token_auth' that must be"),
        ({"extra": {"follow_redirects": -1}}, "'follow_redirects' must be a whole number"),
        ({"extra": {"follow_redirects": True}}, "'follow_redirects'"),
        ({"extra": {"follow_redirects": 21}}, "from 0 to 20"),
        ({"extra": {"follow_redirects": "2.5"}}, "'follow_redirects'"),
        ({"extra": {"forbid_private": "maybe"}}, "'forbid_private' must be true or false"),
        ({"extra": {"secrets": {"a": 1}}}, "'secrets' must be an object of texts"),
        ({"extra": {"secrets": "{nonsense"}}, "'secrets'"),
    ],
)
def test_problems_are_named_without_showing_secrets(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConnection) as caught:
        Connection.from_airflow("stripe", **{"conn_type": "arazzo", **fields})
    assert words in str(caught.value)
    assert "connection 'stripe'" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert isinstance(caught.value, NotSent)


LOOPBACK = [
    "localhost", "LOCALHOST", "localhost.", "api.localhost", "api.localhost.", "127.0.0.1", "127.255.0.9",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
]  # fmt: skip
ELSEWHERE = [
    "127.0.0.1.example.com", "127.example.com", "127.0.0.1.", "127.1", "localhost.example.com", "nolocalhost",
    "128.0.0.1", "0.0.0.0", "[::]", "[::2]", "[::ffff:128.0.0.1]", "[::ffff:0:127.0.0.1]", "[::127.0.0.1]",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_the_loopback_interface_needs_no_encryption(host: str) -> None:
    assert Connection.from_airflow("c", host=f"{host}:8080").base_url.startswith("http://")


@pytest.mark.parametrize("host", ELSEWHERE)
def test_other_hosts_do_also_where_they_look_like_it(host: str) -> None:
    assert Connection.from_airflow("c", host=f"{host}:8080").base_url.startswith("https://")


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(BadConnection) as caught:
        Connection.from_airflow("c", conn_type="ftp", host="ftp://h", extra={"a": 1, "b": 2})
    assert len(caught.value.problems) == 4


def test_every_option() -> None:
    extra = {
        "timeout": "12.5",
        "verify": "/etc/ca.pem",
        "cert": ["/c.pem", "/k.pem"],
        "proxies": {"https": "http://u:proxypw@proxy:3128"},
        "trust_env": "true",
        "schemes": {
            "A": {"login": "me", "password": "pw-of-a"},
            "B": "value-of-b",
            "C": {"client_id": "c", "client_secret": "secret-of-c", "token_url": "https://c/t"},
        },
        "secrets": {"webhook": "hook-secret"},
        "client_id": "id",
        "client_secret": "client-secret",
        "refresh_token": "refresh-token",
        "token_url": "https://h/token",
        "token_origin": "https://login.example.com https://other",
        "token_auth": "client_secret_post",
        "scope": "a b",
        "audience": "https://api",
        "resource": "urn:api",
        "follow_redirects": "3",
        "forbid_private": "true",
        "server_variables": {"region": "eu"},
        "log_bodies": "true",
        "propagate_trace": "true",
    }
    connection = Connection.from_airflow(
        "c", conn_type="arazzo", host="h", login="me", password="pass-word", extra=extra
    )
    assert connection == Connection(
        id="c",
        base_url="https://h",
        login="me",
        password="pass-word",
        timeout=12.5,
        verify="/etc/ca.pem",
        certificate=("/c.pem", "/k.pem"),
        proxies={"https": "http://u:proxypw@proxy:3128"},
        trust_env=True,
        schemes={
            "A": {"login": "me", "password": "pw-of-a"},
            "B": {"value": "value-of-b"},
            "C": {"client_id": "c", "client_secret": "secret-of-c", "token_url": "https://c/t"},
        },
        secrets={"webhook": "hook-secret"},
        client_id="id",
        client_secret="client-secret",
        refresh_token="refresh-token",
        token_url="https://h/token",
        token_origin="https://login.example.com https://other",
        token_auth="client_secret_post",
        scope="a b",
        audience="https://api",
        resource="urn:api",
        follow_redirects=3,
        forbid_private=True,
        server_variables={"region": "eu"},
        log_bodies=True,
        propagate_trace=True,
    )
    secrets = {"pass-word", "client-secret", "hook-secret", "pw-of-a", "value-of-b", "proxypw"}
    secrets |= {"refresh-token", "secret-of-c"}
    assert set(connection.secret_values()) == secrets
    shown = repr(connection)
    assert "https://h" in shown
    for secret in secrets:
        assert secret not in shown


def test_a_login_alone_is_a_secret() -> None:
    assert Connection(login=SECRET).secret_values() == (SECRET,)
    assert Connection(login="me", password=SECRET).secret_values() == (SECRET,)
    assert Connection(schemes={"a": {"login": SECRET}}).secret_values() == (SECRET,)


@pytest.mark.parametrize(
    ("extra", "attribute", "expected"),
    [
        ({"verify_ssl": "false"}, "verify", False),
        ({"verify": False, "verify_ssl": "false"}, "verify", False),
        ({"verify": "True"}, "verify", True),
        ({"cert": "/both.pem"}, "certificate", ("/both.pem",)),
        ({"cert": '["/c.pem", "/k.pem"]'}, "certificate", ("/c.pem", "/k.pem")),
        ({"proxy": "http://p:1"}, "proxies", {"all": "http://p:1"}),
        ({"proxies": '{"http": "http://p:1"}'}, "proxies", {"http": "http://p:1"}),
        ({"schemes": '{"A": {"value": "x"}}'}, "schemes", {"A": {"value": "x"}}),
        ({"timeout": None, "client_id": ""}, "timeout", None),
    ],
)
def test_options_as_text(extra: dict[str, Any], attribute: str, expected: Any) -> None:
    assert getattr(Connection.from_airflow("c", extra=extra), attribute) == expected


def test_options_of_airflows_hook_are_accepted_for_its_type_only() -> None:
    extra = {
        "stream": True,
        "allow_redirects": False,
        "max_redirects": 3,
        "check_response": False,
        "timeout": 5,
    }
    connection = Connection.from_airflow("c", conn_type="http", host="h", extra=extra)
    assert connection == Connection(id="c", base_url="http://h", timeout=5)
    with pytest.raises(BadConnection, match="unknown extra 'stream'"):
        Connection.from_airflow("c", conn_type="arazzo", host="h", extra=extra)


def test_from_json() -> None:
    fields = {"conn_type": "arazzo", "host": "h", "password": SECRET, "port": "8443", "description": "x"}
    expected = Connection(id="c", base_url="https://h:8443", password=SECRET, timeout=5)
    assert Connection.from_json("c", json.dumps({**fields, "extra": {"timeout": 5}})) == expected
    assert Connection.from_json("c", json.dumps({**fields, "extra": '{"timeout": 5}'})) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"nonsense {SECRET}", "neither JSON nor a URI"),
        (f'["{SECRET}"]', "not an object"),
        (f'{{"passwrd": "{SECRET}"}}', "unknown field 'passwrd'"),
        (f'{{"password": ["{SECRET}"]}}', "field 'password' is not a text"),
        ('{"host": "h", "port": "x"}', "port is not a number"),
        (f'{{"extra": "{SECRET}"}}', "extra is not valid JSON"),
        ('{"extra": "[1]"}', "extra is not a JSON object"),
    ],
)
def test_json_that_cannot_be_used(text: str, words: str) -> None:
    with pytest.raises(BadConnection) as caught:
        Connection.from_json("c", text)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


URIS = [
    ("arazzo://:key@h", {"password": "key", "base_url": "https://h"}),
    ("arazzo://:key@h:8443/https", {"password": "key", "base_url": "https://h:8443"}),
    ("arazzo://me:p%40ss%2Fw@h/", {"login": "me", "password": "p@ss/w", "base_url": "https://h"}),
    ("arazzo://:key@", {"password": "key", "base_url": ""}),
    ("arazzo://https://:key@api.stripe.com", {"password": "key", "base_url": "https://api.stripe.com"}),
    ("arazzo://https://:key@h%2Fbase:8443", {"password": "key", "base_url": "https://h:8443/base"}),
    ("arazzo://:key@https%3A%2F%2Fh%2Fbase", {"password": "key", "base_url": "https://h/base"}),
    ("arazzo://:key@127.0.0.1%3A8080", {"password": "key", "base_url": "http://127.0.0.1:8080"}),
    ("arazzo://:key@[::1]:8080", {"password": "key", "base_url": "http://[::1]:8080"}),
    ("http://h", {"base_url": "http://h"}),
    ("http://h/https", {"base_url": "https://h"}),
    ("https://h", {"base_url": "https://h"}),
    (
        "arazzo://:key@h/?timeout=5&verify=false",
        {"password": "key", "base_url": "https://h", "timeout": 5, "verify": False},
    ),
    (
        "arazzo://:key@h/?__extra__=%7B%22schemes%22%3A%7B%22A%22%3A%7B%22value%22%3A%22x%22%7D%7D%7D",
        {"password": "key", "base_url": "https://h", "schemes": {"A": {"value": "x"}}},
    ),
    (
        "arazzo://:key@h/?token_url=https://t/x",
        {"password": "key", "base_url": "https://h", "token_url": "https://t/x"},
    ),
]


@pytest.mark.parametrize(("uri", "fields"), URIS)
def test_from_uri(uri: str, fields: dict[str, Any]) -> None:
    assert Connection.from_uri("c", uri) == Connection(id="c", **fields)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        SECRET,
        f"//{SECRET}",
        f"arazzo://a://b://{SECRET}",
        f"arazzo://h:port/{SECRET}",
        f"arazzo://:p#{SECRET}@h",
    ],
)
def test_uris_that_cannot_be_read(uri: str) -> None:
    with pytest.raises(BadConnection, match="URI cannot be read") as caught:
        Connection.from_uri("c", uri)
    assert SECRET not in str(caught.value)


def test_from_the_environment() -> None:
    environ = {
        "AIRFLOW_CONN_STRIPE": "arazzo://:key@h",
        "AIRFLOW_CONN_AMBERFLO": ' {"conn_type": "http", "host": "a"}',
        "AIRFLOW_CONN_EMPTY": "",
        "AIRFLOW_CONN_BAD": "nonsense",
    }

    def known(name: str) -> Connection:
        return connection_from_text(name, environment_text(name, environ))

    assert known("stripe") == Connection(id="stripe", base_url="https://h", password="key")
    assert known("amberflo").base_url == "http://a"
    assert known("empty") == Connection(id="empty")
    assert known("none") == Connection(id="none")
    with pytest.raises(BadConnection):
        known("bad")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://h/a/b", "https://h"),
        ("https://H:443", "https://h"),
        ("http://h.:80/", "http://h"),
        ("http://h:443", "http://h:443"),
        ("https://[::1]:8443/x", "https://[::1]:8443"),
        ("", ""),
    ],
)
def test_origins(url: str, origin: str) -> None:
    assert origin_of(url) == origin
    assert Connection(base_url=url).origin == origin
