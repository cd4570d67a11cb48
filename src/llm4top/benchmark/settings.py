"""Settings of a benchmark."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llm4top.schema import validate_settings

ScopeName = Literal["I", "II", "III", "IV", "pooled"]
Way = Literal["zero-shot", "few-shot", "probe", "lora"]


class BenchmarkSettings(BaseModel):
    """The settings of a benchmark.

    Attributes:
        data: TOP's folder, registry records (file, folder or zip), or an ingested data set.
        out: The benchmark's folder: finished work, training runs and the report.
        task: The question; an ingested data set has its own.
        phases: One table each. With "pooled" every forecaster is also trained on all phases.
        bases: Base models and bundles; each is run as it is, with examples, with a frozen probe,
            and fine-tuned.
        baselines: Names of ``BASELINES``; None for all of them.
        encoder: The folder of a sentence encoder, for the baseline "sentence".
        preset, training: How to fine-tune, see ``TrainingConfig``.
        max_tokens: Prompt budget of untrained models; None is the preset's.
        ways: How each base model is used.
        shots: Labelled trials in few-shot prompts; 0 leaves few-shot prompts out.
        each_phase: Also fine-tune on each phase alone (one more run for each phase and base model).
        newest: Also train on the older trials and measure on the newest 20 % of the training data.
        test: Also measure on test rows, if there are any; each such look is recorded in the ledger.
        probe_trials: Rows for prompt ablation and contamination probes; 0 leaves them out.
        cutoff: The end of the base models' training data, a date (ISO).
        limit: Ingest at most so many records.
        device: "auto", "cuda", "cuda:N", "mps" or "cpu".
        tokenizer: The folder of the tokenizer of models on servers; None: by their names.
        allow_remote: Whether models may be on other machines, which then read the records.
        seed, draws: Of the bootstrap; the seed also of training and cross-fitting.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    out: Path
    task: str = "outcome"
    phases: tuple[ScopeName, ...] = ("I", "II", "III", "pooled")
    bases: tuple[str, ...] = ()
    baselines: tuple[str, ...] | None = None
    encoder: Path | None = None
    preset: Literal["quick", "standard", "thorough"] = "standard"
    training: dict[str, Any] = {}
    max_tokens: int | None = Field(None, ge=64)
    ways: tuple[Way, ...] = ("zero-shot", "few-shot", "probe", "lora")
    shots: int = Field(4, ge=0, le=32)
    each_phase: bool = False
    newest: bool = True
    test: bool = True
    probe_trials: int = Field(300, ge=0)
    cutoff: str | None = Field(
        None,
        pattern=r"^\d{4}(-\d\d(-\d\d)?)?$",
        json_schema_extra={"takes": "a date such as 2031, 2031-05 or 2031-05-14"},
    )
    limit: int | None = Field(None, ge=1)
    device: str = "auto"
    tokenizer: Path | None = None
    allow_remote: bool = False
    seed: int = Field(0, ge=0, lt=2**32)
    draws: int = Field(1000, ge=100, le=100_000)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if not self.phases:
            raise ValueError("phases: name one or more")
        for name in ("phases", "bases", "ways"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: {', '.join(values)} names one twice")
        ours = {"data", "base", "out", "task", "train_split", "valid_split", "seed", "device"}
        ours |= {"final_fit", "folds"}  # it measures on the validation split
        taken = sorted(ours & set(self.training))
        if taken:
            raise ValueError(f"training: {', '.join(taken)}: the benchmark sets this itself")
        return self


def make_settings(**values: Any) -> BenchmarkSettings:
    """Settings, checked; ``ConfigError`` with every fault at once."""
    return validate_settings(
        BenchmarkSettings,
        values,
        message="the benchmark's settings are wrong.",
        hint="See: llm4top benchmark --help",
    )
