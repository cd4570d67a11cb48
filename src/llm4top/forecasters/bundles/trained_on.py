"""Which trials a bundle was trained on, without naming them.

A forecast of a trial whose outcome the model has seen is not a forecast. The bundle therefore
stores a hash of each NCT id of its training and validation trials: enough to recognise a trial,
and no list of a data set that may not be passed on. Hashes are salted by the data set and cut to
five bytes: among a hundred thousand other trials, fewer than one in a thousand bundles of TOP's
size would mistake one for its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from llm4top.errors import BundleError
from llm4top.forecasters.bundles.manifest import DataEntry
from llm4top.forecasters.bundles.paths import TRAINED_ON_FILE
from llm4top.schema import Strict, read_model

if TYPE_CHECKING:
    from llm4top.data.dataset import Dataset

Part = Literal["train", "valid"]

_DIGITS = 10
"""Hexadecimal digits of a hash: five bytes."""

_Hashes = Annotated[str, Field(pattern=rf"^(?:[0-9a-f]{{{_DIGITS}}})*$")]


class TrialSet(Strict):
    """The trials of one data set: ``salt``, and the hashes of each part, one behind another."""

    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    train: _Hashes = Field(repr=False)
    valid: _Hashes = Field(repr=False)

    def part_of(self, nct_id: str) -> Part | None:
        """See ``TrainedOn.part_of``."""
        return self._parts.get(_hash(self.salt, nct_id))

    @cached_property
    def _parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = dict.fromkeys(_single(self.valid), "valid")
        parts.update(dict.fromkeys(_single(self.train), "train"))
        return parts


class TrainedOn(Strict):
    """The content of ``learnt_from.json``: the bundle's own data set, then earlier ones.

    A model that was trained further was trained on the trials of the earlier bundle too.
    """

    sets: tuple[TrialSet, ...]

    @classmethod
    def of(
        cls,
        train: Iterable[str],
        valid: Iterable[str],
        *,
        data_sha256: str,
        earlier: Self | None = None,
    ) -> Self:
        """From the NCT ids of both parts, salted by the hash of the data set."""
        salt = hashlib.sha256(f"learnt from {data_sha256}".encode()).hexdigest()[:16]
        own = TrialSet(salt=salt, train=_joined(salt, train), valid=_joined(salt, valid))
        return cls(sets=(own, *(earlier.sets if earlier else ())))

    @classmethod
    def of_dataset(
        cls,
        dataset: Dataset,
        *,
        splits: tuple[str, str] = ("train", "valid"),
        earlier: Self | None = None,
        fitted_on_all: bool = False,
    ) -> Self:
        """From the two splits of a data set: trained on, and selected or calibrated on.

        ``fitted_on_all`` says that the model was trained on both in the end.
        """
        train, valid = (dataset.select(split).nct_ids for split in splits)
        if fitted_on_all:
            train, valid = (*train, *valid), ()
        return cls.of(train, valid, data_sha256=dataset.sha256, earlier=earlier)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """That of the bundle in ``folder``; None where it has none.

        Raises:
            BundleError: The file is damaged.
        """
        file = folder / TRAINED_ON_FILE
        if not file.is_file():
            return None
        return read_model(
            cls,
            file,
            what="the list of training trials",
            error=BundleError,
            where=f"{folder.name}/{TRAINED_ON_FILE}",
            hint="Get the bundle again from where it came.",
        )

    def part_of(self, nct_id: str | None) -> Part | None:
        """The split that the trial was in: "train", or "valid" (selected or calibrated on).

        None for any other trial, and for one without an id.
        """
        if nct_id is None:
            return None
        parts = {one.part_of(nct_id) for one in self.sets}
        return "train" if "train" in parts else "valid" if "valid" in parts else None


def data_entry(dataset: Dataset, *, splits: tuple[str, ...] | None = None) -> DataEntry:
    """What a manifest says about the data set: hash, rows of ``splits`` (None: of all), terms."""
    rows = {str(split): sum(count.values()) for split, count in dataset.counts().items()}
    return DataEntry(
        name=dataset.card.name,
        sha256=dataset.sha256,
        counts={split: rows[split] for split in splits or rows},
        licence=" ".join(dataset.card.terms)[:2000],
        note=" ".join(dataset.card.warnings)[:2000],
    )


def _hash(salt: str, nct_id: str) -> str:
    return hashlib.sha256(f"{salt}:{nct_id.strip().upper()}".encode()).hexdigest()[:_DIGITS]


def _joined(salt: str, nct_ids: Iterable[str]) -> str:
    return "".join(sorted({_hash(salt, nct_id) for nct_id in nct_ids}))


def _single(hashes: str) -> list[str]:
    return [hashes[i : i + _DIGITS] for i in range(0, len(hashes), _DIGITS)]
