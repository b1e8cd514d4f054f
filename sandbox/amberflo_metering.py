"""Amberflo's metering side: meters, ingestion, usage, filtering rules.

Ingestion is asynchronous in the real service: events for unknown meters or customers are answered with 200
all the same and only turn out not to count later. So here: such an event is an effect like any other, and
``metered`` in its ledger entry says whether a meter counted it. A request is refused as a whole when one of
its events is malformed. An event needs a meter with a value, or ``values``, else it could mean nothing. An
event whose ``uniqueId`` was seen before is accepted and has no effect; no header makes requests idempotent.
"""

from __future__ import annotations

import uuid
from typing import Any

from sandbox import fields as f
from sandbox.amberflo_wire import AmberfloError, require
from sandbox.call import Call
from sandbox.reply import Reply
from sandbox.state import State

_TYPE = f.choice("SUM_OF_ALL_USAGE", "MAX_IN_PERIOD", "UNIQUE_CUSTOMERS_COUNT")
_METER_FIELDS = {
    "meterApiName": f.name_text,
    "displayName": f.name_text,
    "label": f.text,
    "type": _TYPE,
    "meterTimeInMillis": f.integer,
    "dimensions": f.array_of(f.text),
}
METER = f.record_of(_METER_FIELDS, required=("meterApiName", "displayName", "type"))
EVENT = f.record_of(
    {
        "meterApiName": f.name_text,
        "customerId": f.name_text,
        "meterValue": f.number,
        "meterTimeInMillis": f.millis,
        "uniqueId": f.name_text,
        "dimensions": f.map_of(f.text),
        "values": f.map_of(f.number),
    },
    required=("meterTimeInMillis",),
)
USAGE = f.record_of(
    {
        "meterApiName": f.name_text,
        "startTimeInSeconds": f.integer,
        "endTimeInSeconds": f.integer,
        "aggregation": f.choice("SUM", "MAX", "COUNT"),
        "timeGroupingInterval": f.choice("HOUR", "DAY", "WEEK", "MONTH"),
        "groupBy": f.array_of(f.text),
        "customerFilter": f.array_of(f.text),
        "filter": f.map_of(f.array_of(f.text)),
    },
    required=(
        "meterApiName",
        "startTimeInSeconds",
        "endTimeInSeconds",
        "aggregation",
        "timeGroupingInterval",
    ),
)
RULE = f.record_of(
    {
        "meterApiName": f.name_text,
        "ruleId": f.name_text,
        "dimensionName": f.name_text,
        "dimensionValues": f.array_of(f.text),
        "action": f.choice("INCLUDE", "EXCLUDE"),
    },
    required=("meterApiName",),
)


def ingest(call: Call) -> Reply:
    """``POST /ingest``: one event or an array; 200 with the JSON string ``OK``."""
    events = call.body if isinstance(call.body, list) else [call.body]
    for position, event in enumerate(events):
        _check_event(event, "body" if not isinstance(call.body, list) else f"body[{position}]")
    for event in events:
        _accept(call, event)
    return Reply.json("OK")


def _check_event(event: Any, name: str) -> None:
    require(EVENT, event, name)
    if "meterApiName" not in event and not event.get("values"):
        raise AmberfloError(400, f"{name} names no meter")
    if "meterApiName" in event and "meterValue" not in event:
        raise AmberfloError(400, f"{name} lacks meterValue")


def _accept(call: Call, event: dict[str, Any]) -> None:
    books = call.state.amberflo
    unique_id = event.get("uniqueId")
    if unique_id is not None:
        if unique_id in books.seen_events:
            return
        books.seen_events.add(unique_id)
    metered = books.count_usage(event)
    call.effect(
        "amberflo.event.ingested", unique_id or f"event-{uuid.uuid4().hex}", {**event, "metered": metered}
    )


def list_meters(call: Call) -> Reply:
    """``GET /meter-definition``: all meters, oldest first."""
    return Reply.json(list(call.state.amberflo.meters.values()))


def make_meter(state: State, body: dict[str, Any]) -> dict[str, Any]:
    """Add a meter to the books.

    :raises AmberfloError: 400 for a wrong body or a name that is taken.
    """
    require(METER, body)
    if body["meterApiName"] in state.amberflo.meters:
        raise AmberfloError(400, f"There is a meter {body['meterApiName']!r} already", "DUPLICATE")
    meter = _meter(body, state.now_millis())
    state.amberflo.meters[meter["meterApiName"]] = meter
    return meter


def _meter(body: dict[str, Any], created: int) -> dict[str, Any]:
    meter = {name: body[name] for name in _METER_FIELDS if name in body}
    meter.setdefault("label", meter["meterApiName"])
    meter.setdefault("dimensions", [])
    meter["meterTimeInMillis"] = created
    return meter


def create_meter(call: Call) -> Reply:
    """``POST /meter-definition``: 200 with the meter; 400 when the name is taken."""
    meter = make_meter(call.state, call.body)
    call.effect("amberflo.meter.created", meter["meterApiName"], meter)
    return Reply.json(meter)


def update_meter(call: Call) -> Reply:
    """``PUT /meter-definition``: the given fields replace the old ones; 400 when there is no such meter."""
    require(METER, call.body)
    meters = call.state.amberflo.meters
    old = meters.get(call.body["meterApiName"])
    if old is None:
        raise AmberfloError(400, f"There is no meter {call.body['meterApiName']!r}")
    meter = _meter(call.body, old["meterTimeInMillis"])
    meters[meter["meterApiName"]] = meter
    call.effect("amberflo.meter.updated", meter["meterApiName"], meter)
    return Reply.json(meter)


def _find(call: Call) -> dict[str, Any]:
    meter = call.state.amberflo.meters.get(call.path["meterApiName"])
    if meter is None:
        raise AmberfloError(404, f"There is no meter {call.path['meterApiName']!r}")
    return meter


def get_meter(call: Call) -> Reply:
    """``GET /meter-definition/{meterApiName}``: 404 when there is none."""
    return Reply.json(_find(call))


def delete_meter(call: Call) -> Reply:
    """``DELETE /meter-definition/{meterApiName}``: 200 without a body; its usage is forgotten."""
    meter = _find(call)
    name = meter["meterApiName"]
    del call.state.amberflo.meters[name]
    call.state.amberflo.usage.pop(name, None)
    call.effect("amberflo.meter.deleted", name, meter)
    return Reply(200, b"")


def query_usage(call: Call) -> Reply:
    """``POST /usage``: a query, so never an effect. Times are whole hours; sums are exact.

    A meter that does not exist has no usage, as the description has no refusal for it.
    """
    require(USAGE, call.body)
    if call.body["endTimeInSeconds"] <= call.body["startTimeInSeconds"]:
        raise AmberfloError(400, "endTimeInSeconds must be after startTimeInSeconds")
    records = call.state.amberflo.query_usage(call.body)
    return Reply.json({"clientMeters": {call.body["meterApiName"]: records}})


def save_rule(call: Call) -> Reply:
    """``POST /meter-event-filtering-rules``: creates a rule, or replaces the one with the same ``ruleId``."""
    require(RULE, call.body)
    rule = {
        "ruleId": f"rule-{uuid.uuid4().hex}",
        **{
            name: call.body[name]
            for name in ("meterApiName", "ruleId", "dimensionName", "dimensionValues", "action")
            if name in call.body
        },
    }
    call.state.amberflo.rules.setdefault(rule["meterApiName"], {})[rule["ruleId"]] = rule
    call.effect("amberflo.filtering_rule.saved", rule["ruleId"], rule)
    return Reply.json(rule)


def list_rules(call: Call) -> Reply:
    """``GET /meter-event-filtering-rules``: the rules of one meter."""
    if not call.query.get("meterApiName"):
        raise AmberfloError(400, "The query lacks meterApiName")
    return Reply.json(list(call.state.amberflo.rules.get(call.query["meterApiName"], {}).values()))
