"""What one sandbox is told at start, and what may be changed while it runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

PendingItems = Literal["include", "exclude"]
UnknownProducts = Literal["accept", "refuse"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "pending_items": ("include", "exclude"),
    "unknown_products": ("accept", "refuse"),
}
_SECONDS = {"stripe_key_lifetime": False, "clock_offset": True}  # name: may be negative


def _random_key(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Settings:
    """Settings of one sandbox.

    :param amberflo_key: the only accepted ``X-API-KEY``; random when not given.
    :param stripe_key: the only accepted Stripe key; random when not given.
    :param pending_items: whether a new Stripe invoice takes the customer's pending items by default.
    :param stripe_key_lifetime: seconds for which an ``Idempotency-Key`` is remembered.
    :param unknown_products: whether a plan can be assigned whose product was not seeded. No operation of
        the API makes products, so by default any is accepted.
    :param clock_offset: seconds added to the clock of both services, for tests of lifetimes.
    :param record_credentials: show credentials in the request log instead of ``***``; only set at start.
    :param request_log_size: number of requests remembered; only set at start.
    """

    amberflo_key: str = field(default_factory=lambda: _random_key("ak_sandbox_"))
    stripe_key: str = field(default_factory=lambda: _random_key("sk_sandbox_"))
    pending_items: PendingItems = "include"
    stripe_key_lifetime: float = 86_400.0
    unknown_products: UnknownProducts = "accept"
    clock_offset: float = 0.0
    record_credentials: bool = False
    request_log_size: int = 100_000

    def __post_init__(self) -> None:
        for name in ("amberflo_key", "stripe_key"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is empty")
        if self.request_log_size < 1:
            raise ValueError("request_log_size must be at least 1")
        self._check({f.name: getattr(self, f.name) for f in fields(self) if f.name in _CHANGEABLE})

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """Return a copy with some settings changed.

        :raises ValueError: a setting is unknown, fixed at start, or has a value it cannot have.
        """
        unknown = sorted(set(changes) - _CHANGEABLE)
        if unknown:
            raise ValueError(f"not a setting that can be changed: {', '.join(unknown)}")
        self._check(changes)
        typed: dict[str, Any] = {k: float(v) if k in _SECONDS else v for k, v in changes.items()}
        return replace(self, **typed)

    def public(self) -> dict[str, Any]:
        """Return all settings except the keys."""
        return {k: v for k, v in asdict(self).items() if not k.endswith("_key")}

    @staticmethod
    def _check(values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name in _CHOICES and value not in _CHOICES[name]:
                raise ValueError(f"{name} must be one of {', '.join(_CHOICES[name])}")
            if name in _SECONDS:
                if isinstance(value, bool) or not isinstance(value, int | float):
                    try:
                        value = float(value)
                    except (TypeError, ValueError):
                        raise ValueError(f"{name} must be a number of seconds") from None
                if value < 0 and not _SECONDS[name]:
                    raise ValueError(f"{name} must not be negative")


_CHANGEABLE = {*_CHOICES, *_SECONDS}
