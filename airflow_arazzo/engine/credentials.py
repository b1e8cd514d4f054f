"""What authentication adds to a request, before and after what must be fetched for it."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from airflow_arazzo.engine.digest import DigestUser
from airflow_arazzo.engine.tokens import Grant


class TokenUse(msgspec.Struct, frozen=True):
    """A token that is still to be fetched, and what stands before it in the ``Authorization`` header."""

    scheme: str
    grant: Grant
    prefix: str = "Bearer "


class Credentials(msgspec.Struct, frozen=True):
    """What authentication adds to a request. Its ``repr`` shows nothing.

    :param query: names and values, not yet encoded.
    :param cookies: names and values as they go into the ``Cookie`` header.
    :param secrets: every value that must be masked, derived ones such as the basic token included.
    :param client_certificate: whether a scheme relies on the connection's client certificate.
    :param token: to be fetched first, and then handed to :meth:`with_token`.
    :param digest: who answers the challenge of HTTP digest authentication.
    """

    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    cookies: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    client_certificate: bool = False
    token: TokenUse | None = None
    digest: DigestUser | None = None

    def is_empty(self) -> bool:
        """Whether nothing is added to a request, so that anybody may get it."""
        return not (self.headers or self.query or self.cookies or self.token or self.digest)

    def with_token(self, value: str) -> Credentials:
        """These credentials with the token that was fetched for them."""
        if self.token is None:
            return self
        return self.with_authorization(self.token.prefix + value, value)

    def with_authorization(self, header: str, secret: str) -> Credentials:
        """These credentials with an ``Authorization`` header.

        :param secret: the part of the header that must be masked.
        """
        return msgspec.structs.replace(
            self,
            headers=(*self.headers, ("Authorization", header)),
            secrets=tuple(dict.fromkeys((*self.secrets, secret, quote(secret, safe="")))),
        )

    def __repr__(self) -> str:
        return "Credentials(***)"
