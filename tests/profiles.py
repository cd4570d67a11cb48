"""How many examples property tests try: few and the same in each run, or many new ones.

The default, ``ci``, tries the same examples each time: a run does not fail by chance.
``LLM4TOP_TEST_PROFILE=deep make test`` tries twenty times as many, other ones each time.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings

SHARES = {"ci": 0.5, "deep": 10.0}
"""By profile, what a test's number of examples is multiplied by."""

NAME = os.environ.get("LLM4TOP_TEST_PROFILE", "ci")


def examples(count: int, **more: Any) -> settings:
    """Settings of a test that tries about ``count`` examples, however long each takes."""
    values = {"max_examples": max(round(count * SHARES[NAME]), 1), "deadline": None}
    return settings(**{**values, **_repeated(NAME), **more})


def _repeated(name: str) -> dict[str, Any]:
    return {"derandomize": True, "database": None} if name == "ci" else {}


def load_profile() -> None:
    """Use the profile that the environment names in tests without settings."""
    slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    for name, share in SHARES.items():
        count = round(100 * share)
        settings.register_profile(
            name,
            max_examples=count,
            deadline=None,
            suppress_health_check=slow,
            **_repeated(name),
        )
    settings.load_profile(NAME)
