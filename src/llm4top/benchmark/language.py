"""The language models of a benchmark: which weights a name stands for, loaded one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.errors import BundleError
from llm4top.forecasters.bundles.paths import resolve_bundle
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.forecaster import Forecaster, release_memory
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.model_files import BaseIdentity, identify, resolve_base
from llm4top.prompts.prompt import PromptSpec
from llm4top.prompts.sections import SECTION_NAMES, SECTIONS_BEYOND_RECORDS
from llm4top.tasks.task import Task
from llm4top.training.config import preset_value


@dataclass(frozen=True)
class LanguageModel:
    """One entry of ``--base``.

    ``bundle`` is the folder of a bundle that answers the task as it is; ``base`` the folder of the
    weights to prompt and to tune, None for a bundle of baselines. ``seen`` says that it was trained
    on labelled trials.
    """

    name: str
    bundle: Path | None
    base: Path | None
    seen: bool

    @cached_property
    def identity(self) -> BaseIdentity:
        """Which base model it is."""
        if self.base is None:
            raise BundleError("has no language model.", where=self.name)
        return identify(self.base)

    @property
    def key(self) -> str:
        """What pieces made with it depend on."""
        if self.bundle is None:
            return self.identity.sha256
        return read_manifest(self.bundle).identity


def find_models(settings: BenchmarkSettings, task: Task) -> list[LanguageModel]:
    """The models of ``settings.bases``, under names that tell them apart.

    Raises ``ModelNotFoundError`` and ``BundleError`` for what is not on this machine.
    """
    found = [_find(name, task) for name in settings.bases]
    names = [model.name for model in found]
    return [
        model
        if names.count(model.name) == 1
        else LanguageModel(f"{model.name} ({model.key[-6:]})", model.bundle, model.base, model.seen)
        for model in found
    ]


def _find(name: str, task: Task) -> LanguageModel:
    try:
        folder = resolve_bundle(name)
    except BundleError:
        base = resolve_base(name)
        return LanguageModel(_short(name), None, base, seen=False)
    manifest = read_manifest(folder)
    answers = manifest.task == task
    entry = manifest.language
    if entry is None:
        if not answers:
            raise BundleError(f"answers {manifest.task.name!r}, not {task.name!r}.", where=name)
        return LanguageModel(_short(name), folder, None, seen=True)
    base = folder / "base" if entry.base.carried else resolve_base(entry.base.id)
    # An adapter stays in its bundle; a fully tuned model's weights are the base itself.
    seen = entry.tuning.method == "full"
    return LanguageModel(_short(name), folder if answers else None, base, seen)


def _short(name: str) -> str:
    return Path(name).name or name


def prompt_spec(settings: BenchmarkSettings, limit: int | None) -> PromptSpec:
    """The prompts of a model that is asked untrained: budget, and what a record can carry."""
    preset = settings.training.get("max_tokens", preset_value(settings.preset, "max_tokens"))
    budget = settings.max_tokens or int(preset)
    sections = tuple(name for name in SECTION_NAMES if name not in SECTIONS_BEYOND_RECORDS)
    return PromptSpec(min(budget, limit) if limit else budget, sections)


class Loader:
    """Holds one model at a time: a benchmark needs no more memory than its largest model."""

    def __init__(self, settings: BenchmarkSettings, task: Task):
        self._settings = settings
        self._task = task
        self._key: str = ""
        self._held: Any = None

    def untrained(self, model: LanguageModel) -> LanguageForecaster:
        """The base model as it is, asked the task's question."""

        def load() -> LanguageForecaster:
            base = load_base(model.base or "", device=self._settings.device)
            spec = prompt_spec(self._settings, base.context_length)
            return LanguageForecaster.from_model(base, self._task, spec=spec)

        held: LanguageForecaster = self._hold(f"base {model.base}", load)
        return held

    def bundle(self, folder: Path, base: Path | None) -> Forecaster:
        """The forecaster in a bundle."""

        def load() -> Forecaster:
            entry = read_manifest(folder).language
            needed = None if entry is None or entry.base.carried else base
            return load_bundle(folder, device=self._settings.device, base=needed)

        held: Forecaster = self._hold(f"bundle {folder}", load)
        return held

    def drop(self) -> None:
        """Release the model that is held."""
        self._key, self._held = "", None
        release_memory()

    def _hold(self, key: str, load: Callable[[], Any]) -> Any:
        if self._held is None or key != self._key:
            self.drop()
            self._held, self._key = load(), key
        return self._held
