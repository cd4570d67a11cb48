"""The benchmark: every forecaster on the same rows, from the data to one report.

Names are imported when first used.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.benchmark._run import BenchmarkResult, benchmark, plan
    from llm4top.benchmark._settings import BenchmarkSettings, make_settings

_HOMES = {
    "BenchmarkResult": "_run",
    "BenchmarkSettings": "_settings",
    "benchmark": "_run",
    "make_settings": "_settings",
    "plan": "_run",
}
"""The file that each name comes from."""

__all__ = [
    "BenchmarkResult",
    "BenchmarkSettings",
    "benchmark",
    "make_settings",
    "plan",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
