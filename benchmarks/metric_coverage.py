"""How often the interval of every metric holds the truth, where the truth is known.

Run: python benchmarks/metric_coverage.py [--repeats 300] [--draws 500]

Trials are drawn from a population with known chances; "good" says them, "bad" says more extreme and
higher ones, "blunt" gives every trial nearly the same. The truth of a metric is its value on two
million trials. Printed: of each metric the share of nominal 95 % intervals that hold the truth.
A share of .95 is measured to within .02 or so by 300 repeats.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from scipy.special import expit

from llm4top.evaluation.metrics.metrics import METRICS, measure_probabilities

POPULATION = 2_000_000
SIZES = (100, 300, 1000, 2000)
FORECASTERS = {
    "good": lambda z: expit(z),
    "bad": lambda z: expit(2 * z + 0.6),
    "blunt": lambda z: expit(0.1 * z),
}
BASE = 0.45
"""What the base rate's forecaster says; the event comes in about .54 of trials."""


def drawn(rng, n, forecaster):
    z = 0.2 + rng.normal(size=n)
    p = FORECASTERS[forecaster](z)
    y = (rng.random(n) < expit(z)).astype(np.int64)
    return np.column_stack([1 - p, p]), y, np.tile([1 - BASE, BASE], (n, 1))


def truth(forecaster):
    p, y, base = drawn(np.random.default_rng(1), POPULATION, forecaster)
    figures, _ = measure_probabilities(p, y, reference=base, draws=1)
    return {name: figure.value for name, figure in figures.items()}


def coverage(forecaster, n, repeats, draws, expected):
    held = dict.fromkeys(expected, 0)
    for repeat in range(repeats):
        rng = np.random.default_rng([2, n, repeat])
        p, y, base = drawn(rng, n, forecaster)
        figures, _ = measure_probabilities(p, y, reference=base, draws=draws, seed=repeat)
        for name, one in figures.items():
            if one.lower is not None and one.upper is not None:
                held[name] += one.lower <= expected[name] <= one.upper
    return {name: count / repeats for name, count in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--draws", type=int, default=500)
    asked = parser.parse_args()
    warnings.simplefilter("error")
    for forecaster in FORECASTERS:
        expected = truth(forecaster)
        columns = [coverage(forecaster, n, asked.repeats, asked.draws, expected) for n in SIZES]
        print(f"\n{forecaster:24} truth  " + "  ".join(f"n={n:<5}" for n in SIZES), flush=True)
        # Without a chosen threshold, decisions are those at .5 already.
        for name in (m for m in METRICS if m in expected and not m.endswith("_at_half")):
            shares = "  ".join(f"{column[name]:7.3f}" for column in columns)
            print(f"{name:24} {expected[name]:5.3f} {shares}")


if __name__ == "__main__":
    main()
