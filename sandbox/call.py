"""One request on its way through a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.ledger import RequestRecord
from sandbox.reply import Reply
from sandbox.state import State


@dataclass(frozen=True)
class Call:
    """What an operation is given.

    :param path: values of the path's parameters, percent-decoded.
    :param query: query parameters (Amberflo; the last of equal names).
    :param body: the decoded body (Amberflo), or the checked parameters of query and form (Stripe).
    """

    state: State
    record: RequestRecord
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any

    def effect(self, kind: str, object_id: str, data: object) -> None:
        """Put a change of state in the ledger."""
        self.state.ledger.append(kind, object_id, data, self.record)


Operation = Callable[[Call], Reply]
