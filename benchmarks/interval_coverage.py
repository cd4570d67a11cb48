"""How often a calibration's interval holds the true chance, where the truth is known.

Run: python benchmarks/interval_coverage.py [--repeats 200]

Scores and labels are drawn from a known curve; a calibration is fitted on n of them and asked
about 500 others. "smooth" is a logistic curve, as Platt assumes; "bent" jumps, as no logistic
curve does; in "phases" the smooth curve is .5 lower in phase II and .5 higher in phase III, and
the calibration is told the phases. Printed: share of true chances inside the interval, mean width
of the interval, mean distance of the probability from the truth; for Venn-Abers also the share
inside its own pair.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import expit

from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.calibration.venn_abers import VennAbersCalibrator

PHASES = {"Phase 1": 0.0, "Phase 2": -0.5, "Phase 3": 0.5}
TRUTHS = {
    "smooth": lambda s: expit(0.8 * s + 0.2),
    "phases": lambda s: expit(0.8 * s + 0.2),
    "bent": lambda s: np.clip(0.35 + 0.3 * (s > 0.3) + 0.05 * s, 0.02, 0.98),
}
SIZES = (50, 117, 446, 900)


def trial(rng, name, n, method):
    scores = 1.2 * rng.normal(size=n + 500)
    chances, phases = TRUTHS[name](scores), [None] * (n + 500)
    if name == "phases":
        phases = rng.choice(list(PHASES), n + 500).tolist()
        chances = expit(0.8 * scores + 0.2 + np.array([PHASES[phase] for phase in phases]))
    labels = (rng.random(n + 500) < chances).astype(int)
    logits = np.stack([np.zeros(n + 500), scores], axis=1)
    calibrator = make_calibrator(method).fit(logits[:n], labels[:n], phases[:n])
    result, expected = calibrator.predict(logits[n:], phases[n:]), chances[n:]
    inside = (result.lower <= expected) & (expected <= result.upper)
    off = np.abs(result.probabilities[:, 1] - expected)
    pair = np.nan
    if isinstance(calibrator, VennAbersCalibrator):
        p0, p1 = (side[:, 0] for side in calibrator.multiprobability(logits[n:], phases[n:]))
        pair = ((p0 <= expected) & (expected <= p1)).mean()
    return inside.mean(), (result.upper - result.lower).mean(), off.mean(), pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    print("truth   n    method      inside  width  off    inside [p0, p1]")
    for name in TRUTHS:
        for n in SIZES:
            for method in ("venn-abers", "platt"):
                rng = np.random.default_rng(0)
                rows = [trial(rng, name, n, method) for _ in range(repeats)]
                inside, width, off, pair = np.mean(rows, axis=0)
                last = "" if np.isnan(pair) else f"{pair:.3f}"
                print(f"{name:7} {n:4} {method:11} {inside:.3f}   {width:.3f}  {off:.3f}  {last}")


if __name__ == "__main__":
    main()
