"""The ledger's tables, and what an effect is as a row of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger.model import Description, Entry, Outcome

MAX_RESPONSE = 256 * 1024
"""Bytes of a response body that are kept; of a longer one nothing is."""

METADATA = sa.MetaData()

EFFECTS = sa.Table(
    "arazzo_effect",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False, index=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("protection", sa.String(250), nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("source", sa.String(250), nullable=False),
    sa.Column("run", sa.String(500), nullable=False),
    sa.Column("step", sa.String(500), nullable=False),
    sa.Column("attempt", sa.String(250), nullable=False),
    sa.Column("first_sent", sa.Double, nullable=False),
    sa.Column("changed", sa.Double, nullable=False, index=True),
    sa.Column("patience", sa.Double, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("response", sa.LargeBinary),
    sa.Column("note", sa.Text, nullable=False),
)

AUDIT = sa.Table(
    "arazzo_effect_audit",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False, index=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("who", sa.String(250), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("before", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)


def _longest(table: sa.Table, *names: str) -> tuple[tuple[str, int], ...]:
    kinds = [(name, table.c[name].type) for name in names]
    lengths = [(name, kind.length if isinstance(kind, sa.String) else None) for name, kind in kinds]
    return tuple([(name, sys.maxsize if length is None else length) for name, length in lengths])


_TEXTS = {
    EFFECTS.name: _longest(EFFECTS, "protection", "request", "source", "run", "step", "attempt", "note"),
    AUDIT.name: _longest(AUDIT, "who", "action", "before", "reason"),
}
"""Columns whose texts come from elsewhere, and how many characters they hold."""

_RESPONSE = msgspec.msgpack.Decoder(Response)


class FirstIntent(NamedTuple):
    """What :meth:`Store.insert` takes."""

    key: str
    description: Description
    patience: float
    owner: str


class Change(NamedTuple):
    """What :meth:`Store.replace` takes.

    :param forced: whether it must be on the disk once it is committed, and not only soon after.
    """

    key: str
    version: int
    values: dict[str, Any]
    first_sent: bool = False
    forced: bool = True


def as_values(
    intents: Sequence[FirstIntent], changes: Sequence[Change], now: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Values by column, those of changes with the ``_key`` and ``_version`` of their rows."""
    return [_first_values(each, now) for each in intents], [changed_values(each, now) for each in changes]


def changed_values(change: Change, now: float) -> dict[str, Any]:
    """Values by column of a change, with ``_key`` and ``_version`` of its row."""
    values = {"version": change.version + 1, "changed": now, **change.values}
    if change.first_sent:
        values["first_sent"] = now
    values |= {"_key": change.key, "_version": change.version}
    return fitting(EFFECTS, values)


def _first_values(intent: FirstIntent, now: float) -> dict[str, Any]:
    """The entry of an effect that is about to be sent for the first time."""
    asked = intent.description
    values = {
        "key": intent.key,
        "generation": 0,
        "version": 1,
        "owner": intent.owner,
        "outcome": Outcome.INTENT,
        "fingerprint": asked.fingerprint,
        "protection": asked.protection,
        "request": asked.request,
        "source": asked.source,
        "run": asked.run,
        "step": asked.step,
        "attempt": asked.attempt,
        "first_sent": now,
        "changed": now,
        "patience": intent.patience,
        "attempts": 1,
        "status": None,
        "response": None,
        "note": "",
    }
    return fitting(EFFECTS, values)


def fitting(table: sa.Table, values: dict[str, Any]) -> dict[str, Any]:
    """Values as the columns can hold them; changed in place.

    PostgreSQL refuses texts that are too long, null characters and unpaired surrogates; a step must not be
    stuck for ever because its run has a long name.
    """
    for name, length in _TEXTS[table.name]:
        text = values.get(name)
        if text is None:
            continue
        if not text.isascii() or "\0" in text:
            text = values[name] = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
        if len(text) > length:
            values[name] = text[:length]
    if "outcome" in values:
        values["outcome"] = str(values["outcome"])  # a driver may write an enumeration by its name
    return values


def encode_response(response: Response) -> bytes | None:
    """A response as it is kept; None for one that is too large."""
    return msgspec.msgpack.encode(response) if len(response.body) <= MAX_RESPONSE else None


def _decode_response(stored: bytes | None) -> Response | None:
    """A kept response; one that another version of this program cannot read counts as not kept."""
    try:
        return _RESPONSE.decode(stored) if stored else None
    except msgspec.DecodeError:
        return None


def entry_of(row: Any) -> Entry:
    """The entry that a row of :data:`EFFECTS` is; the row gives its values by column."""
    described = {name: row[name] for name in Description.__struct_fields__}
    rest = [n for n in Entry.__struct_fields__ if n not in ("outcome", "description", "response")]
    return Entry(
        outcome=Outcome(row["outcome"]),
        description=Description(**described),
        response=_decode_response(row["response"]),
        **{name: row[name] for name in rest},
    )
