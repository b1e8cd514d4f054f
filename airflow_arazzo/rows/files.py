"""Files of a store that ``ObjectStoragePath`` understands."""

from __future__ import annotations

from typing import IO, Any

from airflow.sdk import ObjectStoragePath


def opened(place: ObjectStoragePath, mode: str, **options: Any) -> IO[Any]:
    """An open file; a context manager."""
    file: IO[Any] = place.open(mode, **options)  # type: ignore[no-untyped-call]
    return file
