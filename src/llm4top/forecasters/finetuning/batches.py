"""Training rows and the order in which they are seen.

The order depends on the seed, the epoch and the *effective* batch alone (rows per optimiser step,
over all accumulation steps and processes). So 8 x 1, 2 x 4 and two processes of 4 see the same
rows at the same step, and a resumed run continues exactly where it stopped.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from llm4top.forecasters.model.answer_head import pad_right

FILLER = -1
"""Index of a row that only evens out the last batch between processes; it weighs nothing."""

# Rows are sorted by length within spans of this many effective batches: enough to keep padding
# under a few per cent, few enough to keep the batches random.
_SPAN = 32


class PromptRows(Dataset[tuple[Sequence[int], int, float]]):
    """Prompts as token ids, each with the index of its label and its weight in the loss.

    ``weights`` has one entry a label, ``sample_weight`` one a row; a row weighs their product, and
    None weighs all alike.
    """

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        targets: Sequence[int],
        weights: Sequence[float] | None = None,
        sample_weight: Sequence[float] | None = None,
    ):
        self.targets = targets
        self.weights = weights
        self.sample_weight = sample_weight
        self.copies = 0
        self.show(prompts)

    def with_copies(self, prompts: Sequence[Sequence[int]]) -> "PromptRows":
        """These rows, then a copy of each with half its weight that shows other prompts.

        ``copies`` of the result says how many of its last rows are copies.
        """
        alone = [1.0] * len(self) if self.sample_weight is None else list(self.sample_weight)
        both = PromptRows(
            [*self.prompts, *prompts],
            [*self.targets, *self.targets],
            self.weights,
            [*alone, *(weight / 2 for weight in alone)],
        )
        both.copies = len(prompts)
        return both

    def show(self, prompts: Sequence[Sequence[int]]) -> None:
        """Read the same rows from these prompts from now on."""
        self.prompts = prompts
        self.lengths = [len(ids) for ids in prompts]

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int) -> tuple[Sequence[int], int, float]:
        if index == FILLER:
            return self.prompts[0][:1], 0, 0.0
        target = self.targets[index]
        weight = 1.0 if self.weights is None else self.weights[target]
        if self.sample_weight is not None:
            weight *= self.sample_weight[index]
        return self.prompts[index], target, weight


@dataclass(frozen=True, slots=True)
class Collate:
    """Rows to tensors: ids ``[batch, longest]``, lengths, labels and weights ``[batch]``."""

    pad_id: int

    def __call__(self, rows: Sequence[tuple[Sequence[int], int, float]]) -> dict[str, Tensor]:
        """Token ids, mask, lengths, labels and weights of the rows as tensors."""
        input_ids, lengths = pad_right([ids for ids, _, _ in rows], self.pad_id)
        return {
            "input_ids": input_ids,
            "lengths": lengths,
            "labels": torch.tensor([target for _, target, _ in rows]),
            "weights": torch.tensor([weight for _, _, weight in rows], dtype=torch.float32),
        }


class EpochBatches(Sampler[list[int]]):
    """This process's batches of an epoch, as lists of row indices.

    ``effective`` rows make one optimiser step; ``batch_size`` of them are on a device at a time.
    Rows of similar length form a batch, and the longest rows of the data come first in each epoch,
    so that a run short of memory fails at its first step.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        accumulation: int = 1,
        processes: int = 1,
        process: int = 0,
        seed: int = 0,
    ):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.effective = batch_size * accumulation * processes
        self.processes = processes
        self.process = process
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / (self.batch_size * self.processes))

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order()
        share = self.batch_size * self.processes
        if self.processes > 1:
            order += [FILLER] * (-len(order) % share)
        start = self.process * self.batch_size
        for first in range(start, len(order), share):
            yield order[first : first + self.batch_size]

    def order(self) -> list[int]:
        """Every row once, in the order of this epoch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        # The incomplete batch is drawn before sorting: otherwise it would always hold the
        # shortest rows, whose part in a smaller batch is larger.
        whole = len(order) - len(order) % self.effective
        order, rest = order[:whole], order[whole:]
        span = self.effective * _SPAN
        spans = [order[i : i + span] for i in range(0, whole, span)]
        ordered = [s[np.argsort(-self.lengths[s], kind="stable")] for s in spans]
        if not ordered:
            return [int(i) for i in rest]
        batches = np.concatenate(ordered).reshape(-1, self.effective)
        batches = batches[rng.permutation(len(batches))]
        longest = int(np.argmax(self.lengths[batches].max(axis=1)))
        batches[[0, longest]] = batches[[longest, 0]]
        return [int(i) for i in np.concatenate([batches.ravel(), rest])]
