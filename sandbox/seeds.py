"""Objects that are there before a test begins: made without a request, so not in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import stripe_parameters as p
from sandbox.amberflo_billing import make_customer as make_amberflo_customer
from sandbox.amberflo_metering import make_meter
from sandbox.amberflo_wire import AmberfloError
from sandbox.exact_json import dumps, loads
from sandbox.state import State
from sandbox.stripe_customers import make_customer
from sandbox.stripe_forms import Object, Tree
from sandbox.stripe_invoice_views import show
from sandbox.stripe_invoices import make_invoice
from sandbox.stripe_items import make_item
from sandbox.stripe_wire import StripeError

Maker = Callable[[State, dict[str, Any]], dict[str, Any]]


class SeedError(ValueError):
    """A seed that cannot be made.

    :param made: what was made before it, in the form that `plant` returns.
    """

    def __init__(self, message: str, made: dict[str, Any]) -> None:
        super().__init__(message)
        self.made = made


def plant(state: State, seeds: object) -> dict[str, Any]:
    """Make the objects of ``{"amberflo": {...}, "stripe": {...}}``, each kind with a list of objects.

    Amberflo has ``customers``, ``meters``, ``products``, ``invoices``; Stripe has ``customers``,
    ``invoiceitems``, ``invoices`` with the parameters of their creation and, if wanted, an ``id``.

    :return: ``{"setup": true, "amberflo": {...}, "stripe": {...}}`` with what was made.
    :raises SeedError: the form is wrong or an object cannot be made.
    """
    made: dict[str, Any] = {"setup": True}
    if not isinstance(seeds, dict) or set(seeds) - set(_MAKERS):
        raise SeedError("seeds are an object with amberflo and stripe", made)
    for service, makers in _MAKERS.items():
        wanted = seeds.get(service, {})
        if not isinstance(wanted, dict) or set(wanted) - set(makers):
            raise SeedError(f"{service} has {', '.join(makers)}", made)
        # In the order of the makers, so that items find the customers of the same seed.
        for kind, make in makers.items():
            for seed in wanted.get(kind, []):
                thing = _make(state, make, seed, f"{service} {kind}", made)
                made.setdefault(service, {}).setdefault(kind, []).append(thing)
                state.setup.append({"service": service, "kind": kind, "data": thing})
    return made


def _make(state: State, make: Maker, seed: object, name: str, made: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(seed, dict):
        raise SeedError(f"{name}: a seed is an object", made)
    try:
        # A copy of what was made: the object itself changes as the test goes on.
        copy: dict[str, Any] = loads(dumps(make(state, seed)))
    except (AmberfloError, StripeError, ValueError) as error:
        raise SeedError(f"{name}: {error}", made) from error
    return copy


def _amberflo_product(state: State, seed: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(seed.get("productId"), str):
        raise ValueError("a product has a productId")
    state.amberflo.products[seed["productId"]] = seed
    return seed


def _amberflo_invoice(state: State, seed: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(seed.get("customerId"), str) or not isinstance(seed.get("invoiceId"), str):
        raise ValueError("an invoice has a customerId and an invoiceId")
    state.amberflo.invoices.setdefault(seed["customerId"], []).append(seed)
    return seed


def _as_form(value: object) -> Any:
    """Return a JSON value as the tree that a form with the same content gives."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return {key: _as_form(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return {str(position): _as_form(entry) for position, entry in enumerate(value)}
    return "" if value is None else str(value)


def _given(seed: dict[str, Any], parameters: Object) -> tuple[dict[str, Any], str | None]:
    tree: Tree = _as_form({name: value for name, value in seed.items() if name != "id"})
    wanted = seed.get("id")
    if wanted is not None and not isinstance(wanted, str):
        raise ValueError("an id is a string")
    return parameters.read(tree) or {}, wanted


def _free(collection: Any, object_id: str | None) -> str | None:
    if object_id is not None and collection.get(object_id) is not None:
        raise ValueError(f"there is a {object_id} already")
    return object_id


def _stripe_customer(state: State, seed: dict[str, Any]) -> dict[str, Any]:
    given, wanted = _given(seed, p.CREATE_CUSTOMER)
    return make_customer(state, given, _free(state.stripe.customers, wanted))


def _stripe_item(state: State, seed: dict[str, Any]) -> dict[str, Any]:
    given, wanted = _given(seed, p.CREATE_ITEM)
    return make_item(state, given, _free(state.stripe.items, wanted))


def _stripe_invoice(state: State, seed: dict[str, Any]) -> dict[str, Any]:
    given, wanted = _given(seed, p.CREATE_INVOICE)
    return show(state, make_invoice(state, given, _free(state.stripe.invoices, wanted)))


_MAKERS: dict[str, dict[str, Maker]] = {
    "amberflo": {
        "customers": make_amberflo_customer,
        "meters": make_meter,
        "products": _amberflo_product,
        "invoices": _amberflo_invoice,
    },
    "stripe": {
        "customers": _stripe_customer,
        "invoices": _stripe_invoice,
        "invoiceitems": _stripe_item,
    },
}
