"""Titles say what a figure shows: checked against the scores that it was drawn from."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from llm4top.evaluation.metrics.curves import curve_set
from llm4top.evaluation.reports.drawing import (
    NONE_DRAWN,
    Series,
    decision_title,
    precision_recall_title,
    reliability_title,
    roc_title,
    spread_title,
)
from tests.evaluation.kit import binary_scores, invented

SURE, Y = invented(400, skill=2.0)
# Of the same trials: the weaker knows less, the oracle nearly everything.
WEAK = np.clip(0.5 + 0.2 * (SURE - 0.5) + np.random.default_rng(1).normal(0, 0.2, 400), 0.01, 0.99)
ORACLE = np.where(Y == 1, 0.98, 0.02)


def drawn(**events):
    kinds = ["cheating" if name == "oracle" else "baseline" for name in events]
    scores = [binary_scores(event, Y, forecaster=name) for name, event in events.items()]
    curves = curve_set(scores, kinds, phase="II", check="valid")
    series = [Series(own.forecaster, own.kind, "series-1") for own in curves.curves]
    return curves, list(zip(series, curves.curves, strict=True))


def share(text):
    return int(re.search(r"(\d+)\u00a0%", text)[1]) / 100


def test_the_best_ranking_is_told_by_its_sensitivity():
    curves, found = drawn(weak=WEAK, oracle=ORACLE, sure=SURE)
    x, y, _ = roc_curve(Y, SURE)
    title = roc_title(curves, found)
    assert title.startswith("sure finds ")
    assert share(title) == pytest.approx(np.interp(0.2, x, y), abs=0.006)
    assert title.endswith("of events at a 20\u00a0% false-positive rate")


def test_precision_stands_beside_the_share_of_events():
    curves, found = drawn(weak=WEAK, oracle=ORACLE, sure=SURE)
    precision, recall, _ = precision_recall_curve(Y, SURE)
    title = precision_recall_title(curves, found)
    assert title.startswith("At a recall of 50\u00a0%, the precision of sure is ")
    assert share(title.partition(",")[2]) == pytest.approx(precision[recall >= 0.5][-1], abs=0.006)
    assert title.endswith(f"{Y.mean():.0%} of all trials have the event".replace("%", "\u00a0%"))


def test_the_useful_thresholds_are_a_stretch():
    curves, found = drawn(sure=SURE, oracle=ORACLE)
    title = decision_title(curves, found)
    words = r"sure is better than acting on all trials or on none from (\d+)\u00a0% to (\d+)\u00a0%"
    first, last = (int(n) / 100 for n in re.fullmatch(words, title).groups())
    assert first < Y.mean() < last
    benefit = dict(found[0][1].decision)
    assert benefit[0.5] == pytest.approx(
        (np.sum((SURE >= 0.5) & (Y == 1)) - np.sum((SURE >= 0.5) & (Y == 0))) / len(Y), abs=1e-6
    )
    nobody, unused = drawn(oracle=ORACLE)
    assert decision_title(nobody, unused) == "None is better than acting on all trials or on none"
    everywhere, same = drawn(constant=np.full(400, 0.0))
    assert decision_title(everywhere, same).startswith("None is better")


def test_bins_that_agree_are_counted():
    rng = np.random.default_rng(2)
    chance = np.linspace(0.05, 0.95, 400)
    true = (rng.random(400) < chance).astype(int)
    scores = [
        binary_scores(chance, true, forecaster="honest"),
        binary_scores(np.clip(chance + 0.35, 0, 0.999), true, forecaster="boastful"),
    ]
    curves = curve_set(scores, ["baseline", "baseline"], phase="II", check="valid")
    both = [(Series(own.forecaster, own.kind, "series-1"), own) for own in curves.curves]
    told = re.fullmatch(
        r"honest agrees with the observed frequency in (\d+) of 10 bins, boastful in (\d+) of \d+",
        reliability_title(both),
    )
    agreeing, boastful = map(int, told.groups())
    assert agreeing >= 8 > 4 > boastful
    assert "," not in reliability_title(both[:1])


def test_the_spread_is_told_by_its_means():
    _, found = drawn(weak=WEAK, oracle=ORACLE, sure=SURE)
    title = spread_title(found)
    assert title.startswith("sure separates best: mean forecast about ")
    numbers = [int(n) / 100 for n in re.findall(r"(\d+)\u00a0%", title)]
    assert numbers == pytest.approx([SURE[Y == 1].mean(), SURE[Y == 0].mean()], abs=0.03)


def test_without_an_honest_one_there_is_nothing_to_read():
    curves, found = drawn(oracle=ORACLE)
    titles = {roc_title(curves, found), precision_recall_title(curves, found), spread_title(found)}
    assert titles == {reliability_title(found)} == {NONE_DRAWN}


def test_no_forecaster_is_praised_that_a_trivial_one_equals():
    scores = [
        binary_scores(WEAK, Y, forecaster="weak"),
        binary_scores(SURE, Y, forecaster="Base rate by phase"),
    ]
    curves = curve_set(scores, ["baseline", "trivial"], phase="II", check="valid")
    only_weak = [(Series("weak", "baseline", "series-1"), curves.curves[0])]
    assert roc_title(curves, only_weak) == (
        "No forecaster drawn here ranks trials better than Base rate by phase"
    )
    assert precision_recall_title(curves, only_weak) == (
        "No forecaster drawn here has a higher average precision than Base rate by phase"
    )
