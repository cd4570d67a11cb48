"""Prompts that leave out whole sections at random, so that a thin record is no surprise.

Which sections a record has tells where it comes from. A model that meets each trial with other
sections missing in each epoch learns what the rest says, and nothing from what is missing.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llm4top.forecasters.finetuning.settings import FinetuneSettings
from llm4top.prompts.prompt import PromptWriter
from llm4top.prompts.sections import SECTION_NAMES
from llm4top.registry.trial import Trial


def section_dropout(
    writer: PromptWriter, trials: Sequence[Trial], settings: FinetuneSettings
) -> "SectionDropout | None":
    """The dropout that the settings ask for, None where they ask for none."""
    if not settings.section_dropout:
        return None
    return SectionDropout(writer, trials, settings.section_dropout, settings.seed)


class SectionDropout:
    """The prompts of an epoch, as token ids, one a trial.

    Each section of each trial is left out with the chance ``share``, on its own. The draw depends
    on ``seed``, the epoch and the trial's own prompt alone, so a resumed run reads what it would
    have read, and a trial reads alike whatever others are learned from. Prompts that are judged
    are never written so.
    """

    def __init__(self, writer: PromptWriter, trials: Sequence[Trial], share: float, seed: int):
        self.writer, self.trials, self.share, self.seed = writer, trials, share, seed

    def __call__(self, epoch: int) -> list[Sequence[int]]:
        """The prompts of an epoch, counted from 0."""
        spec = self.writer.spec
        names = spec.sections if spec.sections is not None else SECTION_NAMES
        prompts: list[Sequence[int]] = []
        for trial in self.trials:
            own = zlib.crc32(self.writer.write(trial).text.encode())
            keep = np.random.default_rng([self.seed, epoch, own]).random(len(names)) >= self.share
            shown = tuple(name for name, stays in zip(names, keep, strict=True) if stays)
            writer = self.writer.with_spec(replace(spec, sections=shown))
            prompts.append(writer.write(trial).token_ids)
        return prompts
