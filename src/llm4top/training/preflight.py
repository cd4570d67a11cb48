"""Would this run work here? Every check that needs no weights, before any weight is loaded."""

import importlib.util
import math
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm4top.data.dataset import Dataset, load_dataset
from llm4top.data.scopes import of_phases
from llm4top.data.splits import check_disjoint
from llm4top.errors import ConfigError, LLM4TOPError, PreflightError
from llm4top.forecasters.bundles.trained_on import LearntFrom
from llm4top.forecasters.calibration.calibrated import MIN_ROWS, MIN_ROWS_OF_A_LABEL
from llm4top.forecasters.model.answer_head import answer_token_ids
from llm4top.forecasters.model.base_model import load_tokenizer
from llm4top.forecasters.model.carried_base import earlier_training
from llm4top.forecasters.model.device import Device, choose_device, choose_dtype, free_memory
from llm4top.forecasters.model.model_files import resolve_base, safe_config, weight_files
from llm4top.prompts.prompt import PromptSpec, PromptWriter
from llm4top.prompts.sections import SECTION_HEADINGS, SECTION_NAMES, SECTIONS_BEYOND_RECORDS
from llm4top.text import percent
from llm4top.text import thousands as count
from llm4top.training.config import TrainingConfig
from llm4top.training.earlier_training import beyond_what_was_seen, learnt_before
from llm4top.training.evaluation_rows import evaluation_count, evaluation_size
from llm4top.training.memory import MemoryEstimate, estimate_memory, in_gb, model_shape
from llm4top.training.run_folder import RunFolder
from llm4top.training.shown_sections import chosen_sections, common_sections

_SAMPLE = 500
_MOSTLY_CUT = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, whether the run may go on, what was found and what to do about it.

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
        """Whether nothing stands in the way."""
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
    config: TrainingConfig, *, dataset: Dataset | None = None, resume: bool = False
) -> PreflightReport:
    """Check a run before it begins; takes seconds and loads no weights.

    ``dataset`` spares loading it again. Looks at: the data and its splits, the base model's
    files, the device, the tokenizer and the task's answers, prompt lengths, memory, disk, and the
    state of the output folder. A check whose ground is missing is left out: without a base model
    nothing is said about memory.
    """
    return _Preflight(config, resume, dataset).run()


class _Preflight:
    def __init__(self, config: TrainingConfig, resume: bool, dataset: Dataset | None):
        self.config = config
        self.resume = resume
        self.dataset = dataset
        self.report = PreflightReport()
        self.folder: Path | None = None
        self.device: Device | None = None
        self.tokenizer: Any = None

    def run(self) -> PreflightReport:
        self._check("data", self._data)
        self._check("base model", self._base)
        self._check("device", self._device)
        if self.dataset is not None:
            self._check("splits", self._splits)
            self._check("task", self._task)
            self._check("calibration", self._calibration)
            self._check("evaluations", self._evaluations)
            self._check("sections", self._sections)
        if self.folder is not None:
            self._check("tokenizer", self._tokenizer)
        if self.tokenizer is not None and self.dataset is not None:
            self._check("prompts", self._prompts)
        if self.folder is not None and self.device is not None:
            self._check("memory", self._memory)
        if self.report.memory is not None:
            self._check("disk", self._disk)
        self._check("output folder", self._output)
        self.report.dataset = self.dataset
        return self.report

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
        if self.dataset is None:
            self.dataset = of_phases(load_dataset(self.config.data), self.config.phases)
        data = self.dataset
        return _Finding(f"{count(len(data))} trials, task {data.task.name}.")

    def _splits(self) -> _Finding:
        assert self.dataset is not None
        data, config = self.dataset, self.config
        check_disjoint(data.nct_ids, data.splits)
        counts = data.counts()
        told, faults = [], []
        for split in (config.train_split, config.valid_split):
            rows = counts.get(split, {})
            told.append(
                f"{split}: "
                + (", ".join(f"{count(n)} {k}" for k, n in rows.items()) or "no trials")
            )
            missing = [label for label in data.task.labels if not rows.get(label)]
            if missing:
                faults.append(f"{split} has no trial of label {', '.join(missing)}")
        hint = "Make the data set with other splits (llm4top ingest)." if faults else ""
        detail = "; ".join(faults or told) + "."
        return _Finding(detail, not faults, hint)

    def _task(self) -> _Finding:
        assert self.dataset is not None
        task = self.dataset.task
        if self.config.task not in (None, task.name):
            return _Finding(
                f"the settings ask for {self.config.task}, the data set answers {task.name}.",
                False,
                "Leave the task out, or make a data set for it.",
            )
        self.config.for_labels(task.labels)
        return _Finding(f"{task.question}")

    def _calibration(self) -> _Finding:
        assert self.dataset is not None
        if self.config.calibration == "none":
            return _Finding("none: forecasts will carry no interval.")
        counts = self.dataset.counts().get(self.config.valid_split, {})
        least, rows = min(counts.values(), default=0), sum(counts.values())
        # The card's figures are cross-fitted: one fold of five less must still be enough.
        if rows * 4 < MIN_ROWS * 5 or least - math.ceil(least / 5) < MIN_ROWS_OF_A_LABEL:
            return _Finding(
                f"{rows} validation trials, {least} of the rarest label; at least "
                f"{MIN_ROWS * 5 // 4}, and {MIN_ROWS_OF_A_LABEL + 2} of each label, are needed.",
                False,
                "Set more validation data aside, or use calibration: none.",
            )
        return _Finding(f"{self.config.calibration} on {count(rows)} validation trials.")

    def _evaluations(self) -> _Finding:
        assert self.dataset is not None
        counts = self.dataset.counts()
        learn, valid = (
            sum(counts.get(split, {}).values())
            for split in (self.config.train_split, self.config.valid_split)
        )
        if not learn or not valid:
            return _Finding("no trials to train on or to evaluate on.", False)
        passes = evaluation_count(self.config, learn)
        size = evaluation_size(self.config, learn, valid)
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
            learnt = LearntFrom.beside(folder)
            found.hint = learnt_before(earlier, learnt, self.dataset, self.config.valid_split)
        return found

    def _device(self) -> _Finding:
        device = choose_device(self.config.device)
        dtype = choose_dtype(device, self.config.dtype)
        if self.config.quantize and importlib.util.find_spec("bitsandbytes") is None:
            return _Finding(
                "loading a model in 4 bits needs bitsandbytes.",
                False,
                "Install it with: pip install 'llm4top[four-bit]'",
            )
        self.device = device
        return _Finding(f"{device.reason} {dtype.reason}")

    def _tokenizer(self) -> _Finding:
        assert self.folder is not None
        tokenizer = load_tokenizer(self.folder)
        if self.dataset is not None:
            answer_token_ids(tokenizer, self.dataset.task)
        self.tokenizer = tokenizer
        return _Finding(
            f"Vocabulary of {count(len(tokenizer))} tokens; each answer is a single one."
        )

    def _prompts(self) -> _Finding:
        assert self.dataset is not None
        assert self.folder is not None
        limit = safe_config(self.folder).get("max_position_embeddings")
        if isinstance(limit, int) and self.config.max_tokens > limit:
            return _Finding(
                f"prompts may take {self.config.max_tokens} tokens, but the model takes {limit}.",
                False,
                f"Set max_tokens to {limit} or less.",
            )
        trials, task = self._some_trials(), self.dataset.task
        spec = PromptSpec(self.config.max_tokens, chosen_sections(self.config, trials, task))
        writer = PromptWriter(self.tokenizer, task, spec)
        prompts = [writer.write(trial) for trial in trials]
        if not prompts:
            return _Finding("no training trial to write a prompt about.", False)
        lengths = sorted(len(prompt.token_ids) for prompt in prompts)
        cut = sum(prompt.tokens_cut > 0 for prompt in prompts) / len(prompts)
        told = f"median {count(lengths[len(lengths) // 2])} tokens, longest {count(lengths[-1])}"
        hint = "Raising max_tokens would let the model read more." if cut > _MOSTLY_CUT else ""
        hint = beyond_what_was_seen(self.folder, lengths[-1]) or hint
        of = f"{count(len(prompts))} training trials"
        return _Finding(
            f"{told}; {percent(cut)} of {of} shortened to {count(spec.max_tokens)}.", hint=hint
        )

    def _some_trials(self) -> Sequence[Any]:
        assert self.dataset is not None
        rows = self.dataset.select(self.config.train_split)
        return rows.take(sample_rows(len(rows), _SAMPLE, self.config.seed)).trials

    def _sections(self) -> _Finding:
        assert self.dataset is not None
        trials, task = self._some_trials(), self.dataset.task
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

    def _memory(self) -> _Finding:
        assert self.folder is not None
        assert self.device is not None
        config, device = self.config, self.device
        dtype = choose_dtype(device, config.dtype)
        cuda = device.kind == "cuda"
        low = config.precision == "bf16" or dtype.name != "float32"
        estimate = estimate_memory(
            model_shape(self.folder),
            tuning=config.tuning,
            lora_rank=config.lora_rank,
            lora_dropout=config.lora_dropout,
            batch_size=config.batch_size,
            max_tokens=config.max_tokens,
            gradient_checkpointing=config.gradient_checkpointing,
            weight_bytes=4 if dtype.name == "float32" else 2,
            compute_bytes=2 if low else 4,
            quantize=config.quantize is not None,
            cuda=cuda,
        )
        self.report.memory = estimate
        free = free_memory(device)
        parts = (
            f"weights {in_gb(estimate.weights)}, trained {in_gb(estimate.trained)}, "
            f"activations {in_gb(estimate.activations)}, reserve {in_gb(estimate.head_room)}"
        )
        told = (
            f"needs about {in_gb(estimate.total)} ({parts}); {in_gb(free)} free on {device.torch}."
        )
        ok = estimate.total <= free
        return _Finding(told, ok, "" if ok else _cheaper(config, cuda=cuda))

    def _disk(self) -> _Finding:
        assert self.report.memory is not None
        place = self.config.out.absolute()
        while not place.exists():
            place = place.parent
        free, need = shutil.disk_usage(place).free, self.report.memory.disk
        told = f"needs about {in_gb(need)}; {in_gb(free)} free."
        return _Finding(
            told, need <= free, "" if need <= free else "Choose a folder with more room."
        )

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


def _cheaper(config: TrainingConfig, *, cuda: bool) -> str:
    """What would make the run smaller, the least costly thing first."""
    advice = []
    if not config.gradient_checkpointing:
        advice.append("turn gradient_checkpointing on")
    if config.batch_size > 1:
        advice.append("halve batch_size and double accumulation (the result stays the same)")
    if config.tuning == "full":
        advice.append("use tuning: lora")
    elif config.quantize is None and cuda:
        advice.append("use quantize: 4bit")
    advice.append("lower max_tokens")
    return f"To need less: {'; '.join(advice)}."


def sample_rows(count: int, most: int, seed: int) -> list[int]:
    """At most ``most`` of ``count`` row numbers, in order."""
    if count <= most:
        return list(range(count))
    return sorted(random.Random(seed).sample(range(count), most))
