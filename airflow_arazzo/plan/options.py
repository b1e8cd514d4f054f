"""How a document is compiled, apart from what it says itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec


class Options(msgspec.Struct, frozen=True):
    """How sources are found, and what is tolerated.

    :param sources: files by source name; they win over everything else.
    :param source_path: folders that are searched for sources by file name.
    :param strict: whether warnings are errors.
    :param overlays: Overlay files that change documents before they are read.
    :param probes: lookups by step, as :func:`~airflow_arazzo.description.probes.read_probes` reads them.
    """

    sources: Mapping[str, Path] = {}
    source_path: Sequence[Path] = ()
    strict: bool = False
    overlays: Sequence[Path] = ()
    probes: Mapping[str, Any] = {}
