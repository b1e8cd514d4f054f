"""What a service answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from sandbox import exact_json


@dataclass(frozen=True)
class Reply:
    """What a service answers.

    :param status: HTTP status.
    :param body: JSON bytes, or nothing.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200) -> Reply:
        """Return a reply whose body is the value as JSON."""
        return cls(status, exact_json.dumps(value))

    def response(self) -> web.Response:
        """Return the reply as aiohttp sends it; an empty body has no content type of JSON."""
        response = web.Response(status=self.status, body=self.body, headers=dict(self.headers))
        if self.body:
            response.content_type = "application/json"
        return response
