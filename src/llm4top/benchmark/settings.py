"""What a benchmark is asked to do."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llm4top.schema import validate_settings

ScopeName = Literal["I", "II", "III", "IV", "pooled"]


class BenchmarkSettings(BaseModel):
    """The settings of a benchmark.

    data: TOP's folder, registry records (file, folder or zip), or a folder that ``ingest`` made.
    out: the benchmark's folder: pieces, training runs and the report.
    task: the question; a data set that has been ingested brings its own.
    phases: one table each. With "pooled" every forecaster also learns from all phases together.
    bases: base models and bundles; each is asked as it is, with examples, and fine-tuned.
    baselines: names of ``BASELINES``, None for all of them; encoder: for the baseline "sentence".
    preset, training: how to fine-tune, see ``TrainingConfig``.
    max_tokens: prompt budget of models asked untrained; None is the preset's.
    shots: labelled trials shown in the few-shot prompts; 0 leaves few-shot prompts out.
    each_phase: also fine-tune on each phase alone (one more run a phase and base model).
    newest: also learn from the older trials and check on the newest 20 % of the learning part.
    test: also measure on test rows, where there are any; every such look goes to the ledger.
    probe_trials: rows for prompt ablation and contamination probes; 0 leaves them out.
    cutoff: a date (ISO) after which the base models can have read nothing.
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
    seed: int = Field(0, ge=0, lt=2**32)
    draws: int = Field(1000, ge=100, le=100_000)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if not self.phases:
            raise ValueError("phases: name one or more")
        for name in ("phases", "bases"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: {', '.join(values)} names one twice")
        ours = {"data", "base", "out", "task", "train_split", "valid_split", "seed", "device"}
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
