"""Names of media types."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def essence(content_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether a media type is JSON, by name or by suffix (RFC 6839)."""
    return essence(content_type).endswith(("/json", "+json"))
