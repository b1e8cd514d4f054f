"""The parameters that Stripe's operations take, with their types.

Parts that change nothing here (payment settings, shipping, tax…) are checked for being a hash or a list
and no deeper. References to objects that this sandbox does not have (coupons, payment methods, tax rates…)
are taken on trust, except ``price`` and ``subscription``, which would decide amounts.
"""

from __future__ import annotations

from sandbox.stripe_forms import (
    Boolean,
    Currency,
    DecimalText,
    Field,
    Hash,
    Integer,
    ListOf,
    Metadata,
    Object,
    Text,
)

_TEXT = Text()
_TEXTS = ListOf(_TEXT)
_UNSET_TEXTS = ListOf(_TEXT, unset=True)
_EXPAND: dict[str, Field] = {"expand": _TEXTS}
_PERIOD = Object({"start": Integer(), "end": Integer()}, required=("start", "end"))
_METHODS = ("charge_automatically", "send_invoice")
_TAX_BEHAVIOR = Text(choices=("exclusive", "inclusive", "unspecified"))
_DISCOUNTS = ListOf(Object({"coupon": _TEXT, "discount": _TEXT}), unset=True)
_CUSTOM_FIELDS = ListOf(Object({"name": Text(30), "value": Text(30)}, required=("name", "value")), unset=True)
_ADDRESS = Object(
    dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), _TEXT), unset=True
)

_CUSTOMER: dict[str, Field] = {
    **_EXPAND,
    "address": _ADDRESS,
    "balance": Integer(),
    "cash_balance": Hash(),
    "coupon": _TEXT,
    "description": _TEXT,
    "email": Text(512),
    "invoice_prefix": Text(12),
    "invoice_settings": Hash(),
    "metadata": Metadata(),
    "name": Text(256),
    "next_invoice_sequence": Integer(smallest=1),
    "phone": Text(20),
    "preferred_locales": _TEXTS,
    "promotion_code": _TEXT,
    "shipping": Hash(unset=True),
    "source": _TEXT,
    "tax": Hash(),
    "tax_exempt": Text(choices=("exempt", "none", "reverse"), unset=True),
}
CREATE_CUSTOMER = Object(
    {**_CUSTOMER, "payment_method": _TEXT, "tax_id_data": ListOf(Hash()), "test_clock": _TEXT}
)
UPDATE_CUSTOMER = Object(
    {
        **_CUSTOMER,
        "default_alipay_account": Text(500),
        "default_bank_account": Text(500),
        "default_card": Text(500),
        "default_source": Text(500),
    }
)

_ITEM: dict[str, Field] = {
    **_EXPAND,
    "amount": Integer(),
    "description": _TEXT,
    "discountable": Boolean(),
    "discounts": _DISCOUNTS,
    "metadata": Metadata(),
    "period": _PERIOD,
    "price": _TEXT,
    "price_data": Object(
        {
            "currency": Currency(),
            "product": _TEXT,
            "tax_behavior": _TAX_BEHAVIOR,
            "unit_amount": Integer(),
            "unit_amount_decimal": DecimalText(),
        },
        required=("currency", "product"),
    ),
    "quantity": Integer(smallest=0),
    "tax_behavior": _TAX_BEHAVIOR,
    "tax_code": Text(unset=True),
    "tax_rates": _UNSET_TEXTS,
    "unit_amount": Integer(),
    "unit_amount_decimal": DecimalText(),
}
CREATE_ITEM = Object(
    {**_ITEM, "currency": Currency(), "customer": _TEXT, "invoice": _TEXT, "subscription": _TEXT},
    required=("customer",),
)
UPDATE_ITEM = Object(_ITEM)

_INVOICE: dict[str, Field] = {
    **_EXPAND,
    "account_tax_ids": _UNSET_TEXTS,
    "application_fee_amount": Integer(smallest=0),
    "auto_advance": Boolean(),
    "automatic_tax": Object({"enabled": Boolean()}, required=("enabled",)),
    "collection_method": Text(choices=_METHODS),
    "custom_fields": _CUSTOM_FIELDS,
    "days_until_due": Integer(smallest=0),
    "default_payment_method": _TEXT,
    "default_source": Text(unset=True),
    "default_tax_rates": _UNSET_TEXTS,
    "description": Text(1500),
    "discounts": _DISCOUNTS,
    "due_date": Integer(),
    "effective_at": Integer(unset=True),
    "footer": _TEXT,
    "metadata": Metadata(),
    "on_behalf_of": Text(unset=True),
    "payment_settings": Hash(),
    "rendering": Hash(),
    "shipping_cost": Hash(unset=True),
    "shipping_details": Hash(unset=True),
    "statement_descriptor": Text(22),
    "transfer_data": Hash(unset=True),
}
CREATE_INVOICE = Object(
    {
        **_INVOICE,
        "currency": Currency(),
        "customer": _TEXT,
        "from_invoice": Object({"action": _TEXT, "invoice": _TEXT}, required=("action", "invoice")),
        "pending_invoice_items_behavior": Text(choices=("exclude", "include", "include_and_require")),
        "subscription": _TEXT,
    },
    required=("customer",),
)
UPDATE_INVOICE = Object(_INVOICE)
FINALIZE = Object({**_EXPAND, "auto_advance": Boolean()})
PAY = Object(
    {
        **_EXPAND,
        "forgive": Boolean(),
        "mandate": Text(unset=True),
        "off_session": Boolean(),
        "paid_out_of_band": Boolean(),
        "payment_method": _TEXT,
        "source": _TEXT,
    }
)
ONLY_EXPAND = Object(_EXPAND)
NOTHING = Object({})


class _When:
    # Either an exact second or a range; ranges are hashes, so the two are told apart by their form.
    _RANGE = Object(dict.fromkeys(("gt", "gte", "lt", "lte"), Integer()))

    def read(self, value: object, name: str) -> dict[str, int]:
        if isinstance(value, str):
            second = Integer().read(value, name)
            return {"gte": second or 0, "lte": second or 0}
        return self._RANGE.read(value, name) or {}


_LIST: dict[str, Field] = {
    **_EXPAND,
    "ending_before": _TEXT,
    "limit": Integer(smallest=1, largest=100),
    "starting_after": _TEXT,
}
LIST_LINES = Object(_LIST)
LIST_CUSTOMERS = Object({**_LIST, "created": _When(), "email": Text(512), "test_clock": _TEXT})
LIST_ITEMS = Object({**_LIST, "created": _When(), "customer": _TEXT, "invoice": _TEXT, "pending": Boolean()})
LIST_INVOICES = Object(
    {
        **_LIST,
        "collection_method": Text(choices=_METHODS),
        "created": _When(),
        "customer": _TEXT,
        "due_date": _When(),
        "status": Text(choices=("draft", "open", "paid", "uncollectible", "void")),
        "subscription": _TEXT,
    }
)
