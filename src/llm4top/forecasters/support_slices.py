"""How well supported forecasts hold on trials that lack fields, one kind of copy at a time."""

from collections.abc import Sequence

import numpy as np

from llm4top.forecasters.base_rates import base_rate_of
from llm4top.forecasters.bundles.figures import CardTable
from llm4top.forecasters.calibration.calibrated import FloatArray, IntArray
from llm4top.forecasters.support import Spread, Support
from llm4top.forecasters.support_fit import LARGE_GROUP, Groups, Judged, fit_spread
from llm4top.text import percent

COLUMNS = ("what the record has", "n", "Brier", "of the base rate", "groups", "covered", "width")


def coverage_table(support: Support, later: Sequence[Judged]) -> CardTable:
    """What the support gives on later trials, by what the copies lack, as a table of the card.

    The spread of a cut's intervals is learnt from the other cuts alone, so that no interval is
    judged by the outcomes that it was fitted to. The costs are the support's own: they were learnt
    out of fold from all learning rows, later ones among them.

    Args:
        support: The support that was learnt (``learn_support``).
        later: What it was given as ``later``: copies of the trials of two cuts or more.

    Raises:
        ValueError: There are fewer than two cuts.
    """
    if len(later) < 2:
        raise ValueError(f"{len(later)} cut(s); leaving one out needs two or more.")
    bare = support.model_copy(update={"spread": Spread(known=0, unknown=0, no_phase=0)})
    spreads = [fit_spread(bare, [o for o in later if o is not one]) for one in later]
    names = dict.fromkeys(name for one in later for name in one.patterns)
    return CardTable(
        title="Records that lack fields",
        text=(
            "Later trials with fields emptied, forecast by what earlier ones taught. The base rate "
            f"is that of the phase, where it is given. Groups are of {LARGE_GROUP} trials or more, "
            "of one phase and of like forecasts; covered are those whose share of the answer that "
            "the interval is about lies in the mean 95 % interval, chance in that share allowed "
            "for. The width is that of the "
            "mean interval, in points. Each step's intervals were learnt from the other steps."
        ),
        columns=COLUMNS,
        rows=tuple(_row(name, bare, later, spreads) for name in names),
    )


def _row(
    name: str, bare: Support, later: Sequence[Judged], spreads: Sequence[Spread]
) -> tuple[str, ...]:
    errors, of_base, widths, covered = [], [], [], []
    for cut, spread in zip(later, spreads, strict=True):
        one = cut.of_pattern(name)
        drawn = bare.model_copy(update={"spread": spread}).apply(
            one.calibrated, one.trials, one.base_rates
        )
        rates = [base_rate_of(one.base_rates, trial.phase) for trial in one.trials]
        none = (np.nan,) * drawn.calibrated.probabilities.shape[1]
        base = np.array([none if rate is None else rate[1] for rate in rates])
        errors.append(_brier(drawn.calibrated.probabilities, one.labels))
        of_base.append(_brier(base, one.labels))
        widths.append(drawn.calibrated.upper - drawn.calibrated.lower)
        groups = Groups.of(bare, [one], by_period=False, least=LARGE_GROUP)
        variances = np.array([spread.known, spread.unknown, spread.no_phase])
        covered.append(groups.held(variances, spread.scale))
    held = np.concatenate(covered)
    return (
        name,
        str(sum(map(len, errors))),
        f"{np.concatenate(errors).mean():.3f}",
        f"{np.concatenate(of_base).mean():.3f}",
        str(len(held)),
        percent(float(held.mean())) if len(held) else "too few",
        f"{100 * np.concatenate(widths).mean():.0f}",
    )


def _brier(p: FloatArray, y: IntArray) -> FloatArray:
    """Squared errors ``[n]`` of the event of two answers, else summed over the answers."""
    errors = np.asarray((p - np.eye(p.shape[1])[y]) ** 2, dtype=np.float64)
    return errors[:, 1] if p.shape[1] == 2 else errors.sum(axis=1)
