from __future__ import annotations

import socket
from typing import Any

import pytest

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.credentials import Credentials
from airflow_arazzo.engine.egress import ForbiddenAddress, Hop, is_public, next_hop, public_socket
from airflow_arazzo.engine.messages import Request, Response

KEY = "sk_live_0123456789"


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = public_socket((family, socket.SOCK_STREAM, 6, "", (address, 443)))
    made.close()
    assert made.family == family


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "::10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "nonsense",
        "",
    ],
)
def test_other_addresses(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(ForbiddenAddress, match="no public address"):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)))


HEADERS = (
    ("Accept", "application/json"),
    ("X-Token", "of-a-step"),
    ("Cookie", "a=1"),
    ("user-agent", "mine"),
    ("Authorization", "Bearer of-a-step"),
)


def hop(
    location: str | None,
    *,
    url: str = "https://h/a/b?c=1",
    status: int = 302,
    method: str = "GET",
    body: bytes | None = None,
    secrets: tuple[str, ...] = (),
) -> Hop | None:
    asked = Request("api", method, "/a/b?c=1", (), HEADERS, body)
    headers = () if location is None else (("Location", location),)
    answer = Response(status, headers, b"")
    given = Connection(id="c", base_url="https://h", password=KEY)
    return next_hop(asked, url, answer, given, Credentials(secrets=secrets))


@pytest.mark.parametrize(
    ("location", "expected", "foreign"),
    [
        ("/x", "https://h/x", False),
        ("x?y=1#z", "https://h/a/x?y=1", False),
        ("?d=2", "https://h/a/b?d=2", False),
        ("https://H:443/x", "https://H:443/x", False),
        ("https://other/x", "https://other/x", True),
        ("//other/x", "https://other/x", True),
        ("https://h:8443/x", "https://h:8443/x", True),
        ("https://h.other/x", "https://h.other/x", True),
        (f"/x?api_key={KEY}", f"https://h/x?api_key={KEY}", False),
    ],
)
def test_hops(location: str, expected: str, foreign: bool) -> None:
    for method in ("GET", "HEAD"):
        for status in (301, 302, 303, 307, 308):
            found = hop(location, method=method, status=status)
            assert found is not None
            assert (found.url, found.foreign, found.request.method) == (expected, foreign, method)
            kept = (("Accept", "application/json"), ("user-agent", "mine"))
            assert found.request.headers == (kept if foreign else HEADERS)
            assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("location", "more"),
    [
        (None, {}),
        ("", {}),
        ("/x", {"method": "POST"}),
        ("/x", {"method": "PUT"}),
        ("/x", {"method": "DELETE"}),
        ("/x", {"method": "OPTIONS"}),
        ("/x", {"body": b"{}"}),
        ("/x", {"status": 200}),
        ("/x", {"status": 201}),
        ("/x", {"status": 300}),
        ("/x", {"status": 304}),
        ("/x", {"status": 305}),
        ("http://h/x", {}),
        ("http://other/x", {}),
        ("ftp://h/x", {}),
        ("javascript:alert(1)", {}),
        ("file:///etc/passwd", {}),
        ("https://user@h/x", {}),
        ("https://h@other/x", {}),
        ("https://h:0/x", {}),
        ("https://h:port/x", {}),
        ("https://[::1/x", {}),
        ("/a b", {}),
        ("/é", {}),
        (f"https://other/x?key={KEY}", {}),
        ("https://other/x?t=fetched-token", {"secrets": ("fetched-token",)}),
        ("https://other/fetched-token%2F", {"secrets": ("fetched-token/",)}),
    ],
)
def test_redirects_that_are_not_followed(location: str | None, more: dict[str, Any]) -> None:
    assert hop(location, **more) is None


def test_from_http_to_https() -> None:
    found = hop("https://h/x", url="http://h/a")
    assert found is not None
    assert found.foreign
