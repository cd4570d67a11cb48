"""Checks before a training run: everything that can be checked without loading weights."""

import importlib.util
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm4top.data.dataset import Dataset, load_dataset
from llm4top.data.scopes import of_phases
from llm4top.data.splits import check_disjoint
from llm4top.errors import ConfigError, LLM4TOPError, PreflightError
from llm4top.forecasters.calibration.calibrated import MIN_ROWS, MIN_ROWS_OF_A_LABEL
from llm4top.forecasters.finetuning.activations import ModelShape, model_shape
from llm4top.forecasters.model.device import (
    EMULATED_BF16,
    Device,
    choose_device,
    choose_dtype,
    emulates_bf16,
    free_memory,
)
from llm4top.forecasters.model.model_files import (
    earlier_training,
    earlier_trials,
    resolve_base,
    safe_config,
    weight_files,
)
from llm4top.forecasters.model.sharding import why_not_sharded
from llm4top.forecasters.model.tokenizer import answer_token_ids, load_tokenizer
from llm4top.processes import process_count
from llm4top.prompts.prompt import PromptWriter
from llm4top.prompts.sections import SECTION_HEADINGS, SECTION_NAMES, SECTIONS_BEYOND_RECORDS
from llm4top.tasks.task import Task
from llm4top.text import about, percent
from llm4top.text import thousands as count
from llm4top.training import memory
from llm4top.training.config import TrainingConfig, chosen_sections, common_sections, prompt_spec
from llm4top.training.final_fit import OUT_OF_FOLD, final_fit_check
from llm4top.training.memory import MemoryEstimate, Place, in_gb, sample_rows
from llm4top.training.pretrain import beyond_what_was_seen, learnt_before
from llm4top.training.run_folder import RunFolder

_SAMPLE = 500
_MOSTLY_CUT = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, whether the run may start, what was found and what to do about it.

    A check that is ``ok`` may still carry a ``hint``: advice, not a fault.
    """

    name: str
    ok: bool
    detail: str
    hint: str = ""


@dataclass(slots=True)
class PreflightReport:
    """All checks in the order in which they were made.

    ``memory`` is the estimate, ``dataset`` the data set as the run will read it; each is None
    where a check failed before it.
    """

    checks: list[Check] = field(default_factory=list)
    memory: MemoryEstimate | None = None
    dataset: Dataset | None = None

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    def raise_for_faults(self) -> None:
        """Raise ``PreflightError`` with every fault and its remedy; do nothing without one."""
        faults = [f"{c.name}: {c.detail} {c.hint}".rstrip() for c in self.checks if not c.ok]
        if faults:
            raise PreflightError("the run would fail.", faults)


@dataclass(slots=True)
class _Finding:
    detail: str
    ok: bool = True
    hint: str = ""


def preflight(
    config: TrainingConfig,
    *,
    dataset: Dataset | None = None,
    resume: bool = False,
    gpus: str | None = None,
) -> PreflightReport:
    """Check a training run before it starts. Takes seconds and loads no weights.

    Checks the data and its splits, the base model's files, the device, the tokenizer and the
    task's answers, prompt lengths, memory, disk, and the output folder. A check is left out where
    an earlier one that it needs has failed: without a base model there is no memory estimate.

    Args:
        config: The settings of the run.
        dataset: The data set, where it is loaded already.
        resume: Whether the run is to be resumed.
        gpus: Judge by these GPUs in place of this machine's devices: "8x80" are 8 of 80 GB.

    Returns:
        All checks. ``raise_for_faults`` raises those that failed.
    """
    return _Preflight(config, resume, dataset, gpus).run()


class _Preflight:
    """The checks, and what the earlier ones found that later ones need."""

    def __init__(
        self, config: TrainingConfig, resume: bool, dataset: Dataset | None, gpus: str | None
    ):
        self.config = config
        self.resume = resume
        self.report = PreflightReport(dataset=dataset)
        self.folder: Path | None = None
        self.gpus = gpus
        self.device: Device | None = None
        self.place: Place | None = None
        self.tokenizer: Any = None
        self.shape: ModelShape | None = None
        self.prompt_tokens = 0.0  # of a trial, in the mean

    def run(self) -> PreflightReport:
        report = self.report
        self._check("data", self._data)
        self._check("base model", self._base)
        self._check("device", self._device)
        data = report.dataset
        if data is not None:
            counts = data.counts()
            self._check("splits", lambda: self._splits(data))
            self._check("task", lambda: self._task(data.task))
            self._check("calibration", lambda: self._calibration(counts))
            if self.config.final_fit == "all":
                self._check("final fit", lambda: _Finding(*final_fit_check(self.config, counts)))
            self._check("evaluations", lambda: self._evaluations(counts))
            self._check("sections", lambda: self._sections(data))
        if (folder := self.folder) is not None:
            self._check("tokenizer", lambda: self._tokenizer(folder))
            if self.tokenizer is not None and data is not None:
                self._check("prompts", lambda: self._prompts(folder, data))
            if (place := self.place) is not None:
                self._check("memory", lambda: self._memory(folder, place))
            if (device := self.device) is not None:
                probe = self.config.tuning == "probe" and self.prompt_tokens
                if probe and (shape := self.shape) is not None:
                    self._check("time", lambda: self._time(shape, device))
        if (needed := report.memory) is not None:
            self._check("disk", lambda: self._disk(needed.disk))
        self._check("output folder", self._output)
        return report

    def _check(self, name: str, check: Callable[[], _Finding]) -> None:
        try:
            found = check()
        except ConfigError as error:
            found = _Finding("; ".join(error.faults) + ".", False)
        except LLM4TOPError as error:
            where = f"{error.where}: " if error.where else ""
            found = _Finding(where + error.message, False, error.hint or "")
        self.report.checks.append(Check(name, found.ok, found.detail, found.hint))

    def _data(self) -> _Finding:
        data = self.report.dataset
        if data is None:
            data = of_phases(load_dataset(self.config.data), self.config.phases)
            self.report.dataset = data
        return _Finding(f"{count(len(data))} trials, task {data.task.name}.")

    def _splits(self, data: Dataset) -> _Finding:
        check_disjoint(data.nct_ids, data.splits)
        counts = data.counts()
        found, faults = [], []
        for split in (self.config.train_split, self.config.valid_split):
            rows = counts.get(split, {})
            found.append(
                f"{split}: "
                + (", ".join(f"{count(n)} {k}" for k, n in rows.items()) or "no trials")
            )
            missing = [label for label in data.task.labels if not rows.get(label)]
            if missing:
                faults.append(f"{split} has no trial of label {', '.join(missing)}")
        hint = "Make the data set with other splits (llm4top ingest)." if faults else ""
        return _Finding("; ".join(faults or found) + ".", not faults, hint)

    def _task(self, task: Task) -> _Finding:
        if self.config.task not in (None, task.name):
            return _Finding(
                f"the settings ask for {self.config.task}, the data set answers {task.name}.",
                False,
                "Leave the task out, or make a data set for it.",
            )
        self.config.for_labels(task.labels)
        return _Finding(f"{task.question}")

    def _calibration(self, by_split: Mapping[str, Mapping[str, int]]) -> _Finding:
        if self.config.calibration == "none":
            return _Finding("none: forecasts will carry no interval.")
        counts = by_split.get(self.config.valid_split, {})
        least, rows = min(counts.values(), default=0), sum(counts.values())
        # The card's figures are cross-fitted: one fold of five less must still be enough.
        if rows * 4 < MIN_ROWS * 5 or least - math.ceil(least / 5) < MIN_ROWS_OF_A_LABEL:
            return _Finding(
                f"{rows} validation trials, {least} of the rarest label; at least "
                f"{MIN_ROWS * 5 // 4}, and {MIN_ROWS_OF_A_LABEL + 2} of each label, are needed.",
                False,
                "Set more validation data aside, or use calibration: none.",
            )
        on = f"{count(rows)} validation trials" if self.config.final_fit == "train" else OUT_OF_FOLD
        return _Finding(f"{self.config.calibration} on {on}.")

    def _evaluations(self, counts: Mapping[str, Mapping[str, int]]) -> _Finding:
        learn, valid = (
            sum(counts.get(split, {}).values())
            for split in (self.config.train_split, self.config.valid_split)
        )
        if not learn or not valid:
            return _Finding("no trials to train on or to evaluate on.", False)
        if self.config.tuning == "probe":
            return _Finding(
                f"none: one pass over {count(learn + valid)} trials; layer and penalty are chosen "
                f"on all {count(valid)} validation trials."
            )
        passes = memory.evaluation_count(self.config, learn)
        size = memory.evaluation_size(self.config, learn, valid)
        rows = "all" if size == valid else f"the same {count(size)} of"
        often = "1 evaluation" if passes == 1 else f"up to {count(passes)} evaluations"
        return _Finding(
            f"{often} while training, on {rows} {count(valid)} validation trials; calibration and "
            "figures use all."
        )

    def _base(self) -> _Finding:
        folder = resolve_base(self.config.base)
        config = safe_config(folder)
        files = weight_files(folder)
        self.folder = folder
        size = sum(file.stat().st_size for file in files)
        found = _Finding(f"{config.get('model_type')} model, {in_gb(size)} of weights.")
        earlier = earlier_training(folder)
        if earlier is not None:
            on = f" on {earlier.data.name}" if earlier.data else ""
            found.detail = f"{earlier.name}, already trained{on}: {found.detail}"
            learnt = earlier_trials(folder)
            found.hint = learnt_before(
                earlier, learnt, self.report.dataset, self.config.valid_split
            )
        return found

    def _device(self) -> _Finding:
        if self.gpus is not None:
            self.place = Place.of_gpus(self.gpus, self.config)
            return _Finding(f"{self.place}, as asked about; this machine's is not looked at.")
        device = choose_device(self.config.device)
        dtype = choose_dtype(device, self.config.dtype)
        if self.config.quantize and importlib.util.find_spec("bitsandbytes") is None:
            return _Finding(
                "loading a model in 4 bits needs bitsandbytes.",
                False,
                "Install it with: pip install 'llm4top[four-bit]'",
            )
        if device.kind == "mps" and process_count() > 1:
            hint = "Start it without torchrun."
            return _Finding("one Apple GPU (MPS) takes one process.", False, hint)
        if self.config.shard and (reason := why_not_sharded(device, self.config.quantize)):
            hint = "Start it with torchrun on several GPUs, or leave shard out."
            return _Finding(f"the model cannot be sharded: {reason}", False, hint)
        self.device = device
        self.place = Place.here(device, self.config, free_memory(device))
        hint = ""
        if self.config.precision == "bf16" and emulates_bf16(device):
            hint = f"{EMULATED_BF16} Set precision to auto or fp32."
        many = f" {n} processes, each on its own." if (n := process_count()) > 1 else ""
        return _Finding(f"{device.reason} {dtype.reason}{many}", hint=hint)

    def _tokenizer(self, folder: Path) -> _Finding:
        tokenizer = load_tokenizer(folder)
        if self.report.dataset is not None:
            answer_token_ids(tokenizer, self.report.dataset.task)
        self.tokenizer = tokenizer
        return _Finding(
            f"Vocabulary of {count(len(tokenizer))} tokens; each answer is a single one."
        )

    def _prompts(self, folder: Path, data: Dataset) -> _Finding:
        limit = safe_config(folder).get("max_position_embeddings")
        if isinstance(limit, int) and self.config.max_tokens > limit:
            return _Finding(
                f"prompts may take {self.config.max_tokens} tokens, but the model takes {limit}.",
                False,
                f"Set max_tokens to {limit} or less.",
            )
        trials, task = self._some_trials(data), data.task
        spec = prompt_spec(self.config, trials, task)
        writer = PromptWriter(self.tokenizer, task, spec)
        prompts = [writer.write(trial) for trial in trials]
        if not prompts:
            return _Finding("no training trial to write a prompt about.", False)
        lengths = sorted(len(prompt.token_ids) for prompt in prompts)
        self.prompt_tokens = sum(lengths) / len(lengths)
        cut = sum(prompt.tokens_cut > 0 for prompt in prompts) / len(prompts)
        median = f"median {count(lengths[len(lengths) // 2])} tokens, longest {count(lengths[-1])}"
        hint = "Raising max_tokens would let the model read more." if cut > _MOSTLY_CUT else ""
        hint = beyond_what_was_seen(folder, lengths[-1]) or hint
        of = f"{count(len(prompts))} training trials"
        return _Finding(
            f"{median}; {percent(cut)} of {of} shortened to {count(spec.max_tokens)}.", hint=hint
        )

    def _some_trials(self, data: Dataset) -> Sequence[Any]:
        rows = data.select(self.config.train_split)
        return rows.take(sample_rows(len(rows), _SAMPLE, self.config.seed)).trials

    def _sections(self, data: Dataset) -> _Finding:
        trials, task = self._some_trials(data), data.task
        chosen = chosen_sections(self.config, trials, task)
        if chosen is None:
            return _Finding("all that a trial has.")
        left: tuple[str, ...] = ()
        if self.config.sections == "auto":
            left = tuple(n for n in common_sections(trials, task) if n in SECTIONS_BEYOND_RECORDS)
        hint = ""
        if left:
            names = " and ".join(SECTION_HEADINGS[name] for name in left)
            every = ", ".join(n for n in SECTION_NAMES if n in (*chosen, *left))
            hint = (
                f"{names} are left out: no registry record carries them. To include them, list "
                f"them in the setting sections: [{every}]"
            )
        return _Finding(f"{', '.join(chosen)}.", hint=hint)

    def _memory(self, folder: Path, place: Place) -> _Finding:
        config = self.config
        self.shape = model_shape(folder)
        trials = self._rows(config.train_split, config.valid_split)
        estimate, again = memory.estimate_for(self.shape, config, place, trials=trials)
        self.report.memory = estimate
        where = self.device.torch if self.device is not None else "each"
        return _Finding(*memory.judged(estimate, config, place, again=again, where=where))

    def _rows(self, *splits: str) -> int:
        data = self.report.dataset
        return 0 if data is None else sum(data.splits.count(split) for split in splits)

    def _time(self, shape: ModelShape, device: Device) -> _Finding:
        learn, valid = self._rows(self.config.train_split), self._rows(self.config.valid_split)
        # Those that calibrate it are read once more.
        again = learn + valid if self.config.final_fit == "all" else valid
        tokens = (learn + valid + again) * self.prompt_tokens
        seconds = memory.seconds_of_pass(shape, tokens, device, self.config)
        return _Finding(
            f"{about(seconds)} for {count(round(tokens))} tokens, judging by the device's speed."
        )

    def _disk(self, need: int) -> _Finding:
        place = self.config.out.absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        hint = "" if need <= free else "Choose a folder with more room."
        return _Finding(f"needs about {in_gb(need)}; {in_gb(free)} free.", need <= free, hint)

    def _output(self) -> _Finding:
        out, run = self.config.out, RunFolder(self.config.out)
        parent = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            return _Finding(f"{parent} cannot be written to.", False, "Choose another folder.")
        if self.resume:
            if run.identity_file.is_file():
                return _Finding(f"resumes the run in {out}.")
            return _Finding(f"{out} holds no run to resume.", False, "Start it without resuming.")
        if run.identity_file.is_file() or run.bundle.exists():
            state = run.state().get("state", "unknown")
            return _Finding(
                f"{out} holds a run already ({state}).",
                False,
                "Resume it, or choose another folder.",
            )
        if out.is_dir() and any(p.name not in _OURS for p in out.iterdir()):
            return _Finding(f"{out} is not empty.", False, "Choose another folder.")
        return _Finding(f"{out} is free.")


_OURS = {".lock", "state.json", "events.jsonl", "worker.log", "worker.log.1"}
