"""Settings that all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Deadlines measure the machine, which is shared, and not the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# In CI the same examples every time; by hand, HYPOTHESIS_PROFILE=thorough looks for a quarter of an hour.
settings.register_profile("ci", settings.get_profile("shared"), derandomize=True)
settings.register_profile("thorough", settings.get_profile("shared"), max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "shared"))
