from __future__ import annotations

import re

import pytest

from airflow_arazzo.engine.digest import Challenge, DigestSession, DigestUser, read_challenge

USER = DigestUser("Mufasa", "Circle of Life")
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CLIENT_NONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def header(algorithm: str, more: str = 'qop="auth, auth-int"') -> str:
    return (
        f'Digest realm="http-auth@example.org", {more}, algorithm={algorithm}, nonce="{NONCE}",'
        f' opaque="{OPAQUE}"'
    )


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_the_rfc(algorithm: str, digest: str) -> None:
    """RFC 7616, section 3.9.1."""
    challenge = read_challenge([header(algorithm)])
    assert challenge is not None
    signed, secret = DigestSession(challenge, USER, lambda: CLIENT_NONCE).sign("GET", "/dir/index.html")
    assert secret == digest
    assert signed == (
        f'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", nonce="{NONCE}",'
        f' response="{digest}", algorithm={algorithm}, cnonce="{CLIENT_NONCE}", qop=auth, nc=00000001,'
        f' opaque="{OPAQUE}"'
    )


def test_the_example_of_the_older_rfc_without_protection() -> None:
    """RFC 2069, section 2.4, with the digest that its erratum gives."""
    challenge = read_challenge(
        ['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"']
    )
    assert challenge is not None
    user = DigestUser("Mufasa", "CircleOfLife")
    signed, secret = DigestSession(challenge, user).sign("GET", "/dir/index.html")
    assert secret == "1949323746fe6a43ef61f9606e7febea"
    assert "qop" not in signed
    assert "cnonce" not in signed


def test_every_request_has_its_own_count_and_digest() -> None:
    session = DigestSession(Challenge("r", "n", "MD5-sess", "auth"), USER)
    signed = [session.sign("GET", "/") for _ in range(17)]
    assert [re.findall(r"nc=(\w+)", text)[0] for text, _ in signed][-2:] == ["00000010", "00000011"]
    assert len({digest for _, digest in signed}) == 17
    assert len({re.findall(r'cnonce="(\w{32})"', text)[0] for text, _ in signed}) == 1
    other = DigestSession(Challenge("r", "n", "MD5-sess", "auth"), USER)
    assert other.sign("GET", "/") != signed[0]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], None),
        (["Basic realm=x"], None),
        (["Digest"], None),
        (['Digest realm="r"'], None),
        (['Digest nonce="n"'], None),
        (['Digest realm="r", nonce="n", algorithm=SHA-512-256'], None),
        (['Digest realm="r", nonce="n", qop="auth-int"'], None),
        (['Digest realm="ré", nonce="n"'], None),
        (['digest REALM="r" , Nonce = "n"'], Challenge("r", "n")),
        (["Digest realm=r,nonce=n,qop=AUTH,algorithm=md5"], Challenge("r", "n", "md5", "auth")),
        (['Digest realm="a, b=\\"c\\" \\\\", nonce="n"'], Challenge('a, b="c" \\', "n")),
        (['Digest realm="", nonce="n", opaque=""'], Challenge("", "n", opaque="")),
        (['Digest realm="r", nonce="n", userhash=true'], Challenge("r", "n", userhash=True)),
        # one among several, in one header or in many; the first that can be answered
        (['Negotiate, Basic realm="b", Digest realm="r", nonce="n"'], Challenge("r", "n")),
        (['Digest realm="r", nonce="n", Basic realm="b", nonce="x"'], Challenge("r", "n")),
        (["Negotiate abc==", 'Digest realm="r", nonce="n"'], Challenge("r", "n")),
        (
            [
                'Digest realm="r", nonce="1", algorithm=SHA-512-256',
                'Digest realm="r", nonce="2", algorithm=SHA-256, Digest realm="r", nonce="3"',
            ],
            Challenge("r", "2", "SHA-256"),
        ),
    ],
)
def test_challenges(headers: list[str], found: Challenge | None) -> None:
    assert read_challenge(headers) == found


def test_what_is_quoted() -> None:
    session = DigestSession(Challenge('a "b" \\', "n", qop="auth"), DigestUser('me "x"', "p"))
    signed, _ = session.sign("GET", '/"')
    assert 'username="me \\"x\\""' in signed
    assert 'realm="a \\"b\\" \\\\"' in signed
    assert 'uri="/\\""' in signed


def test_user_names_beyond_ascii_and_hashed_ones() -> None:
    signed, _ = DigestSession(Challenge("r", "n"), DigestUser("Jäsøn", "p")).sign("GET", "/")
    assert "username*=UTF-8''J%C3%A4s%C3%B8n" in signed
    signed, _ = DigestSession(Challenge("r", "n", userhash=True), DigestUser("me", "p")).sign("GET", "/")
    assert 'username="4c555da31800eebe4ea74ce03362b7b3", userhash=true' in signed
