"""Plans as JSON text and back. Numbers keep their digits."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from airflow_arazzo.plan.model import Plan

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(Plan, float_hook=Decimal)


def encode_plan(plan: Plan) -> bytes:
    """The plan as compact JSON, UTF-8."""
    return _ENCODER.encode(plan)


def decode_plan(data: bytes | str) -> Plan:
    """The plan of a JSON text.

    :raises ValueError: when the text is no plan of this version.
    """
    return _DECODER.decode(data)
