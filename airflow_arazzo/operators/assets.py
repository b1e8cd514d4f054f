"""Assets that a workflow updates: what their events tell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Asset

from airflow_arazzo.operators.exchange import SECRET

MAX_EXTRA = 1024
"""Length of the largest output, as JSON, that goes into an event."""


def tell_assets(context: Any, outlets: Iterable[Any], outputs: Mapping[str, Any]) -> None:
    """Put outputs of a workflow into the events of the assets that its task updates.

    Every asset's event has them as ``extra``, except those that are credentials and those longer than
    ``MAX_EXTRA``. Events can be read by whoever can see the asset, and are kept for ever.

    :param outputs: as XCom keeps them, so without the values of secrets.
    """
    extra = {name: value for name, value in outputs.items() if _is_public(value) and _is_small(value)}
    if extra:
        for outlet in outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(extra)


def _is_public(value: Any) -> bool:
    return not (isinstance(value, Mapping) and SECRET in value)


def _is_small(value: Any) -> bool:
    return len(json.dumps(value, ensure_ascii=False)) <= MAX_EXTRA
