"""Prompt ablation and contamination probes of each language model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llm4top.benchmark.context import Context
from llm4top.benchmark.language_models import LanguageWork
from llm4top.benchmark.rows import POOLED
from llm4top.evaluation.probes.ablation import prompt_ablation
from llm4top.evaluation.probes.contamination import contamination_probes
from llm4top.evaluation.reports.report import VariantTable


@dataclass(frozen=True, slots=True)
class ProbeWork:
    """One kind of probe of one model, on validation rows."""

    kind: str
    work: LanguageWork
    context: Context

    @property
    def title(self) -> str:
        """What is being done, in words."""
        words = "Prompt ablation" if self.kind == "ablation" else "Contamination probes"
        return f"{words}: {self.work.name}"

    def inputs(self) -> dict[str, Any]:
        """Everything that the tables depend on."""
        settings = self.context.settings
        return {
            "probe": self.kind,
            "model": self.work.inputs(),
            "rows": settings.probe_trials,
            "cutoff": settings.cutoff,
            "seed": settings.seed,
            "draws": settings.draws,
        }

    def done(self) -> bool:
        """Whether it is finished already."""
        return self.context.cache.has("probe", self.inputs())

    def run(self) -> list[VariantTable]:
        """The probe's tables; raises what the probe raises."""
        stored = self.context.cache.values("probe", self.inputs(), self._tables)
        return [VariantTable.model_validate(table) for table in stored]

    def _tables(self) -> list[dict[str, Any]]:
        settings = self.context.settings
        forecaster: Any = self.work.forecaster()
        rows = self.work.fold.checks["valid"]
        options: dict[str, Any] = {
            "limit": settings.probe_trials,
            "seed": settings.seed,
            "draws": settings.draws,
            "name": self.work.name,
            "on_progress": self.context.on_prompts,
        }
        if self.kind == "ablation":
            tables = [prompt_ablation(forecaster, rows, **options)]
        else:
            tables = list(contamination_probes(forecaster, rows, cutoff=settings.cutoff, **options))
        return [table.model_dump(mode="json") for table in tables]


def probe_work(language: Sequence[LanguageWork], context: Context) -> Iterator[ProbeWork]:
    """Contamination probes of untrained weights, prompt ablation of trained ones."""
    if not context.settings.probe_trials:
        return
    for work in language:
        if work.fold.name != "split" or work.phase != POOLED or work.model.base is None:
            continue
        if work.variant in ("zero-shot", "as shipped"):
            yield ProbeWork("contamination", work, context)
        if work.variant in ("LoRA", "as shipped"):
            yield ProbeWork("ablation", work, context)
