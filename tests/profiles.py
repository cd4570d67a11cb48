"""How many examples property tests try: few in each run, many where ``deep`` is asked for.

``LLM4TOP_TEST_PROFILE=deep make test`` tries twenty times as many as the default, ``ci``.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings

SHARES = {"ci": 0.5, "deep": 10.0}
"""By profile, what a test's number of examples is multiplied by."""

NAME = os.environ.get("LLM4TOP_TEST_PROFILE", "ci")


def examples(count: int, **more: Any) -> settings:
    """Settings of a test that tries about ``count`` examples, however long each takes."""
    return settings(max_examples=max(round(count * SHARES[NAME]), 1), deadline=None, **more)


def load_profile() -> None:
    """Use the profile that the environment names in tests without settings."""
    slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    for name, share in SHARES.items():
        count = round(100 * share)
        settings.register_profile(
            name, max_examples=count, deadline=None, suppress_health_check=slow
        )
    settings.load_profile(NAME)
