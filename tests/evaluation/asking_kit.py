"""A tiny model and invented rows to ask it about."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from zlib import crc32

import numpy as np

from llm4top.data.dataset import Dataset, make_dataset
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import BaseModel, load_base
from llm4top.progress import Progress
from llm4top.prompts.prompt import PromptSpec
from llm4top.registry.trial import Arm, Collaborator, Intervention, Trial
from llm4top.tasks.builtin import OUTCOME
from llm4top.testing import make_tiny_model

LABELS = OUTCOME.labels


@cache
def tiny_base() -> BaseModel:
    """A random two-layer model, made once."""
    return load_base(make_tiny_model(Path(mkdtemp()) / "tiny"), device="cpu")


class Quick(LanguageForecaster):
    """Logits by the prompt's text in place of the model's: as good where none is compared."""

    def logits_of(self, prompts, *, on_progress=None):
        seeds = [crc32(prompt.text.encode()) for prompt in prompts]
        logits = [np.random.default_rng(seed).normal(size=2) for seed in seeds]
        if on_progress is not None:
            on_progress(Progress("scoring", len(prompts), len(prompts)))
        return np.array(logits).reshape(len(prompts), 2)


def quick(tokens: int = 1000, sections: tuple[str, ...] | None = None) -> Quick:
    """A forecaster that takes no time; equal prompts have equal logits."""
    return Quick.from_model(tiny_base(), spec=PromptSpec(tokens, sections))


def forecaster(tokens: int = 1000, sections: tuple[str, ...] | None = None) -> LanguageForecaster:
    """The tiny model, asked untrained."""
    return LanguageForecaster.from_model(tiny_base(), spec=PromptSpec(tokens, sections))


def trial(i: int, *, titled: bool = True) -> Trial:
    """One of many invented trials; only every second one has an arm."""
    drug = f"compound{chr(97 + i % 20)}ib"
    return Trial(
        phase=f"Phase {1 + i % 3}",
        brief_title=f"A study of {drug} (BRAVE{chr(65 + i % 20)})" if titled else None,
        conditions=(("asthma", "malaria", "depression")[i % 3],),
        interventions=(Intervention(drug, "Drug"),),
        arms=(Arm("treated", "Experimental"),) if i % 2 else (),
        collaborators=(Collaborator(f"Acme{i % 4} Pharmaceuticals"),),
        criteria=f"No {drug} before. " * (1 + i % 3),
        planned_start="2031-05",
    )


def rows(
    n: int = 60, *, titled: bool = True, first_year: int = 2000, dates: bool = True
) -> Dataset:
    """Validation rows, two of five with the event; start years rise by one every five rows."""
    return make_dataset(
        [trial(i, titled=titled) for i in range(n)],
        [LABELS[i % 5 < 2] for i in range(n)],
        [f"NCT{i:08d}" for i in range(n)],
        ["valid"] * n,
        task=OUTCOME,
        start_dates=[f"{first_year + i // 5}-03" if dates else None for i in range(n)],
    )
