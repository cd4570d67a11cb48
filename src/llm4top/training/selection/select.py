"""Model selection: candidates by successive halving, baselines, a blend, and one choice.

Its plan estimates the cost before any weight is loaded.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from llm4top.data.dataset import Dataset, load_dataset
from llm4top.errors import ConfigError, PreflightError
from llm4top.files import write_json
from llm4top.forecasters.finetuning.activations import model_shape
from llm4top.forecasters.model.base_model import prepare_process
from llm4top.forecasters.model.model_files import resolve_base
from llm4top.forecasters.model.tokenizer import load_tokenizer
from llm4top.processes import process_count
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.prompts.prompt import PromptWriter
from llm4top.training.config import prompt_spec
from llm4top.training.memory import sample_rows
from llm4top.training.preflight import PreflightReport, preflight
from llm4top.training.run_folder import RunFolder
from llm4top.training.selection.baselines import (
    BASE_RATE,
    NOT_BLENDED,
    BaselineModels,
    chosen_baselines,
)
from llm4top.training.selection.candidates import (
    Candidate,
    Rung,
    SelectSettings,
    make_candidates,
    make_rungs,
    rung_steps,
    whole_steps,
)
from llm4top.training.selection.decision import Finalists, assess_blend, decide
from llm4top.training.selection.finalize import Findings, to_selection, write_results
from llm4top.training.selection.report import write_selection_report
from llm4top.training.selection.runs import FinishedRun, Runs, middle_run
from llm4top.training.selection.selection_file import (
    SELECTION_FILE,
    Selection,
    SelectionScorer,
    StackOutcome,
)


def select(
    settings: SelectSettings, *, reproduce: str = "", progress: OnProgress = ignore
) -> Selection:
    """Choose a forecaster on the validation split, with the reasons.

    Candidates are compared by successive halving (``make_rungs``); the last one is trained in
    full, as ``train`` does it. Baselines are compared with it and checked on newer trials than
    they were fitted on, and a blend of the language model and the best baseline is tried. Test
    rows are dropped before anything else. A selection that was stopped or killed resumes when it
    is called again; candidates can be added.

    Args:
        settings: From ``make_select_settings``. ``settings.out`` gets ``selection.json``,
            ``report.*``, ``runs/``, ``baseline/`` (the best one) and ``bundle/`` (the choice).
        reproduce: The command as the user typed it, for the report.
        progress: Called with each step as stage "selection", and with each training's progress.

    Raises:
        ConfigError, PreflightError: With every fault, before anything starts.
        TooFewRowsError: The validation split is too small.
        TrainingError: Another process writes to the folder, or every candidate fails.
    """
    prepare_process()
    if process_count() > 1:
        raise ConfigError(
            "a selection runs in one process.",
            ["torchrun: train the chosen candidate with it afterwards, with llm4top train"],
        )
    candidates = make_candidates(settings)
    names = chosen_baselines(settings.baselines, settings.encoder)
    dataset = learning_part(settings.data)
    scorer = SelectionScorer.of(dataset.select("valid"), draws=settings.draws, split="valid")
    check_folder(settings.out)
    raise_for_faults(check_candidates(settings, candidates, dataset))
    folder = RunFolder(settings.out)
    with folder.locked():
        work = _Selecting(settings, dataset, scorer, folder, reproduce, progress)
        return work.run(candidates, names)


def learning_part(data: Path) -> Dataset:
    """The data set without its test rows: a selection has nothing to do with them."""
    whole = load_dataset(data)
    return whole.take([i for i, split in enumerate(whole.splits) if split != "test"])


def check_folder(out: Path) -> None:
    """``ConfigError`` where ``out`` holds something that no selection wrote."""
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    ours = found & {SELECTION_FILE, "events.jsonl"} or found <= {".lock", "state.json"}
    if "run.json" in found or not ours:
        raise ConfigError(
            "the settings of the selection are wrong.",
            [f"out: {out} holds something else; choose another folder"],
        )


def check_candidates(
    settings: SelectSettings, candidates: tuple[Candidate, ...], dataset: Dataset
) -> dict[str, PreflightReport]:
    """The preflight of each candidate, by name; loads no weights."""
    nowhere = settings.out / "runs" / "preflight"
    return {
        candidate.name: preflight(
            candidate.config(settings, seed=settings.seeds[0], out=nowhere), dataset=dataset
        )
        for candidate in candidates
    }


def raise_for_faults(reports: Mapping[str, PreflightReport]) -> None:
    """``PreflightError`` with every candidate's faults; nothing without one."""
    faults = [
        f"{name}: {check.name}: {check.detail} {check.hint}".rstrip()
        for name, report in reports.items()
        for check in report.checks
        if not check.ok
    ]
    if faults:
        raise PreflightError("the selection would fail.", faults)


@dataclass(slots=True)
class _Selecting:
    settings: SelectSettings
    dataset: Dataset
    scorer: SelectionScorer
    folder: RunFolder
    reproduce: str
    progress: OnProgress
    _done: int = 0
    _total: int = 1

    def run(self, candidates: tuple[Candidate, ...], names: tuple[str, ...]) -> Selection:
        """Select, and record in ``state.json`` how it ended."""
        rungs, probes = _rungs(candidates, self.settings)
        # A probe gives the same with every seed.
        runs = (sum(r.candidates for r in rungs) - probes) * len(self.settings.seeds) + probes
        # Each baseline, one check in time, the runs, the stack, the result.
        self._total = len(names) + 1 + runs + 2
        self.folder.record("running")
        with self.folder.recorded(stopped="stopped on request; the same command resumes it"):
            selection = self._go(candidates, names)
        self.folder.record("done", selection.why[0])
        return selection

    def _go(self, candidates: tuple[Candidate, ...], names: tuple[str, ...]) -> Selection:
        settings = self.settings
        models = BaselineModels(
            self.dataset, self.scorer, settings.out / "baselines", settings.encoder, self._begin
        )
        models.fit(names)
        best, baselines, in_time = models.best()
        runs = Runs(settings, self.dataset, self.scorer, self._on_run)
        rungs, finished = runs.halve(candidates)
        run = middle_run(finished)
        finalists = Finalists(
            _name_of(run, settings),
            run.logits,
            run.losses,
            best,
            models.found[BASE_RATE],
            self.scorer,
        )
        self._begin("choice")
        stack, pool, losses = StackOutcome(taken=False, reason=_NOT_TRIED), None, None
        if settings.stack and best.name in NOT_BLENDED:
            stack = StackOutcome(taken=False, reason=_NO_ENCODER)
        elif settings.stack:
            stack, pool, losses = assess_blend(finalists, self.dataset.select("valid"))
        findings = Findings(
            settings,
            self.dataset,
            candidates,
            rungs,
            run,
            finalists,
            models,
            baselines,
            stack,
            pool,
            losses,
            decide(finalists, stack, losses, in_time),
        )
        self._begin("result")
        selection = to_selection(findings, write_results(findings, self.progress))
        write_json(settings.out / SELECTION_FILE, selection.model_dump(mode="json"))
        write_selection_report(findings, selection, self.reproduce)
        return selection

    def _on_run(self, what: str) -> OnProgress:
        self._begin(what)
        return self.progress

    def _begin(self, what: str) -> None:
        self._done += 1
        self.folder.add_event("begin", what=what)
        self.progress(Progress("selection", self._done, self._total, what))


_NOT_TRIED = "No blend was tried (--no-stack)."
_NO_ENCODER = (
    "No blend was tried: the best baseline reads with a text encoder, which a bundle cannot hold."
)


def _rungs(
    candidates: tuple[Candidate, ...], settings: SelectSettings
) -> tuple[tuple[Rung, ...], int]:
    """The rungs, and how many of the candidates are probes, which are in the last one only."""
    probes = sum(candidate.is_probe for candidate in candidates)
    return make_rungs(len(candidates) - probes, settings.eta, probes), probes


def _name_of(run: FinishedRun, settings: SelectSettings) -> str:
    several = len(settings.seeds) > 1
    return run.outcome.candidate + (f", seed {run.outcome.seed}" if several else "")


_SAMPLE = 100
_FLOPS_LEARNT = 6
_FLOPS_READ = 2
"""Operations per parameter and token, training and reading (Kaplan et al. 2020, section 2.1)."""


@dataclass(frozen=True, slots=True)
class PlannedRung:
    """A rung: so many candidates, each with every seed, for so many steps (least and most)."""

    number: int
    candidates: int
    keep: int
    runs: int
    share: float
    least_steps: int
    most_steps: int
    tokens_learnt: int
    tokens_read: int
    petaflop: float


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """All rungs, and the preflight of each candidate.

    Costs are upper bounds: the most expensive candidates are assumed to survive and nothing stops
    early. Tokens are estimated from a sample of prompts; ``petaflop`` counts operations.
    """

    candidates: tuple[Candidate, ...]
    baselines: tuple[str, ...]
    rungs: tuple[PlannedRung, ...]
    checks: Mapping[str, PreflightReport]
    folds: int = 0

    @property
    def ok(self) -> bool:
        """Whether no candidate would fail."""
        return all(report.ok for report in self.checks.values())

    @property
    def final_fits(self) -> int:
        """Trainings of the winner after the choice, at most: its folds, and on all rows."""
        return self.folds + 1 if self.folds else 0

    @property
    def runs(self) -> int:
        """Training runs, all seeds counted."""
        return sum(rung.runs for rung in self.rungs)


class _Cost(NamedTuple):
    flop: float
    steps: int
    learnt: int
    read: int


def plan_selection(settings: SelectSettings) -> SelectionPlan:
    """The plan of ``select``, which raises the same errors except faults of candidates."""
    candidates = make_candidates(settings)
    baselines = chosen_baselines(settings.baselines, settings.encoder)
    dataset = learning_part(settings.data)
    SelectionScorer.of(dataset.select("valid"), draws=settings.draws, split="valid")
    check_folder(settings.out)
    checks = check_candidates(settings, candidates, dataset)
    able = [c for c in candidates if checks[c.name].ok]
    once = [_costs(c, settings, dataset) for c in able if c.is_probe]
    halved = [_costs(c, settings, dataset) for c in able if not c.is_probe]
    seeds, rungs = len(settings.seeds), []
    planned, probes = _rungs(candidates, settings)
    for rung in planned:
        last = rung is planned[-1]
        stepped = rung.candidates - probes * last
        costs = sorted((cost(rung.share) for cost in halved), reverse=True)
        dearest = costs[:stepped] * seeds + [cost(rung.share) for cost in once if last]
        rungs.append(
            PlannedRung(
                number=rung.number,
                candidates=rung.candidates,
                keep=rung.keep,
                runs=stepped * seeds + probes * last,
                share=rung.share,
                least_steps=min((cost.steps for cost in costs), default=0),
                most_steps=max((cost.steps for cost in costs), default=0),
                tokens_learnt=sum(cost.learnt for cost in dearest),
                tokens_read=sum(cost.read for cost in dearest),
                petaflop=sum(cost.flop for cost in dearest) / 1e15,
            )
        )
    folds = settings.folds if settings.final_fit == "all" else 0
    return SelectionPlan(candidates, baselines, tuple(rungs), checks, folds)


def _costs(
    candidate: Candidate, settings: SelectSettings, dataset: Dataset
) -> Callable[[float], _Cost]:
    """What one run of a candidate costs, as a function of the share of its steps."""
    config = candidate.config(settings, seed=settings.seeds[0], out=settings.out)
    folder, train = resolve_base(config.base), dataset.select("train")
    parameters, valid_rows = model_shape(folder).parameters, dataset.splits.count("valid")
    trials = train.take(sample_rows(len(train), _SAMPLE, 0)).trials
    spec = prompt_spec(config, trials, dataset.task)
    writer = PromptWriter(load_tokenizer(folder), dataset.task, spec)
    tokens = sum(len(writer.write(trial).token_ids) for trial in trials) / max(len(trials), 1)
    rows_a_step = config.batch_size * config.accumulation
    every = max(math.ceil(len(train) / rows_a_step) // config.evals_per_epoch, 1)

    def cost(share: float) -> _Cost:
        if candidate.is_probe:
            # Every trial is read once, and those that calibrate it once more.
            passed = (len(train) + 2 * valid_rows) * tokens
            return _Cost(_FLOPS_READ * parameters * passed, 0, 0, round(passed))
        steps = rung_steps(whole_steps(config, len(train)), share, settings.least_steps)
        learnt = steps * rows_a_step * tokens
        # Every evaluation reads the validation split, and so does the scoring at the end.
        read = (math.ceil(steps / every) + 1) * valid_rows * tokens
        flop = parameters * (_FLOPS_LEARNT * learnt + _FLOPS_READ * read)
        return _Cost(flop, steps, round(learnt), round(read))

    return cost
