"""Names under which parts of the application find each other."""

from __future__ import annotations

from aiohttp import web

from sandbox.faults import Rule
from sandbox.ledger import RequestRecord
from sandbox.state import State

STATE: web.AppKey[State] = web.AppKey("state", State)
"""The state of the sandbox, in the application."""

RECORD: web.RequestKey[RequestRecord] = web.RequestKey("record", RequestRecord)
"""The log's record of a request, in the request; control requests have none."""

FAULT: web.RequestKey[Rule] = web.RequestKey("fault", Rule)
"""The fault that a request met, in the request."""

UNANSWERED: web.RequestKey[bool] = web.RequestKey("unanswered", bool)
"""True in a request whose connection was reset instead of answered."""
