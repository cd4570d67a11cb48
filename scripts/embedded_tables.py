"""Tables of the embedded model's card besides its metrics: thin records, and what edits do."""

import random
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.special import logit

from llm4top.evaluation.probes.reading import reading_probe
from llm4top.forecasters.base_rates import base_rate_of
from llm4top.forecasters.bundles.figures import CardTable
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.support import Support
from llm4top.forecasters.support_fit import Judged as Copies
from llm4top.forecasters.support_fit import group_cells, score_groups
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record, Trial

_QUANTILE = 1.959963984540054
_LEAST = 1e-3
_GROUP = 60
"""Least trials of a group whose rate is compared with its interval."""
_EDITED = 300
_LOOKED_AT = 1500


def thin_records(cuts: Sequence[Copies], learn: Callable[[Sequence[Copies]], Support]) -> CardTable:
    """Later trials and copies of them that lack fields: Brier score, width and coverage.

    Args:
        cuts: The copies of each cut, calibrated on earlier trials.
        learn: Learns the support from some of the cuts; the one that is judged is left out.
    """
    cells: dict[str, list[tuple[float, ...]]] = {}
    groups: dict[str, list[bool]] = {}
    for held, one in enumerate(cuts):
        support = learn([other for k, other in enumerate(cuts) if k != held])
        drawn = support.apply(one.calibrated, one.trials, one.base_rates).calibrated
        chance, patterns = drawn.probabilities[:, 1], np.array(one.patterns)
        rates = [base_rate_of(one.base_rates, trial.phase) for trial in one.trials]
        base = np.array([rate[1][1] if rate else np.nan for rate in rates])
        for i, name in enumerate(one.patterns):
            event = one.labels[i]
            row = (
                (chance[i] - event) ** 2,
                (base[i] - event) ** 2,
                drawn.upper[i] - drawn.lower[i],
            )
            cells.setdefault(name, []).append(row)
        for rows in score_groups(group_cells(one, by_period=False), chance, least=_GROUP):
            inside = _covers(chance[rows], drawn.lower[rows], drawn.upper[rows], one.labels[rows])
            groups.setdefault(str(patterns[rows[0]]), []).append(inside)
    rows = []
    for name, found in cells.items():
        brier, base_brier, width = np.mean(found, axis=0)
        held_in = groups.get(name, [])
        share = f"{np.mean(held_in):.0%} of {len(held_in)}" if held_in else "no group"
        rows.append(
            (name, str(len(found)), f"{brier:.3f}", f"{base_brier:.3f}", f"{width:.2f}", share)
        )
    return CardTable(
        title="Thin records",
        text="Later trials as they are ('full') and copies that lack fields. The width of the "
        "interval is learned on the other two cuts. Covered are groups of trials of one phase and "
        "similar chance whose observed share is in their mean interval, chance allowed for.",
        columns=("copy", "n", "Brier score", "of the base rate", "width", "groups covered"),
        rows=tuple(rows),
    )


def _covers(chance: np.ndarray, lower: np.ndarray, upper: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the observed share is in the mean interval, widened by its own error."""
    n = len(labels)
    rate = np.clip(labels.mean(), 0.5 / n, 1 - 0.5 / n)
    centre, low, high = (
        logit(np.clip(p, _LEAST, 1 - _LEAST)).mean() for p in (chance, lower, upper)
    )
    by_chance = _QUANTILE**2 / (n * rate * (1 - rate))
    half = centre - low if logit(rate) < centre else high - centre
    return bool(abs(logit(rate) - centre) <= np.sqrt(half**2 + by_chance))


def what_it_reads(forecaster: Forecaster, archive: Path) -> CardTable | None:
    """What edits of registry records that were not learned from do; None without the records."""
    if not archive.is_file():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(archive) as members:
            names = sorted(name for name in members.namelist() if name.endswith(".xml"))
            for name in random.Random(1).sample(names, min(_LOOKED_AT, len(names))):
                (Path(scratch) / Path(name).name).write_bytes(members.read(name))
        trials = [
            record.trial
            for record in read_records(Path(scratch))
            if isinstance(record, Record)
            and forecaster.trained_on_part(record.nct_id) is None
            and _usual(record.trial)
        ]
    return reading_probe(forecaster, trials[:_EDITED]).card_table()


def _usual(trial: Trial) -> bool:
    medicine = any(item.type in ("Drug", "Biological") for item in trial.interventions)
    return medicine and bool(trial.criteria) and trial.phase in ("Phase 1", "Phase 2", "Phase 3")
