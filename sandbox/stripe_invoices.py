"""Stripe's invoices, from draft to paid, void or uncollectible.

Where reality is wider: every customer has a card that works, so paying succeeds; nothing is mailed; taxes,
discounts and balances are zero, so totals are sums of lines; an invoice never advances by itself, whatever
``auto_advance`` says. Deleting a draft makes its items pending again.
"""

from __future__ import annotations

from typing import Any

from sandbox.call import Call
from sandbox.reply import Reply
from sandbox.state import State
from sandbox.stripe_customers import changed_metadata, find_customer
from sandbox.stripe_invoice_views import find_invoice, new_invoice, show
from sandbox.stripe_items import MAX_LINES
from sandbox.stripe_lists import in_range, list_page
from sandbox.stripe_wire import StripeError, missing

_PLAIN = (
    "account_tax_ids",
    "application_fee_amount",
    "auto_advance",
    "collection_method",
    "custom_fields",
    "default_payment_method",
    "default_source",
    "description",
    "due_date",
    "effective_at",
    "footer",
    "on_behalf_of",
    "rendering",
    "shipping_details",
    "statement_descriptor",
    "transfer_data",
)
_ALSO_WHEN_FINAL = frozenset(
    {"auto_advance", "default_payment_method", "default_source", "expand", "metadata"}
)
_DAY = 86_400


def _check_terms(given: dict[str, Any], method: str) -> None:
    if "days_until_due" in given and "due_date" in given:
        raise StripeError(
            "You may only give one of: days_until_due, due_date.",
            code="parameters_exclusive",
            param="due_date",
        )
    for name in ("days_until_due", "due_date"):
        if name in given and method != "send_invoice":
            raise StripeError(f"{name} is only for collection_method=send_invoice", param=name)


def make_invoice(state: State, given: dict[str, Any], invoice_id: str | None = None) -> dict[str, Any]:
    """Add a draft to the books, with the customer's pending items of its currency if they are wanted.

    :param given: checked parameters.
    :param invoice_id: identifier, for seeds; otherwise a new one.
    :raises StripeError: 400.
    """
    method = given.get("collection_method", "charge_automatically")
    _check_terms(given, method)
    if method == "send_invoice" and "days_until_due" not in given and "due_date" not in given:
        raise StripeError(
            "collection_method=send_invoice needs days_until_due or due_date",
            code="parameter_missing",
            param="days_until_due",
        )
    for name in ("subscription", "from_invoice"):
        if name in given:
            identifier = given[name]["invoice"] if name == "from_invoice" else given[name]
            raise missing(name.removeprefix("from_"), identifier, name)
    customer = find_customer(state, given["customer"])
    behavior = given.get("pending_invoice_items_behavior", state.settings.pending_items)
    waiting = list(state.stripe.pending.get(customer["id"], {})) if behavior != "exclude" else []
    currency = given.get("currency") or customer["currency"] or "usd"
    taken = [i for i in waiting if _item(state, i)["currency"] == currency][:MAX_LINES]
    if behavior == "include_and_require" and not taken:
        raise StripeError(
            "The customer has no pending invoice items", code="invoice_no_customer_line_items", executed=True
        )
    invoice = new_invoice(state, customer, currency, invoice_id)
    _apply(state, invoice, given)
    state.stripe.invoices.add(invoice)
    state.stripe.lines[invoice["id"]] = {}
    for item_id in taken:
        _move_item(state, item_id, invoice["id"])
    if customer["currency"] is None:
        customer["currency"] = currency
    return invoice


def _item(state: State, item_id: str) -> dict[str, Any]:
    item = state.stripe.items.get(item_id)
    assert item is not None, "books name an item that is not there"  # noqa: S101
    return item


def _move_item(state: State, item_id: str, invoice_id: str | None) -> None:
    item = _item(state, item_id)
    books = state.stripe
    old = books.lines[item["invoice"]] if item["invoice"] else books.pending[item["customer"]]
    del old[item_id]
    item["invoice"] = invoice_id
    new = books.lines[invoice_id] if invoice_id else books.pending.setdefault(item["customer"], {})
    new[item_id] = None
    books.items.reindex(item)


def _apply(state: State, invoice: dict[str, Any], given: dict[str, Any]) -> None:
    invoice.update({name: given[name] for name in _PLAIN if name in given})
    if given.get("days_until_due") is not None:
        invoice["due_date"] = int(state.now()) + given["days_until_due"] * _DAY
    if "automatic_tax" in given:
        enabled = given["automatic_tax"]["enabled"]
        invoice["automatic_tax"] = {"enabled": enabled, "status": None}
    if "payment_settings" in given:
        invoice["payment_settings"] = {**invoice["payment_settings"], **given["payment_settings"]}
    for name in ("default_tax_rates", "discounts"):
        if name in given:
            invoice[name] = given[name] or []
    if "metadata" in given:
        invoice["metadata"] = changed_metadata(invoice["metadata"], given["metadata"])


def _answer(call: Call, invoice: dict[str, Any], kind: str) -> Reply:
    call.state.stripe.invoices.reindex(invoice)
    shown = show(call.state, invoice)
    call.effect(f"stripe.invoice.{kind}", invoice["id"], shown)
    return Reply.json(shown)


def create_invoice(call: Call) -> Reply:
    """``POST /v1/invoices``: a draft."""
    return _answer(call, make_invoice(call.state, call.body), "created")


def get_invoice(call: Call) -> Reply:
    """``GET /v1/invoices/{invoice}``."""
    return Reply.json(show(call.state, find_invoice(call)))


def update_invoice(call: Call) -> Reply:
    """``POST /v1/invoices/{invoice}``: everything of a draft, little of a finalised invoice."""
    invoice = find_invoice(call)
    if invoice["status"] != "draft" and set(call.body) - _ALSO_WHEN_FINAL:
        fixed = sorted(set(call.body) - _ALSO_WHEN_FINAL)
        raise StripeError(
            f"A finalized invoice cannot change its {', '.join(fixed)}",
            code="invoice_not_editable",
            param=fixed[0],
            executed=True,
        )
    _check_terms(call.body, call.body.get("collection_method", invoice["collection_method"]))
    _apply(call.state, invoice, call.body)
    return _answer(call, invoice, "updated")


def delete_invoice(call: Call) -> Reply:
    """``DELETE /v1/invoices/{invoice}``: drafts only."""
    invoice = find_invoice(call)
    if invoice["status"] != "draft":
        raise StripeError("Only a draft can be deleted", code="invoice_not_editable", executed=True)
    for item_id in list(call.state.stripe.lines[invoice["id"]]):
        _move_item(call.state, item_id, None)
    del call.state.stripe.lines[invoice["id"]]
    call.state.stripe.invoices.remove(invoice["id"])
    rest = {"id": invoice["id"], "object": "invoice", "deleted": True}
    call.effect("stripe.invoice.deleted", invoice["id"], rest)
    return Reply.json(rest)


def _finalize(call: Call, invoice: dict[str, Any]) -> Reply:
    state = call.state
    now = int(state.now())
    customer = state.stripe.customers.get(invoice["customer"])
    if customer is not None:
        invoice["number"] = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
        customer["next_invoice_sequence"] += 1
    invoice["status_transitions"] = {**invoice["status_transitions"], "finalized_at": now}
    invoice["effective_at"] = invoice["effective_at"] or now
    invoice["total"] = sum(_item(state, item_id)["amount"] for item_id in state.stripe.lines[invoice["id"]])
    if invoice["total"] <= 0:
        # Nothing to collect, so Stripe calls it paid at once.
        _settle(invoice, now)
    else:
        invoice["status"] = "open"
    return _answer(call, invoice, "finalized")


def _settle(invoice: dict[str, Any], now: int) -> None:
    invoice["status"] = "paid"
    invoice["auto_advance"] = False
    invoice["attempted"] = True
    invoice["status_transitions"] = {**invoice["status_transitions"], "paid_at": now}


def finalize_invoice(call: Call) -> Reply:
    """``POST /v1/invoices/{invoice}/finalize``: open, or paid when there is nothing to pay."""
    invoice = find_invoice(call)
    if invoice["status"] != "draft":
        raise StripeError(
            "This invoice is finalized already; only a draft can be finalized",
            code="invoice_not_editable",
            executed=True,
        )
    if "auto_advance" in call.body:
        invoice["auto_advance"] = call.body["auto_advance"]
    return _finalize(call, invoice)


def pay_invoice(call: Call) -> Reply:
    """``POST /v1/invoices/{invoice}/pay``: a draft is finalised first, which is an effect of its own."""
    invoice = find_invoice(call)
    if invoice["status"] == "draft":
        reply = _finalize(call, invoice)
        if invoice["status"] == "paid":
            return reply
    _need_status(invoice, ("open", "uncollectible"), "paid")
    invoice["paid_out_of_band"] = call.body.get("paid_out_of_band", False)
    invoice["attempt_count"] += 0 if invoice["paid_out_of_band"] else 1
    _settle(invoice, int(call.state.now()))
    return _answer(call, invoice, "paid")


def void_invoice(call: Call) -> Reply:
    """``POST /v1/invoices/{invoice}/void``: open or uncollectible ones."""
    invoice = find_invoice(call)
    _need_status(invoice, ("open", "uncollectible"), "voided")
    return _close(call, invoice, "void", "voided_at", "voided")


def mark_uncollectible(call: Call) -> Reply:
    """``POST /v1/invoices/{invoice}/mark_uncollectible``: open ones."""
    invoice = find_invoice(call)
    _need_status(invoice, ("open",), "marked uncollectible")
    return _close(call, invoice, "uncollectible", "marked_uncollectible_at", "marked_uncollectible")


def _close(call: Call, invoice: dict[str, Any], status: str, moment: str, kind: str) -> Reply:
    invoice["status"] = status
    invoice["auto_advance"] = False
    invoice["status_transitions"] = {**invoice["status_transitions"], moment: int(call.state.now())}
    return _answer(call, invoice, kind)


def send_invoice(call: Call) -> Reply:
    """``POST /v1/invoices/{invoice}/send``: an effect, although nothing is mailed here."""
    invoice = find_invoice(call)
    if invoice["collection_method"] != "send_invoice":
        raise StripeError("The invoice is charged automatically, so it is not sent", executed=True)
    _need_status(invoice, ("draft", "open", "paid"), "sent")
    if invoice["status"] == "draft":
        _finalize(call, invoice)
    return _answer(call, invoice, "sent")


def _need_status(invoice: dict[str, Any], allowed: tuple[str, ...], verb: str) -> None:
    if invoice["status"] not in allowed:
        raise StripeError(f"An invoice that is {invoice['status']} cannot be {verb}", executed=True)


def list_invoices(call: Call) -> Reply:
    """``GET /v1/invoices``: by customer, status, collection method and times."""
    given = call.body
    return list_page(
        call,
        call.state.stripe.invoices,
        "invoice",
        where={name: given[name] for name in ("customer", "status") if name in given},
        keep=lambda invoice: (
            in_range(invoice["created"], given.get("created"))
            and in_range(invoice["due_date"], given.get("due_date"))
            and given.get("collection_method") in (None, invoice["collection_method"])
            and "subscription" not in given
        ),
        show=lambda invoice: show(call.state, invoice),
    )
