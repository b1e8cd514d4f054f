"""Amberflo's billing side: customers, plan assignments, prepaid orders, invoices.

Where the description is silent: unknown body fields and query parameters are ignored (it forbids none);
``null`` is refused for every described field (it allows none); an assignment without customer or product
is refused; plans and orders need an existing customer; updating what does not exist is a 400, the only
refusal described there; a prepaid amount must be above zero. No payment provider is connected, so
``autoCreateCustomerInStripe=if_payment_provider`` is accepted and creates nothing in Stripe.
"""

from __future__ import annotations

import uuid
from typing import Any

from sandbox import fields as f
from sandbox.amberflo_wire import AmberfloError, require
from sandbox.call import Call
from sandbox.reply import Reply
from sandbox.state import State

_ADDRESS = f.record_of(
    {
        "verified": f.boolean,
        "line1": f.text,
        "state": f.text,
        "city": f.text,
        "postalCode": f.text,
        "country": f.text,
    },
    required=("line1", "city", "country"),
)
_GIVEN = {
    "customerId": f.name_text,
    "customerName": f.name_text,
    "customerEmail": f.email,
    "description": f.text,
    "test": f.boolean,
    "lifecycleStage": f.choice("ONBOARDING", "TRAIL", "ACTIVE", "OFFBOARDED"),
    "traits": f.map_of(f.text),
    "address": _ADDRESS,
}
_UPDATED = {**_GIVEN, "enabled": f.boolean, "deactivateTimeStamp": f.integer}
_TIMES = {"createTime": f.integer, "updateTime": f.integer, "deleteTime": f.integer}
_NAMED = ("customerId", "customerName")

CUSTOMER = f.record_of(_GIVEN, required=_NAMED)
CUSTOMER_UPDATE = f.record_of({**_UPDATED, **_TIMES}, required=_NAMED)
ASSIGNMENT = f.record_of(
    {"customerId": f.name_text, "productId": f.name_text, "startTime": f.integer},
    required=("customerId", "productId"),
)
PREPAID = f.record_of(
    {"customerId": f.name_text, "amount": f.number, "currency": f.name_text, "expirationTime": f.integer},
    required=("customerId", "amount"),
)


def _known(body: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: body[name] for name in names if name in body}


def list_customers(call: Call) -> Reply:
    """``GET /customers``: all customers, oldest first."""
    return Reply.json(list(call.state.amberflo.customers.values()))


def make_customer(state: State, body: dict[str, Any]) -> dict[str, Any]:
    """Add a customer to the books.

    :param body: the decoded request body, or a seed.
    :raises AmberfloError: 400 for a wrong body or an identifier that is taken.
    """
    require(CUSTOMER, body)
    if body["customerId"] in state.amberflo.customers:
        raise AmberfloError(400, f"There is a customer {body['customerId']!r} already", "DUPLICATE")
    now = state.now_millis()
    customer = {**_known(body, _GIVEN), "createTime": now, "updateTime": now}
    state.amberflo.customers[customer["customerId"]] = customer
    return customer


def create_customer(call: Call) -> Reply:
    """``POST /customers``: 200 with the customer; 400 when the identifier is taken."""
    if call.query.get("autoCreateCustomerInStripe", "if_payment_provider") != "if_payment_provider":
        raise AmberfloError(400, "autoCreateCustomerInStripe must be if_payment_provider")
    customer = make_customer(call.state, call.body)
    call.effect("amberflo.customer.created", customer["customerId"], customer)
    return Reply.json(customer)


def update_customer(call: Call) -> Reply:
    """``PUT /customers``: the given fields replace the old ones; times are the service's own."""
    require(CUSTOMER_UPDATE, call.body)
    customers = call.state.amberflo.customers
    old = customers.get(call.body["customerId"])
    if old is None:
        raise AmberfloError(400, f"There is no customer {call.body['customerId']!r}")
    customer = {
        **_known(call.body, _UPDATED),
        "createTime": old["createTime"],
        "updateTime": call.state.now_millis(),
    }
    customers[customer["customerId"]] = customer
    call.effect("amberflo.customer.updated", customer["customerId"], customer)
    return Reply.json(customer)


def _find(call: Call) -> dict[str, Any]:
    customer = call.state.amberflo.customers.get(call.path["customerId"])
    if customer is None:
        raise AmberfloError(404, f"There is no customer {call.path['customerId']!r}")
    return customer


def get_customer(call: Call) -> Reply:
    """``GET /customers/{customerId}``: 404 when there is none."""
    return Reply.json(_find(call))


def delete_customer(call: Call) -> Reply:
    """``DELETE /customers/{customerId}``: 200 without a body; the identifier is free again."""
    customer = _find(call)
    del call.state.amberflo.customers[customer["customerId"]]
    call.effect(
        "amberflo.customer.deleted",
        customer["customerId"],
        {**customer, "deleteTime": call.state.now_millis()},
    )
    return Reply(200, b"")


def _need_customer(call: Call) -> None:
    if call.body["customerId"] not in call.state.amberflo.customers:
        raise AmberfloError(400, f"There is no customer {call.body['customerId']!r}")


def assign_plan(call: Call) -> Reply:
    """``POST /payments-pricing-amberflo-customer-pricing``: 200 with the assignment, start included."""
    require(ASSIGNMENT, call.body)
    _need_customer(call)
    product = call.body["productId"]
    if call.state.settings.unknown_products == "refuse" and product not in call.state.amberflo.products:
        raise AmberfloError(400, f"There is no product {product!r}")
    assignment = {
        "customerId": call.body["customerId"],
        "productId": product,
        "startTime": call.body.get("startTime", call.state.now_millis()),
    }
    call.effect("amberflo.plan.assigned", f"{assignment['customerId']}/{product}", assignment)
    return Reply.json(assignment)


def create_prepaid(call: Call) -> Reply:
    """``POST /payments-pricing-amberflo-customer-prepaid``: each accepted request is a new order.

    The currency is USD unless given; the amount comes back digit by digit.
    """
    require(PREPAID, call.body)
    if call.body["amount"] <= 0:
        raise AmberfloError(400, "amount must be above zero")
    _need_customer(call)
    order = {
        "orderId": f"order-{uuid.uuid4().hex}",
        **_known(call.body, ("customerId", "amount", "expirationTime")),
        "currency": call.body.get("currency", "USD"),
        "createTime": call.state.now_millis(),
    }
    call.effect("amberflo.prepaid.created", order["orderId"], order)
    return Reply.json(order)


def list_invoices(call: Call) -> Reply:
    """``GET /payments-billing-customer-product-invoice``: seeded invoices of one customer, maybe none."""
    if not call.query.get("customerId"):
        raise AmberfloError(400, "The query lacks customerId")
    return Reply.json(call.state.amberflo.invoices.get(call.query["customerId"], []))
