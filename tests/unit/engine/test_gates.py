"""How fast a source may be asked."""

from __future__ import annotations

import pytest

from airflow_arazzo.engine.gates import Gate, pause_of
from airflow_arazzo.engine.messages import Response

NOW = 1_800_000_000.0


@pytest.mark.parametrize("rate", [0.5, 3, 10, 250])
def test_a_rate_is_kept_and_reached(rate: float) -> None:
    gate, now, left = Gate(rate), NOW, []
    for _ in range(1000):
        now = max(now, gate.opens())
        gate.take(now)
        left.append(now)
    assert len(left) / (left[-1] - NOW) == pytest.approx(rate, rel=0.02)
    for begin in range(0, 900, 7):
        within = sum(1 for at in left if left[begin] <= at < left[begin] + 1)
        assert within <= rate * 1.06 + 1


def test_nothing_is_saved_up_while_nobody_asks() -> None:
    gate = Gate(10)
    gate.take(NOW)
    gate.take(NOW + 100)
    assert gate.opens() > NOW + 100


def test_without_a_rate_it_is_open() -> None:
    gate = Gate()
    gate.take(NOW)
    assert gate.opens() <= NOW


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "7"}, 7),
        (503, {"retry-after": "7"}, 7),
        (429, {"Retry-After": "Fri, 15 Jan 2027 08:00:09 GMT"}, 9),
        (429, {"Retry-After": "soon"}, 0),
        (429, {}, 0),
        (500, {"Retry-After": "7"}, 0),  # about this one request
        (200, {"Retry-After": "7"}, 0),  # when to ask for a result
        (200, {"RateLimit-Remaining": "0", "RateLimit-Reset": "12"}, 12),
        (200, {"RateLimit-Remaining": "3", "RateLimit-Reset": "12"}, 0),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) + 5)}, 5),
        (200, {"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(int(NOW + 5) * 1000)}, 5),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "never"}, 0),
        (200, {"X-RateLimit-Remaining": "0"}, 0),
        (200, {"RateLimit-Remaining": "0, 5", "RateLimit-Reset": "2, 60"}, 2),
        (200, {"RateLimit": '"default";r=0;t=30'}, 30),
        (200, {"RateLimit": '"minute";r=5;t=30, "day"; r=0; t=90'}, 90),
        (200, {"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'}, 0),
        (429, {"Retry-After": "3", "RateLimit": '"x";r=0;t=8'}, 8),
    ],
)
def test_what_services_ask_for(status: int, headers: dict[str, str], seconds: float) -> None:
    assert pause_of(Response(status, tuple(headers.items()), b""), NOW) == pytest.approx(seconds)


def test_a_pause_holds_and_is_not_shortened_and_ends() -> None:
    gate = Gate(1000)
    gate.heed(Response(429, (("Retry-After", "20"),), b""), NOW)
    gate.heed(Response(429, (("Retry-After", "2"),), b""), NOW)
    assert gate.opens() == NOW + 20
    gate.heed(Response(429, (("Retry-After", "999999999"),), b""), NOW)
    assert gate.opens() == NOW + 86400
