"""What a base model that was trained already brings along, in words."""

from collections import Counter
from pathlib import Path

from llm4top.data.dataset import Dataset
from llm4top.forecasters.bundles.manifest import Manifest
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.model.model_files import earlier_training
from llm4top.text import thousands as count
from llm4top.training.pretrain import pretrained_context


def through_its_base(earlier: Manifest) -> str:
    """For a card: what a model was trained on through its base; "" where nothing is recorded."""
    if earlier.data is None:
        return ""
    rows = ", ".join(f"{split}: {count(n)}" for split, n in earlier.data.counts.items())
    return (
        f"Through its base model, {earlier.name}, it was also trained on the data set "
        f"{earlier.data.name} (trials in {rows})."
    )


def learnt_before(
    earlier: Manifest, trained_on: TrainedOn | None, dataset: Dataset | None, valid_split: str
) -> str:
    """For the check before a training: what the base was trained on, and what that means here.

    ``trained_on`` recognises the trials that the base was trained, tuned or calibrated on, where
    its bundle has that.
    """
    if trained_on is not None and dataset is not None:
        rows = dataset.select(valid_split).nct_ids
        parts = Counter(trained_on.part_of(nct_id) for nct_id in rows)
        if not parts["train"] + parts["valid"]:
            return "It was not trained on any of these validation trials."
        return (
            f"Of these {count(len(rows))} validation trials it was trained on "
            f"{count(parts['train'])}, and selected or calibrated on {count(parts['valid'])}: "
            "figures on them are optimistic."
        )
    if earlier.data is None:
        return "Its training data are not recorded: figures on any data may be optimistic."
    name = earlier.data.name
    if dataset is not None and dataset.sha256 == earlier.data.sha256:
        return (
            f"It was trained and tuned on this very data set, {name}: figures on its validation "
            "trials are optimistic."
        )
    return (
        f"Its weights were already trained on the training trials of {name} and were selected on "
        f"{name}'s validation trials: figures on any of those trials are optimistic."
    )


def beyond_what_was_seen(base: Path, longest: int) -> str:
    """What to do where prompts are longer than all that the base model has read; else empty."""
    block = pretrained_context(base)
    if block is not None and longest > block:
        return (
            f"The base model was pre-trained on blocks of {count(block)} tokens and has seen "
            f"no longer text: set max_tokens to {block}, or pre-train with a larger --context."
        )
    earlier = earlier_training(base)
    entry = earlier.language if earlier is not None else None
    if entry is not None and longest > (most := entry.prompt.spec.max_tokens):
        return (
            f"The base model was trained on prompts of at most {count(most)} tokens: set "
            f"max_tokens to {most}."
        )
    return ""
