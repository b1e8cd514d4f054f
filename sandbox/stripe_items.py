"""Stripe's invoice items: amounts that wait for a customer's next invoice, or belong to a draft."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.call import Call
from sandbox.reply import Reply
from sandbox.state import State
from sandbox.stripe_customers import changed_metadata, find_customer
from sandbox.stripe_lists import in_range, list_page
from sandbox.stripe_wire import StripeError, missing, object_id

MAX_LINES = 250
_AMOUNTS = ("amount", "unit_amount", "unit_amount_decimal", "price_data", "price")


def _amounts(given: dict[str, Any]) -> tuple[int, int, Decimal]:
    """Return amount, quantity and unit amount, in the smallest unit of the currency."""
    ways = [name for name in _AMOUNTS if name in given]
    if not ways:
        raise StripeError("Missing required param: amount.", code="parameter_missing", param="amount")
    if len(ways) > 1:
        raise StripeError(
            f"You may only give one of: {', '.join(ways)}.", code="parameters_exclusive", param=ways[1]
        )
    if "price" in given:
        raise missing("price", given["price"], "price")
    if "amount" in given:
        if "quantity" in given:
            raise StripeError(
                "You may only give one of: amount, quantity.", code="parameters_exclusive", param="quantity"
            )
        return given["amount"], 1, Decimal(given["amount"])
    source = given.get("price_data", given)
    if "unit_amount" not in source and "unit_amount_decimal" not in source:
        raise StripeError(
            "Missing required param: price_data[unit_amount].",
            code="parameter_missing",
            param="price_data[unit_amount]",
        )
    unit = Decimal(source.get("unit_amount", source.get("unit_amount_decimal")))
    quantity = given.get("quantity", 1)
    amount = (unit * quantity).quantize(Decimal(1), ROUND_HALF_UP)
    return int(amount), quantity, unit


def _priced(given: dict[str, Any]) -> dict[str, Any]:
    amount, quantity, unit = _amounts(given)
    whole = unit == unit.to_integral_value()
    return {
        "amount": amount,
        "quantity": quantity,
        "unit_amount": int(unit) if whole else None,
        "unit_amount_decimal": format(unit.normalize(), "f"),
    }


def _invoice_for(state: State, given: dict[str, Any]) -> dict[str, Any] | None:
    if "invoice" not in given:
        return None
    invoice = state.stripe.invoices.get(given["invoice"])
    if invoice is None:
        raise missing("invoice", given["invoice"], "invoice")
    if invoice["customer"] != given["customer"]:
        raise StripeError("The invoice belongs to another customer", param="invoice", executed=True)
    _need_draft(invoice)
    if len(state.stripe.lines[invoice["id"]]) >= MAX_LINES:
        raise StripeError(f"An invoice holds at most {MAX_LINES} items", param="invoice", executed=True)
    return invoice


def _need_draft(invoice: dict[str, Any]) -> None:
    if invoice["status"] != "draft":
        raise StripeError(
            "The invoice is no longer a draft, so its items cannot change",
            code="invoice_not_editable",
            executed=True,
        )


def _currency(given: dict[str, Any], invoice: dict[str, Any] | None, customer: dict[str, Any]) -> str:
    named = given.get("currency") or given.get("price_data", {}).get("currency")
    default = invoice["currency"] if invoice else customer["currency"]
    currency: str | None = named or default
    if currency is None:
        raise StripeError("Missing required param: currency.", code="parameter_missing", param="currency")
    if invoice and currency != invoice["currency"]:
        raise StripeError(f"The invoice is in {invoice['currency']}", param="currency", executed=True)
    return currency


def make_item(state: State, given: dict[str, Any], item_id: str | None = None) -> dict[str, Any]:
    """Add an invoice item to the books, pending unless an invoice is named.

    :param given: checked parameters.
    :param item_id: identifier, for seeds; otherwise a new one.
    :raises StripeError: 400, for contradictory amounts or objects that do not exist or do not fit.
    """
    priced = _priced(given)
    customer = find_customer(state, given["customer"])
    if "subscription" in given:
        raise missing("subscription", given["subscription"], "subscription")
    invoice = _invoice_for(state, given)
    now = int(state.now())
    item = {
        "id": item_id or object_id("ii"),
        "object": "invoiceitem",
        **priced,
        "currency": _currency(given, invoice, customer),
        "customer": customer["id"],
        "date": now,
        "description": given.get("description"),
        "discountable": given.get("discountable", priced["amount"] >= 0),
        "discounts": given.get("discounts") or [],
        "invoice": invoice["id"] if invoice else None,
        "livemode": False,
        "metadata": changed_metadata({}, given.get("metadata", {})),
        "period": given.get("period", {"start": now, "end": now}),
        "price": None,
        "proration": False,
        "subscription": None,
        "tax_rates": given.get("tax_rates") or [],
        "test_clock": None,
    }
    state.stripe.items.add(item)
    owner = state.stripe.lines if invoice else state.stripe.pending
    owner.setdefault(item["invoice"] or customer["id"], {})[item["id"]] = None
    if customer["currency"] is None:
        customer["currency"] = item["currency"]
    return item


def create_item(call: Call) -> Reply:
    """``POST /v1/invoiceitems``."""
    item = make_item(call.state, call.body)
    call.effect("stripe.invoiceitem.created", item["id"], item)
    return Reply.json(item)


def _find(call: Call) -> dict[str, Any]:
    item = call.state.stripe.items.get(call.path["invoiceitem"])
    if item is None:
        raise missing("invoiceitem", call.path["invoiceitem"], "id", in_path=True)
    return item


def _need_editable(state: State, item: dict[str, Any]) -> None:
    invoice = state.stripe.invoices.get(item["invoice"]) if item["invoice"] else None
    if invoice is not None:
        _need_draft(invoice)


def get_item(call: Call) -> Reply:
    """``GET /v1/invoiceitems/{invoiceitem}``."""
    return Reply.json(_find(call))


def update_item(call: Call) -> Reply:
    """``POST /v1/invoiceitems/{invoiceitem}``: while it is pending or on a draft."""
    item = _find(call)
    given = dict(call.body)
    _need_editable(call.state, item)
    if "quantity" in given and not any(name in given for name in _AMOUNTS):
        given["unit_amount_decimal"] = Decimal(item["unit_amount_decimal"])
    if any(name in given for name in _AMOUNTS):
        item.update(_priced(given))
    for name in ("description", "discountable", "period"):
        if name in given:
            item[name] = given[name]
    for name in ("discounts", "tax_rates"):
        if name in given:
            item[name] = given[name] or []
    if "metadata" in given:
        item["metadata"] = changed_metadata(item["metadata"], given["metadata"])
    call.effect("stripe.invoiceitem.updated", item["id"], item)
    return Reply.json(item)


def delete_item(call: Call) -> Reply:
    """``DELETE /v1/invoiceitems/{invoiceitem}``: while it is pending or on a draft."""
    item = _find(call)
    books = call.state.stripe
    _need_editable(call.state, item)
    books.items.remove(item["id"])
    owner = books.lines[item["invoice"]] if item["invoice"] else books.pending[item["customer"]]
    del owner[item["id"]]
    rest = {"id": item["id"], "object": "invoiceitem", "deleted": True}
    call.effect("stripe.invoiceitem.deleted", item["id"], rest)
    return Reply.json(rest)


def list_items(call: Call) -> Reply:
    """``GET /v1/invoiceitems``: by customer, invoice, and whether they still wait for an invoice."""
    given = call.body
    return list_page(
        call,
        call.state.stripe.items,
        "invoiceitem",
        where={name: given[name] for name in ("customer", "invoice") if name in given},
        keep=lambda item: (
            in_range(item["date"], given.get("created"))
            and ("pending" not in given or given["pending"] == (item["invoice"] is None))
        ),
        show=lambda item: item,
    )
