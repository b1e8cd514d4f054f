"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Deadlines measure the machine, which is shared, and not the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
