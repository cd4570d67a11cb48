"""Prompt ablation and contamination probes of each language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llm4top.benchmark.language_models import Desk as LanguageDesk
from llm4top.benchmark.language_models import LanguageWork
from llm4top.benchmark.rows import POOLED
from llm4top.evaluation.probes.ablation import prompt_ablation
from llm4top.evaluation.probes.contamination import contamination_probes
from llm4top.evaluation.reports.report import VariantTable


@dataclass(frozen=True, slots=True)
class ProbeWork:
    """One probe of one model, on validation rows."""

    kind: str
    work: LanguageWork
    desk: LanguageDesk

    @property
    def title(self) -> str:
        """What is being done, in words."""
        words = "Prompt ablation" if self.kind == "ablation" else "Contamination probes"
        return f"{words}: {self.work.name}"

    def done(self) -> bool:
        """Whether the piece is there already."""
        return self.desk.pieces.has("probe", self._came_from())

    def run(self) -> list[VariantTable]:
        """The probe's tables; raises what the probe raises."""
        stored = self.desk.pieces.values("probe", self._came_from(), self._probed)
        return [VariantTable.model_validate(table) for table in stored]

    def _came_from(self) -> dict[str, Any]:
        settings = self.desk.settings
        return {
            "probe": self.kind,
            "model": self.work._came_from(),
            "rows": settings.probe_trials,
            "cutoff": settings.cutoff,
            "seed": settings.seed,
            "draws": settings.draws,
        }

    def _probed(self) -> list[dict[str, Any]]:
        settings = self.desk.settings
        forecaster: Any = self.work.forecaster()
        rows = self.work.fold.checks["valid"]
        shared: dict[str, Any] = {
            "limit": settings.probe_trials,
            "seed": settings.seed,
            "draws": settings.draws,
            "on_progress": self.desk.on_prompts,
        }
        tables: Sequence[VariantTable]
        if self.kind == "ablation":
            tables = [prompt_ablation(forecaster, rows, **shared)]
        else:
            tables = contamination_probes(forecaster, rows, cutoff=settings.cutoff, **shared)
        named = (t.model_copy(update={"forecaster": self.work.name}) for t in tables)
        return [table.model_dump(mode="json") for table in named]


def probe_work(language: Sequence[LanguageWork], desk: LanguageDesk) -> Iterator[ProbeWork]:
    """What is probed: untrained weights for contamination, what has learnt for ablation."""
    if not desk.settings.probe_trials:
        return
    for work in language:
        if work.fold.name != "split" or work.phase != POOLED or work.model.base is None:
            continue
        if work.way in ("zero-shot", "as shipped"):
            yield ProbeWork("contamination", work, desk)
        if work.way in ("LoRA", "as shipped"):
            yield ProbeWork("ablation", work, desk)
