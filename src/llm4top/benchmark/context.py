"""What all work of a benchmark shares: rows, settings, finished work, and one model in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4top.benchmark.cache import WorkCache
from llm4top.benchmark.rows import Rows
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.forecaster import Forecaster, release_memory
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.served import ServedBase
from llm4top.progress import OnProgress, ignore
from llm4top.prompts.prompt import PromptSpec
from llm4top.prompts.sections import SECTION_NAMES, SECTIONS_BEYOND_RECORDS
from llm4top.tasks.task import Task
from llm4top.training.config import preset_value


class Loader:
    """Holds one model at a time: a benchmark needs no more memory than its largest model."""

    def __init__(self, settings: BenchmarkSettings, task: Task):
        self._settings = settings
        self._task = task
        self._key = ""
        self._held: Any = None

    def untrained(self, base: Path) -> LanguageForecaster:
        """The base model without training, with the benchmark's task."""

        def load() -> LanguageForecaster:
            loaded = load_base(base, device=self._settings.device, **number_types(self._settings))
            spec = prompt_spec(self._settings, loaded.context_length)
            return LanguageForecaster.from_model(loaded, self._task, spec=spec)

        held: LanguageForecaster = self._hold(f"base {base}", load)
        return held

    def served(self, base: ServedBase) -> LanguageForecaster:
        """The model on a server, with the benchmark's task."""
        spec = prompt_spec(self._settings, None)
        held: LanguageForecaster = self._hold(
            f"served {base.sha256}", lambda: base.language(self._task, spec)
        )
        return held

    def bundle(self, folder: Path, base: Path | None) -> Forecaster:
        """The forecaster in a bundle."""

        def load() -> Forecaster:
            entry = read_manifest(folder).language
            needed = None if entry is None or entry.base.carried else base
            types = {k: v for k, v in number_types(self._settings).items() if k == "dtype"}
            return load_bundle(folder, device=self._settings.device, base=needed, **types)

        held: Forecaster = self._hold(f"bundle {folder}", load)
        return held

    def release(self) -> None:
        """Release the model that is held."""
        self._key, self._held = "", None
        release_memory()

    def _hold(self, key: str, load: Callable[[], Any]) -> Any:
        if self._held is None or key != self._key:
            self.release()
            self._held, self._key = load(), key
        return self._held


@dataclass(frozen=True, slots=True)
class Context:
    """What all work of a benchmark shares."""

    rows: Rows
    settings: BenchmarkSettings
    cache: WorkCache
    loader: Loader
    on_prompts: OnProgress | None = None
    on_training: OnProgress = ignore

    @classmethod
    def of(cls, rows: Rows, settings: BenchmarkSettings, **callbacks: Any) -> Context:
        """The context of a benchmark in the folder ``settings.out``."""
        cache = WorkCache(settings.out / "pieces")
        return cls(rows, settings, cache, Loader(settings, rows.dataset.task), **callbacks)


def number_types(settings: BenchmarkSettings) -> dict[str, Any]:
    """The training settings that also say how an untrained model is loaded, where they are set.

    A model that is fine-tuned in 4 bits or in bfloat16 may fit in no other way.
    """
    named = {key: settings.training.get(key) for key in ("dtype", "quantize")}
    return {key: value for key, value in named.items() if value is not None}


def prompt_spec(settings: BenchmarkSettings, limit: int | None) -> PromptSpec:
    """The prompts of untrained models: their budget, and the sections that a record can have."""
    preset = settings.training.get("max_tokens", preset_value(settings.preset, "max_tokens"))
    budget = settings.max_tokens or int(preset)
    sections = tuple(name for name in SECTION_NAMES if name not in SECTIONS_BEYOND_RECORDS)
    return PromptSpec(min(budget, limit) if limit else budget, sections)
