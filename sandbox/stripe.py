"""Stripe's routes under ``/v1``, and what every request there passes: form, idempotency key, parameters.

An answer is kept under the request's ``Idempotency-Key`` once the operation has begun to execute, also
when it refuses or fails. Requests with wrong parameters, and those that meet another one with the same
key still executing, are answered without keeping anything.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import stripe_customers as customers
from sandbox import stripe_invoice_views as views
from sandbox import stripe_invoices as invoices
from sandbox import stripe_items as items
from sandbox import stripe_parameters as p
from sandbox.call import Call, Operation
from sandbox.fault_effects import execute
from sandbox.idempotency import Kept
from sandbox.keys import RECORD, STATE
from sandbox.ledger import RequestRecord
from sandbox.reply import Reply
from sandbox.state import State
from sandbox.stripe_forms import Object, Tree, decode
from sandbox.stripe_wire import StripeError, error_reply, request_id

_LOG = logging.getLogger(__name__)
_FORM = "application/x-www-form-urlencoded"
_INVOICE = "/v1/invoices/{invoice}"

_ROUTES: list[tuple[str, str, Object, Operation]] = [
    ("GET", "/v1/customers", p.LIST_CUSTOMERS, customers.list_customers),
    ("POST", "/v1/customers", p.CREATE_CUSTOMER, customers.create_customer),
    ("GET", "/v1/customers/{customer}", p.ONLY_EXPAND, customers.get_customer),
    ("POST", "/v1/customers/{customer}", p.UPDATE_CUSTOMER, customers.update_customer),
    ("DELETE", "/v1/customers/{customer}", p.NOTHING, customers.delete_customer),
    ("GET", "/v1/invoices", p.LIST_INVOICES, invoices.list_invoices),
    ("POST", "/v1/invoices", p.CREATE_INVOICE, invoices.create_invoice),
    ("GET", _INVOICE, p.ONLY_EXPAND, invoices.get_invoice),
    ("POST", _INVOICE, p.UPDATE_INVOICE, invoices.update_invoice),
    ("DELETE", _INVOICE, p.NOTHING, invoices.delete_invoice),
    ("GET", f"{_INVOICE}/lines", p.LIST_LINES, views.list_lines),
    ("POST", f"{_INVOICE}/finalize", p.FINALIZE, invoices.finalize_invoice),
    ("POST", f"{_INVOICE}/pay", p.PAY, invoices.pay_invoice),
    ("POST", f"{_INVOICE}/void", p.ONLY_EXPAND, invoices.void_invoice),
    ("POST", f"{_INVOICE}/send", p.ONLY_EXPAND, invoices.send_invoice),
    ("POST", f"{_INVOICE}/mark_uncollectible", p.ONLY_EXPAND, invoices.mark_uncollectible),
]
_ITEM_ROUTES: list[tuple[str, str, Object, Operation]] = [
    ("GET", "", p.LIST_ITEMS, items.list_items),
    ("POST", "", p.CREATE_ITEM, items.create_item),
    ("GET", "/{invoiceitem}", p.ONLY_EXPAND, items.get_item),
    ("POST", "/{invoiceitem}", p.UPDATE_ITEM, items.update_item),
    ("DELETE", "/{invoiceitem}", p.NOTHING, items.delete_item),
]


def add_routes(app: web.Application) -> None:
    """Add Stripe's operations to an application."""
    # Some published descriptions call the items' path "/v1/Invoice Items". It is written as a pattern, for
    # the router finds no literal with a space in it.
    named = [
        (method, base + rest, parameters, operation)
        for base in ("/v1/invoiceitems", "/v1/{_:Invoice(?: |%20)Items}")
        for method, rest, parameters, operation in _ITEM_ROUTES
    ]
    for method, path, parameters, operation in _ROUTES + named:
        app.router.add_route(method, path, _serve(parameters, operation))


def _serve(parameters: Object, operation: Operation) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        record = request[RECORD]
        this_id = request_id()
        try:
            reply = await _answer(request, record, parameters, operation, this_id)
        except StripeError as error:
            reply = error.reply
        response = reply.response()
        response.headers["Request-Id"] = this_id
        return response

    return handle


async def _answer(
    request: web.Request, record: RequestRecord, parameters: Object, operation: Operation, this_id: str
) -> Reply:
    state = request.app[STATE]
    tree = _read(record)
    key = record.header("idempotency-key") if record.method == "POST" else None
    kept = _first_use(state, record, tree, key) if key is not None else None
    if kept is not None and kept.answer is not None:
        record.replayed = True
        return replace(kept.answer, headers={**kept.answer.headers, "Idempotent-Replayed": "true"})
    given = parameters.read(tree) or {}
    if key is None:
        return await _execute(request, Call(state, record, request.match_info, {}, given), operation)

    call = Call(state, record, request.match_info, {}, given)
    keys = state.stripe.keys
    claimed: Kept[Reply] = Kept(_endpoint(record), _comparable(tree), state.now())
    keys.claim(key, claimed, state.settings.stripe_key_lifetime)
    try:
        reply = await _execute(request, call, operation)
    except BaseException:
        # Wrong parameters that only the operation could see, or a client that gave up: nothing happened.
        keys.release(key)
        raise
    claimed.answer = replace(
        reply, headers={**reply.headers, "Idempotency-Key": key, "Original-Request": this_id}
    )
    return claimed.answer


async def _execute(request: web.Request, call: Call, operation: Operation) -> Reply:
    try:
        return await execute(request, lambda: operation(call), error_reply)
    except StripeError as error:
        if not error.executed:
            raise
        return error.reply
    except Exception:
        _LOG.exception("%s %s failed", call.record.method, call.record.target)
        return error_reply(500, "The sandbox itself failed; its log says why")


def _first_use(state: State, record: RequestRecord, tree: Tree, key: str) -> Kept[Reply] | None:
    """Return what a key was first used for, or None for a fresh key.

    :raises StripeError: 400 for another request or an impossible key, 409 while the first executes.
    """
    if not 0 < len(key) <= 255:
        raise StripeError("An idempotency key has 1 to 255 characters")
    kept: Kept[Reply] | None = state.stripe.keys.find(key, state.now(), state.settings.stripe_key_lifetime)
    if kept is None:
        return None
    if (kept.endpoint, kept.parameters) != (_endpoint(record), _comparable(tree)):
        what = "parameters" if kept.endpoint == _endpoint(record) else "endpoint"
        raise StripeError(
            f"The idempotency key {key!r} was first used with other {what}",
            type="idempotency_error",
            code="idempotency_error",
        )
    if kept.answer is None:
        raise StripeError(
            f"Another request with the idempotency key {key!r} is still executing",
            status=409,
            code="idempotency_key_in_use",
        )
    return kept


def _endpoint(record: RequestRecord) -> str:
    return f"{record.method} {record.target.partition('?')[0]}"


def _comparable(tree: Tree) -> str:
    # Parameters, not bytes: the order and the percent-encoding of a form mean nothing.
    return json.dumps(tree, sort_keys=True)


def _read(record: RequestRecord) -> Tree:
    query = record.target.partition("?")[2]
    if record.method == "GET":
        return decode(query)
    content_type = (record.header("content-type") or "").partition(";")[0].strip().lower()
    if record.body and content_type != _FORM:
        raise StripeError(f"Invalid request: the content type must be {_FORM}")
    try:
        form = (record.body or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise StripeError("The body is not UTF-8") from None
    return decode(f"{query}&{form}")
