"""Which trials a bundle has learnt from, without naming them.

A forecast of a trial whose outcome the model has seen is not a forecast. The bundle therefore
keeps a hash of each NCT id of its training and validation trials: enough to recognise a trial, and
no list of a data set that may not be passed on. Hashes are salted by the data set and cut to five
bytes: among a hundred thousand other trials, fewer than one in a thousand bundles of TOP's size
would take one for its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm4top.errors import BundleError
from llm4top.forecasters.bundles.manifest import LEARNT_FILE, Manifest

Part = Literal["train", "valid"]

_DIGITS = 10
"""Hexadecimal digits of a hash: five bytes."""

_Hashes = Annotated[str, Field(pattern=rf"^(?:[0-9a-f]{{{_DIGITS}}})*$")]


class TrialSet(BaseModel):
    """The trials of one data set: ``salt``, and the hashes of each part, one behind another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    train: _Hashes = Field(repr=False)
    valid: _Hashes = Field(repr=False)

    def part_of(self, nct_id: str) -> Part | None:
        """See ``LearntFrom.part_of``."""
        return self._parts.get(_hash(self.salt, nct_id))

    @cached_property
    def _parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = dict.fromkeys(_single(self.valid), "valid")
        parts.update(dict.fromkeys(_single(self.train), "train"))
        return parts


class LearntFrom(BaseModel):
    """The content of ``learnt_from.json``: the bundle's own data set, then those before it.

    A model that was trained further has learnt from the trials of the bundle it began with too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sets: tuple[TrialSet, ...]

    @classmethod
    def of(
        cls,
        train: Iterable[str],
        valid: Iterable[str],
        *,
        data_sha256: str,
        earlier: LearntFrom | None = None,
    ) -> Self:
        """From the NCT ids of both parts, salted by the hash of the data set."""
        salt = hashlib.sha256(f"learnt from {data_sha256}".encode()).hexdigest()[:16]
        own = TrialSet(salt=salt, train=_joined(salt, train), valid=_joined(salt, valid))
        return cls(sets=(own, *(earlier.sets if earlier else ())))

    @classmethod
    def beside(cls, base: Path) -> LearntFrom | None:
        """That of the bundle which carries the base model in ``base``, if it has one."""
        file = base.resolve().parent / LEARNT_FILE
        if base.name != "base" or not file.is_file():
            return None
        return cls.read(file.read_text(encoding="utf-8"), where=str(file))

    @classmethod
    def read(cls, text: str, *, where: str) -> Self:
        """From the file's text; ``BundleError`` where it is not such a file."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"])) or "as a whole"
            raise BundleError(
                f"is wrong in {field!r:.100}.",
                where=where,
                hint="Get the bundle again from where it came.",
            ) from None

    def part_of(self, nct_id: str | None) -> Part | None:
        """Part of the data that the trial was in: it taught the model, or tuned or calibrated it.

        None for any other trial, and for one without an id.
        """
        if nct_id is None:
            return None
        parts = {one.part_of(nct_id) for one in self.sets}
        return "train" if "train" in parts else "valid" if "valid" in parts else None


def read_learnt_from(folder: Path, manifest: Manifest) -> LearntFrom | None:
    """That of the bundle in ``folder``; None of a bundle of before it was written."""
    if LEARNT_FILE not in manifest.files:
        return None
    text = (folder / LEARNT_FILE).read_text(encoding="utf-8")
    return LearntFrom.read(text, where=f"{folder.name}/{LEARNT_FILE}")


def _hash(salt: str, nct_id: str) -> str:
    return hashlib.sha256(f"{salt}:{nct_id.strip().upper()}".encode()).hexdigest()[:_DIGITS]


def _joined(salt: str, nct_ids: Iterable[str]) -> str:
    return "".join(sorted({_hash(salt, nct_id) for nct_id in nct_ids}))


def _single(hashes: str) -> list[str]:
    return [hashes[i : i + _DIGITS] for i in range(0, len(hashes), _DIGITS)]
