"""Precedents: the earlier trials with known outcome that are most like one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import binomtest

from llm4top.data.dataset import Dataset
from llm4top.data.parquet import decode_trial
from llm4top.errors import BundleError, LLM4TOPError, RegistryError
from llm4top.forecasters.base_rates import BaseRates, base_rate_of, rates_of_counts
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.precedents.build import build_index
from llm4top.forecasters.precedents.dates import first_day, last_day, start_of
from llm4top.forecasters.precedents.differences import differences
from llm4top.forecasters.precedents.found import LINK, Found, Neighbour, OutcomeShare
from llm4top.forecasters.precedents.fusion import best, fuse
from llm4top.forecasters.precedents.states import StateIndex, hidden_states, representation_of
from llm4top.forecasters.precedents.store import IndexCard, read_index
from llm4top.forecasters.precedents.words import WordIndex, words_text
from llm4top.paths import home_folder
from llm4top.progress import OnProgress, ignore
from llm4top.registry.trial import Record, Trial
from llm4top.tasks.task import Task

DEEPEST = 200
"""How many trials each view ranks, at least: what is far down in both changes no fused rank."""
NOTHING_EARLIER = "No trial of the index was completed before this one's start."
NOT_ALIKE = (
    "None of the earlier trials has more words in common with this one than pairs of trials have "
    "by chance."
)
_AGAIN = (
    "To compare by the model as well, build the index again: `llm4top precedents build "
    'DATASET_OR_RECORDS --overwrite`, or "Build precedents" on the data set\'s page in the Studio.'
)
OTHER_MODEL = (
    f"Compared by words alone: the index was built with {{built}}, and the language model here "
    f"({{here}}) reads trials in another way. {_AGAIN}"
)
NO_MODEL = (
    f"Compared by words alone: {{built}}, with which the index was built, is not on this machine. "
    f"{_AGAIN}"
)


def default_folder() -> Path:
    """Where an index lies if nothing else is said: ``precedents`` in the home folder."""
    return home_folder() / "precedents"


@dataclass(frozen=True, slots=True)
class _Start:
    """The day before which precedents were completed, and what it is."""

    day: int
    what: str


@dataclass(frozen=True, slots=True, eq=False)
class _Alike:
    """Cosines by words of all earlier trials, and the query's state (None: words alone)."""

    words: NDArray[np.float32]
    state: NDArray[np.float32] | None


class Precedents:
    """An index of earlier trials with known outcome; see ``build``, ``load`` and ``find``.

    The index is of one question: its labels are those of ``task``. Completion dates and labels are
    the label side of its trials. They are never compared, and no forecast reads them.
    """

    def __init__(
        self, card: IndexCard, trials: pa.Table, words: WordIndex, states: StateIndex | None
    ):
        self.card = card
        self.task = Task.from_dict(dict(card.task))
        self._words, self._states = words, states
        self._ids: list[str] = trials.column("nct_id").to_pylist()
        self._completed: list[str] = trials.column("completion_date").to_pylist()
        self._started: list[str | None] = trials.column("start_date").to_pylist()
        self._trials = trials.column("trial")
        positions = {label: i for i, label in enumerate(self.task.labels)}
        self._labels = np.array([positions[v] for v in trials.column("label").to_pylist()])
        phases: list[str | None] = trials.column("phase").to_pylist()
        self._phase_names = sorted({phase for phase in phases if phase is not None})
        codes = {phase: i for i, phase in enumerate(self._phase_names)}
        self._phases = np.array([codes[p] if p is not None else len(codes) for p in phases])
        self._days = np.array([last_day(text) or 0 for text in self._completed], dtype=np.int64)
        if (np.diff(self._days) < 0).any() or not self._days.all():
            raise BundleError("the trials of the index are not in the order of their completion.")

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        return f"<Precedents {self.card.name!r}, task {self.task.name!r}: {len(self)} trials>"

    @classmethod
    def build(
        cls,
        source: Dataset | str | Path | Sequence[str | Path],
        out: str | Path | None = None,
        *,
        task: Task | str | None = None,
        model: Forecaster | str | None = "embedded",
        replace: bool = False,
        on_refusal: Callable[[RegistryError], None] | None = None,
        on_progress: OnProgress = ignore,
    ) -> Self:
        """Build an index and load it.

        Trials without a completion date are left out and counted on the card, and so is the test
        split of a data set.

        Args:
            source: A data set or its folder, or records: files, folders or zips, TOP's among them.
            out: The folder of the index; ``default_folder()`` where None.
            task: The question, for records; by default "outcome" for TOP's files, whose labels
                they bring, and "completion" for others, whose status tells it.
            model: The forecaster whose language model reads the trials, or its name or folder;
                None compares by words alone.
            replace: Whether to exchange an index that is there.
            on_refusal: Called with the error of each record that cannot be read.
            on_progress: Called with what is being done, and how far it is.

        Raises:
            DatasetError: The source cannot be read, or no trial has a completion date.
            BundleError: The model has no language model, or ``out`` cannot be written.
        """
        folder = default_folder() if out is None else Path(out)
        named = model if isinstance(model, str) else None
        build_index(
            source,
            folder,
            task=task,
            forecaster=load_forecaster(model) if isinstance(model, str) else model,
            model=named,
            replace=replace,
            on_refusal=on_refusal,
            on_progress=on_progress,
        )
        return cls.load(folder)

    @classmethod
    def load(cls, folder: str | Path | None = None) -> Self:
        """Load the index in ``folder`` (``default_folder()`` where None), once it is verified.

        Raises:
            BundleError: There is none, it is of another version, or its files do not fit together.
            TamperedBundleError: A file was changed since it was built.
        """
        path = default_folder() if folder is None else Path(folder)
        card, trials, words, states = read_index(path)
        try:
            return cls(
                card,
                trials,
                WordIndex.from_arrays(words, card.trials),
                None if states is None else StateIndex.from_arrays(states, card.trials),
            )
        except LLM4TOPError as error:
            raise BundleError(error.message, where=str(path), hint=error.hint) from error
        except (KeyError, TypeError) as error:
            raise BundleError("its labels are not those of its card.", where=str(path)) from error

    def goes_with(self, forecaster: Forecaster) -> bool:
        """Whether the index's hidden states are of the language model that the forecaster has."""
        if self.card.representation is None:
            return forecaster.identity == self.card.model_identity
        return representation_of(forecaster) == self.card.representation

    @cached_property
    def _places(self) -> dict[str, int]:
        return {nct_id: place for place, nct_id in enumerate(self._ids)}

    def find(
        self,
        record: Record | Trial,
        k: int = 10,
        *,
        before: str | None = None,
        forecaster: Forecaster | None = None,
    ) -> Found:
        """The ``k`` earlier trials that are most like a record.

        Two rankings, by words and by the language model's hidden states, are fused by reciprocal
        rank. Only trials that were completed before this one's start are ranked at all (see
        ``precedents.dates``), and never the record's own trial.

        Args:
            record: A record, or a trial.
            k: How many, from 1.
            before: The day (ISO) that stands for the start; by default the planned start, then the
                record's start, then today.
            forecaster: A loaded one, in place of the index's; see ``goes_with``.

        Raises ``DatasetError`` where ``before`` is no date, ``ValueError`` for a ``k`` below 1.
        """
        if k < 1:
            raise ValueError("k must be 1 or more.")
        trial = record.trial if isinstance(record, Record) else record
        nct_id = record.nct_id if isinstance(record, Record) else None
        start = _start_of(record, before)
        within = int(np.searchsorted(self._days, start.day, side="left"))
        notes = [] if within else [NOTHING_EARLIER]
        alike = self._similarities(trial, within, forecaster, notes)
        ranked = self._ranked(alike, within, k, self._places.get(nct_id or ""))
        rates = self._base_rates(within)
        if within and alike.words.max(initial=0) < self.card.by_chance:
            notes.append(NOT_ALIKE)
        phase, shares = base_rate_of(rates, trial.phase) or (None, ())
        return Found(
            nct_id=nct_id,
            before=date.fromordinal(start.day).isoformat(),
            before_is=start.what,
            earlier=within,
            later=len(self) - within,
            shares=self._shares(ranked, shares),
            base_phase=phase,
            base_n=rates[phase].n if phase else 0,
            neighbours=self._neighbours(ranked, trial, alike),
            index=f"{self.card.name} {self.card.data.sha256[:12]}",
            task=self.task.name,
            notes=tuple(notes),
        )

    def _similarities(
        self, trial: Trial, within: int, forecaster: Forecaster | None, notes: list[str]
    ) -> _Alike:
        words = self._words.similarities(self._words.query(words_text(trial)), within)
        reader = self._reader(forecaster, notes)
        if reader is None or self._states is None:
            return _Alike(words, None)
        return _Alike(words, self._states.query(hidden_states(reader, [trial])[0]))

    def _reader(self, forecaster: Forecaster | None, notes: list[str]) -> Forecaster | None:
        """The model that the index was built with; None, and a note, where it is another one."""
        if self._states is None or self.card.model is None:
            return None
        if forecaster is None:
            try:
                forecaster = self._model
            except LLM4TOPError:
                notes.append(NO_MODEL.format(built=self.card.model_identity))
                return None
        if not self.goes_with(forecaster):
            built, here = self.card.model_identity, forecaster.identity
            notes.append(OTHER_MODEL.format(built=built, here=here))
            return None
        return forecaster

    @cached_property
    def _model(self) -> Forecaster:
        return load_forecaster(self.card.model or "embedded", weights=False)

    def _ranked(self, alike: _Alike, within: int, k: int, own: int | None) -> NDArray[np.int64]:
        depth = max(DEEPEST, 2 * k) + 1
        rankings = [best(alike.words, depth)]
        if alike.state is not None and self._states is not None:
            rankings.append(self._states.nearest(alike.state, within, depth))
        # The record's own trial leaves before ranks are counted.
        rankings = [ranking[ranking != own] if own is not None else ranking for ranking in rankings]
        return fuse(rankings)[:k]

    def _neighbours(
        self, ranked: NDArray[np.int64], trial: Trial, alike: _Alike
    ) -> tuple[Neighbour, ...]:
        by_model: list[float | None] = [None] * len(ranked)
        if alike.state is not None and self._states is not None:
            by_model = [*map(float, self._states.similarity(alike.state, ranked))]
        found = []
        for rank, place in enumerate(ranked.tolist(), start=1):
            there = decode_trial(self._trials[place].as_py())
            found.append(
                Neighbour(
                    rank=rank,
                    nct_id=self._ids[place],
                    title=title_of(there),
                    phase=there.phase,
                    outcome=self.task.labels[self._labels[place]],
                    start_date=self._started[place],
                    completion_date=self._completed[place],
                    words=float(alike.words[place]),
                    model=by_model[rank - 1],
                    link=LINK + self._ids[place],
                    differences=differences(trial, there),
                )
            )
        return tuple(found)

    def _shares(self, ranked: NDArray[np.int64], base: Sequence[float]) -> tuple[OutcomeShare, ...]:
        n = len(ranked)
        if not n:
            return ()
        counts = np.bincount(self._labels[ranked], minlength=len(self.task.labels))
        found = []
        for label, count, rate in zip(self.task.labels, counts.tolist(), base, strict=True):
            bounds: Any = binomtest(count, n).proportion_ci(method="wilson")
            found.append(
                OutcomeShare(label, count, count / n, float(bounds.low), float(bounds.high), rate)
            )
        return tuple(found)

    def _base_rates(self, within: int) -> BaseRates:
        """Base rates of the first ``within`` trials; see ``measure_base_rates``."""
        labels, phases = len(self.task.labels), len(self._phase_names) + 1
        cells = self._phases[:within] * labels + self._labels[:within]
        counts = np.bincount(cells, minlength=labels * phases).reshape(phases, labels)
        by_phase = dict(zip(self._phase_names, counts.tolist(), strict=False))
        return rates_of_counts(by_phase, counts.sum(axis=0).tolist())


def title_of(trial: Trial) -> str:
    """The trial's title; without one its interventions and conditions."""
    drugs = ", ".join(item.name for item in trial.interventions)
    conditions = ", ".join(trial.conditions)
    parts = " for ".join(part for part in (drugs, conditions) if part)
    return trial.brief_title or trial.official_title or parts or "no title"


def _start_of(record: Record | Trial, before: str | None) -> _Start:
    if before is not None:
        return _Start(start_of(before), "given")
    trial = record.trial if isinstance(record, Record) else record
    dates = [(trial.planned_start, "planned start")]
    if isinstance(record, Record):
        # Known when the trial began: only the date rule reads it, never what is compared.
        dates.append((record.registry_outcome.start_date, "start date"))
    for text, what in dates:
        day = first_day(text) if text else None
        if day is not None:
            return _Start(day, what)
    return _Start(date.today().toordinal(), "today")
