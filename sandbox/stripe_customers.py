"""Stripe's customers."""

from __future__ import annotations

import secrets
from typing import Any

from sandbox.call import Call
from sandbox.reply import Reply
from sandbox.state import State
from sandbox.stripe_lists import in_range, list_page
from sandbox.stripe_wire import missing, object_id

_PLAIN = ("address", "balance", "description", "email", "name", "phone", "preferred_locales", "shipping")


def changed_metadata(old: dict[str, str], changes: dict[str, str | None] | None) -> dict[str, str]:
    """Return metadata with changes applied: None removes a name, no changes at all remove everything."""
    if changes is None:
        return {}
    merged: dict[str, str | None] = {**old, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def make_customer(state: State, given: dict[str, Any], customer_id: str | None = None) -> dict[str, Any]:
    """Add a customer to the books.

    :param given: checked parameters.
    :param customer_id: identifier, for seeds; otherwise a new one.
    """
    customer = {
        "id": customer_id or object_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": int(state.now()),
        "currency": None,
        "default_source": given.get("source"),
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": given.get("invoice_prefix") or secrets.token_hex(4).upper(),
        "invoice_settings": _invoice_settings(given),
        "livemode": False,
        "metadata": changed_metadata({}, given.get("metadata", {})),
        "name": None,
        "next_invoice_sequence": given.get("next_invoice_sequence", 1),
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": given.get("tax_exempt") or "none",
        "test_clock": given.get("test_clock"),
        **{name: given[name] for name in _PLAIN if name in given},
    }
    state.stripe.customers.add(customer)
    return customer


def _invoice_settings(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "custom_fields": None,
        "default_payment_method": given.get("payment_method"),
        "footer": None,
        "rendering_options": None,
        **given.get("invoice_settings", {}),
    }


def create_customer(call: Call) -> Reply:
    """``POST /v1/customers``."""
    customer = make_customer(call.state, call.body)
    call.effect("stripe.customer.created", customer["id"], customer)
    return Reply.json(customer)


def find_customer(state: State, customer_id: str, *, in_path: bool = False) -> dict[str, Any]:
    """Return a customer that was not deleted.

    :raises StripeError: 404 when it is the path's object, 400 when a parameter names it.
    """
    customer = state.stripe.customers.get(customer_id)
    if customer is None:
        raise missing("customer", customer_id, "id" if in_path else "customer", in_path=in_path)
    return customer


def get_customer(call: Call) -> Reply:
    """``GET /v1/customers/{customer}``; of a deleted one only the identifier is left."""
    deleted = call.state.stripe.deleted_customers.get(call.path["customer"])
    return Reply.json(deleted or find_customer(call.state, call.path["customer"], in_path=True))


def update_customer(call: Call) -> Reply:
    """``POST /v1/customers/{customer}``: changes what is given."""
    customer = find_customer(call.state, call.path["customer"], in_path=True)
    given = call.body
    customer.update({name: given[name] for name in _PLAIN if name in given})
    for name in ("invoice_prefix", "next_invoice_sequence", "default_source"):
        if name in given:
            customer[name] = given[name]
    if "source" in given:
        customer["default_source"] = given["source"]
    if "tax_exempt" in given:
        customer["tax_exempt"] = given["tax_exempt"] or "none"
    if "invoice_settings" in given:
        customer["invoice_settings"] = {**customer["invoice_settings"], **given["invoice_settings"]}
    if "metadata" in given:
        customer["metadata"] = changed_metadata(customer["metadata"], given["metadata"])
    call.state.stripe.customers.reindex(customer)
    call.effect("stripe.customer.updated", customer["id"], customer)
    return Reply.json(customer)


def delete_customer(call: Call) -> Reply:
    """``DELETE /v1/customers/{customer}``: its pending items go with it, its invoices stay."""
    books = call.state.stripe
    customer = find_customer(call.state, call.path["customer"], in_path=True)
    books.customers.remove(customer["id"])
    for item_id in books.pending.pop(customer["id"], {}):
        books.items.remove(item_id)
    rest = {"id": customer["id"], "object": "customer", "deleted": True}
    books.deleted_customers[customer["id"]] = rest
    call.effect("stripe.customer.deleted", customer["id"], rest)
    return Reply.json(rest)


def list_customers(call: Call) -> Reply:
    """``GET /v1/customers``: by exact e-mail address and time of creation."""
    given = call.body
    where = {"email": given["email"]} if "email" in given else {}
    return list_page(
        call,
        call.state.stripe.customers,
        "customer",
        where=where,
        keep=lambda customer: (
            in_range(customer["created"], given.get("created"))
            and ("test_clock" not in given or customer["test_clock"] == given["test_clock"])
        ),
        show=lambda customer: customer,
    )
