"""What an invoice looks like: as it begins, as it is shown, and its lines."""

from __future__ import annotations

from typing import Any

from sandbox.call import Call
from sandbox.reply import Reply
from sandbox.state import State
from sandbox.stripe_lists import DEFAULT_LIMIT, envelope
from sandbox.stripe_wire import missing, object_id

_ZERO = (
    "amount_shipping",
    "attempt_count",
    "post_payment_credit_notes_amount",
    "pre_payment_credit_notes_amount",
    "starting_balance",
)
_NULL = (
    "account_tax_ids",
    "application_fee_amount",
    "custom_fields",
    "default_payment_method",
    "default_source",
    "description",
    "due_date",
    "effective_at",
    "footer",
    "number",
    "on_behalf_of",
    "rendering",
    "shipping_details",
    "statement_descriptor",
    "subscription",
    "tax",
    "transfer_data",
)


def new_invoice(
    state: State, customer: dict[str, Any], currency: str, invoice_id: str | None
) -> dict[str, Any]:
    """Return a draft without lines. ``total`` is only set when it is finalised, and then stays."""
    now = int(state.now())
    return {
        "id": invoice_id or object_id("in"),
        "object": "invoice",
        **dict.fromkeys(_ZERO, 0),
        **dict.fromkeys(_NULL, None),
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": {"enabled": False, "status": None},
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "default_tax_rates": [],
        "discounts": [],
        "livemode": False,
        "metadata": {},
        "paid_out_of_band": False,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": now,
        "period_start": now,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "total": None,
        "total_tax_amounts": [],
    }


def show(state: State, invoice: dict[str, Any]) -> dict[str, Any]:
    """Return an invoice as Stripe shows it: with totals, and with its first lines."""
    items = list(state.stripe.lines[invoice["id"]])
    total = invoice["total"]
    if total is None:
        total = sum(_amount(state, item_id) for item_id in items)
    due = max(total, 0)
    paid = invoice["status"] == "paid"
    lines = [_line(state, invoice, item_id) for item_id in items[:DEFAULT_LIMIT]]
    return {
        **invoice,
        "amount_due": due,
        "amount_paid": due if paid else 0,
        "amount_remaining": 0 if paid else due,
        "lines": {
            **envelope(f"/v1/invoices/{invoice['id']}/lines", lines, len(items) > DEFAULT_LIMIT),
            "total_count": len(items),
        },
        "paid": paid,
        "subtotal": total,
        "total": total,
    }


def _amount(state: State, item_id: str) -> int:
    item = state.stripe.items.get(item_id)
    return 0 if item is None else int(item["amount"])


def _line(state: State, invoice: dict[str, Any], item_id: str) -> dict[str, Any]:
    item = state.stripe.items.get(item_id) or {}
    same = ("amount", "currency", "description", "discountable", "discounts", "livemode", "metadata")
    also = ("period", "price", "proration", "quantity", "subscription", "tax_rates")
    return {
        # One item is one line for ever, so the line is named after it.
        "id": f"il_{item_id.removeprefix('ii_')}",
        "object": "line_item",
        **{name: item[name] for name in (*same, *also)},
        "discount_amounts": [],
        "invoice": invoice["id"],
        "invoice_item": item_id,
        "proration_details": {"credited_items": None},
        "tax_amounts": [],
        "type": "invoiceitem",
    }


def find_invoice(call: Call) -> dict[str, Any]:
    """Return the invoice of the path.

    :raises StripeError: 404.
    """
    invoice = call.state.stripe.invoices.get(call.path["invoice"])
    if invoice is None:
        raise missing("invoice", call.path["invoice"], "invoice", in_path=True)
    return invoice


def list_lines(call: Call) -> Reply:
    """``GET /v1/invoices/{invoice}/lines``: in the order of the invoice; at most 250, so cut here."""
    invoice = find_invoice(call)
    lines = [_line(call.state, invoice, item_id) for item_id in call.state.stripe.lines[invoice["id"]]]
    limit = call.body.get("limit", DEFAULT_LIMIT)
    positions = {line["id"]: position for position, line in enumerate(lines)}
    for name in ("starting_after", "ending_before"):
        if name in call.body and call.body[name] not in positions:
            raise missing("line_item", call.body[name], name)
    url = call.record.target.partition("?")[0]
    if "ending_before" in call.body:
        end = positions[call.body["ending_before"]]
        start = max(0, end - limit)
        return Reply.json(envelope(url, lines[start:end], start > 0))
    start = positions[call.body["starting_after"]] + 1 if "starting_after" in call.body else 0
    return Reply.json(envelope(url, lines[start : start + limit], start + limit < len(lines)))
