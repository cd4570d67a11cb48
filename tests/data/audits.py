"""Invented data sets for the tests of the audit: honest ones, and what makes them leak."""

from dataclasses import replace

import numpy as np

from llm4top.data.dataset import make_dataset
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Trial

WORDS = (
    "adult asthma baseline blood cardiac chronic clinic control daily diabetes dose early function "
    "heart history hospital infection informed kidney liver measured mild oral outcome patient "
    "pregnant previous primary renal screening serum severe stable symptom therapy treated tumour "
    "vaccine weeks year"
)
TEXTS = ("brief_title", "official_title", "criteria", "brief_summary", "detailed_description")
LISTS = ("conditions", "condition_mesh", "icd_codes", "keywords", "intervention_mesh", "smiles")
CODES = ("phase", "allocation", "intervention_model", "masking", "primary_purpose", "sponsor_class")
PARTS = {
    "interventions": lambda text: Intervention("compound", description=text),
    "arms": lambda text: Arm("arm", description=text),
    "primary_outcomes": lambda text: Outcome(text),
    "secondary_outcomes": lambda text: Outcome("measure", description=text),
    "collaborators": Collaborator,
}
TEXT_FIELDS = (*TEXTS, *LISTS, *CODES, *PARTS)


def prose(rng, words):
    return " ".join(rng.choice(WORDS.split(), words))


def honest(count=240, seed=0, signal=0.3):
    """Trials whose text says a little of their outcome, as an honest text does."""
    rng = np.random.default_rng(seed)
    succeeds = rng.random(count) < 0.55
    trials = [
        Trial(
            phase=f"Phase {rng.integers(1, 4)}",
            brief_title=prose(rng, 6),
            conditions=("vaccination" if rng.random() < signal * s else "oncology", prose(rng, 1)),
            criteria=prose(rng, 40) + (" healthy" if rng.random() < 0.3 + signal * s else ""),
        )
        for s in succeeds
    ]
    return made_of(trials, succeeds)


def made_of(trials, succeeds, **changes):
    """A data set of them, split by time, with the label side that registries have."""
    count = len(trials)
    learnt = count * 3 // 4
    values = {
        "labels": ["success" if s else "failure" for s in succeeds],
        "nct_ids": [f"NCT{n:08d}" for n in range(count)],
        "splits": ["train"] * learnt + ["valid"] * (count - learnt),
        "task": "outcome",
        "start_dates": [f"{2000 + n * 12 // count}-{1 + n % 12:02d}" for n in range(count)],
        "statuses": ["Completed" if s else "Terminated" for s in succeeds],
        "why_stopped": [None if s else "too few volunteers came forward" for s in succeeds],
    }
    values["start_dates"].sort()
    return make_dataset(trials, **{**values, **changes})


def planted(dataset, field, texts):
    """The same data set with a text added to one field of each trial that has one (else None)."""
    trials = [
        trial if text is None else with_text(trial, field, text)
        for trial, text in zip(dataset.trials, texts, strict=True)
    ]
    return replace(dataset, trials=tuple(trials))


def with_text(trial, field, text):
    old = getattr(trial, field)
    if field in PARTS:
        return replace(trial, **{field: (*old, PARTS[field](text))})
    if field in LISTS:
        return replace(trial, **{field: (*old, text)})
    return replace(trial, **{field: f"{old}\n{text}" if old else text})


def found(report, check):
    """Verdict and field of each finding of one check."""
    return [(line.verdict, line.field) for line in report.lines if line.check == check]
