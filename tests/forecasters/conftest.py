"""What the forecaster tests share: tiny models, invented trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4top.registry.trial import Intervention, Trial

PHASES = ("Phase 1", "Phase 2", "Phase 3")
CONDITIONS = ("asthma", "breast cancer", "hypertension", "depression", "malaria")


def invented_trials(count: int) -> list[Trial]:
    """Trials of very different lengths, all invented; every third one is easy to tell apart."""
    trials = []
    for i in range(count):
        trials.append(
            Trial(
                phase=PHASES[i % 3],
                study_type="Interventional",
                brief_title=f"Study {i} of an invented compound",
                conditions=(CONDITIONS[i % 5],),
                interventions=(Intervention(name=f"compound {i % 7}", type="Drug"),),
                icd_codes=("J45.9",) if i % 5 == 0 else (),
                criteria="Adults who have given written informed consent. " * ((i * 7) % 11),
            )
        )
    return trials


@pytest.fixture(scope="session")
def tiny_model_folder(tiny_model: Path) -> Path:
    return tiny_model


@pytest.fixture(scope="session")
def trials() -> list[Trial]:
    return invented_trials(12)
