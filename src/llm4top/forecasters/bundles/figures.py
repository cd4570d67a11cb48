"""What a manifest says was measured on a bundle, and on which rows."""

from typing import Annotated

from pydantic import Field

from llm4top.schema import Strict

Text = Annotated[str, Field(max_length=2000)]
OUT_OF_FOLD = "out-of-fold"
"""Stands for the split in an ``Evaluation`` of all learning trials by cross-fitting."""


class Figure(Strict):
    """A measured value with the bounds of its 95 % interval; None where it cannot be measured."""

    value: float | None
    lower: float | None
    upper: float | None


class PhaseFigures(Strict):
    """The bundle's own figures on the ``n`` rows of one phase, by metric."""

    n: Annotated[int, Field(gt=0)]
    figures: dict[str, Figure]


class Evaluation(Strict):
    """Metrics of several forecasters on the same ``n`` rows of one split.

    ``forecasters`` maps a forecaster's name to its figures by metric; the bundle's own come first,
    then the baselines. ``phases`` are the first one's figures in "I" to "IV" and in "all"; a
    trial of two phases counts in both. ``draws`` and ``seed`` are those of the bootstrap.
    """

    split: str
    n: Annotated[int, Field(gt=0)]
    draws: int | None = None
    seed: int | None = None
    forecasters: dict[str, dict[str, Figure]]
    phases: dict[str, PhaseFigures] = Field(default={})
    note: Text = ""


class Ablation(Strict):
    """What each part of a blend adds, on the same ``n`` rows of a split, or out-of-fold.

    ``without`` maps a part's name to the figures of the blend less those of the same blend without
    that part, by metric, with paired bootstrap intervals of ``draws`` draws. Weights are equal in
    both, and neither is calibrated.
    """

    split: str
    n: Annotated[int, Field(gt=0)]
    draws: int
    seed: int
    without: dict[str, dict[str, Figure]]


class FinalFit(Strict):
    """Fitted on all ``trials`` of train and valid once these had chosen the settings.

    The calibration was fitted on out-of-fold predictions of these trials, in ``folds`` folds; None
    where it was fitted on other trials afterwards.
    """

    trials: Annotated[int, Field(gt=0)]
    folds: Annotated[int, Field(ge=2)] | None


class CardTable(Strict):
    """Another table of the card: what was measured besides the evaluations, in words."""

    title: Text
    text: Text
    columns: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]


class ReloadCheck(Strict):
    """The bundle was loaded again: the largest difference of ``n`` trials' probabilities."""

    n: Annotated[int, Field(gt=0)]
    max_difference: Annotated[float, Field(ge=0)]
    tolerance: Annotated[float, Field(gt=0)]
