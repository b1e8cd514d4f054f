"""The application: request log, faults, keys and routes around both services.

A request to a service passes, in this order: the log, its fault (if any rule matches), the check of its
key, the operation, and the fault again on the way out. Requests to ``/_sandbox/`` pass none of these.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import amberflo, amberflo_wire, control, stripe, stripe_wire
from sandbox.amberflo_wire import AmberfloError
from sandbox.fault_effects import reset_connection, with_fault
from sandbox.keys import FAULT, RECORD, STATE, UNANSWERED
from sandbox.ledger import RequestRecord, Service
from sandbox.reply import Reply
from sandbox.settings import Settings
from sandbox.state import State
from sandbox.stripe_wire import StripeError

_MAX_BODY = 64 * 1024 * 1024


def create_app(settings: Settings, state: State | None = None) -> web.Application:
    """Build one independent sandbox.

    :param state: the state to serve; a new one when not given.
    """
    app = web.Application(middlewares=[_logged, _faulty, _checked], client_max_size=_MAX_BODY)
    app[STATE] = State(settings) if state is None else state
    control.add_routes(app)
    amberflo.add_routes(app)
    stripe.add_routes(app)
    return app


def _service(path: str) -> Service:
    return "stripe" if path.startswith("/v1/") else "amberflo"


def _error(record: RequestRecord, status: int, message: str) -> Reply:
    if record.service == "stripe":
        return stripe_wire.error_reply(status, message)
    return amberflo_wire.error_reply(status, message)


def _response(record: RequestRecord, reply: Reply) -> web.Response:
    response = reply.response()
    if record.service == "stripe":
        response.headers.setdefault("Request-Id", stripe_wire.request_id())
    return response


@web.middleware
async def _logged(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path.startswith("/_sandbox/"):
        return await handler(request)
    state = request.app[STATE]
    path = request.rel_url.raw_path
    service = _service(path)
    record = state.requests.begin(service, request.method, request.raw_path, request.raw_headers)
    rule = state.faults.pick(service, request.method, path)
    request[RECORD] = record
    if rule is not None:
        request[FAULT] = rule
        record.fault = rule.action
        if rule.when == "unread":
            return reset_connection(request)
    try:
        record.body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        response: web.StreamResponse = _response(record, _error(record, 413, "The body is too large"))
    else:
        response = await handler(request)
    if response.prepared or not request.get(UNANSWERED):
        record.status = response.status
    return response


@web.middleware
async def _faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
    record = request.get(RECORD)
    if record is None:
        return await handler(request)
    response, answered = await with_fault(
        request, handler, lambda status, message: _error(record, status, message)
    )
    request[UNANSWERED] = not answered
    return response


@web.middleware
async def _checked(request: web.Request, handler: Handler) -> web.StreamResponse:
    record = request.get(RECORD)
    if record is None:
        return await handler(request)
    settings = request.app[STATE].settings
    try:
        if record.service == "stripe":
            stripe_wire.check_key(record, settings.stripe_key)
        else:
            amberflo_wire.check_key(record, settings.amberflo_key)
        return await handler(request)
    except (AmberfloError, StripeError) as refusal:
        return _response(record, refusal.reply)
    except web.HTTPException as error:
        # The router's own refusals (no such path, no such method), in the service's words.
        message = f"Unrecognized request ({request.method} {request.path}): {error.reason}"
        status = 404 if record.service == "stripe" else error.status
        return _response(record, _error(record, status, message))
