"""The models one can choose from, and which is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm4top.studio.components.elements import Words
from llm4top.text import thousands

if TYPE_CHECKING:
    from llm4top.forecasters.bundles.manifest import Figure, Manifest
    from llm4top.workspace.bundles import WorkspaceBundle
    from llm4top.workspace.workspace import Workspace

METRIC = "roc_auc"
SIMPLE = "TF-IDF"
"""How the names of the simple text models on a card begin."""


def skill_line(manifest: Manifest) -> None:
    """The model's ROC-AUC with its interval beside that of a bag of words, if it was measured."""
    if said := skill_of(manifest):
        Words("p", said).classes("l4-small l4-skill")


def skill_of(manifest: Manifest) -> str:
    """``skill_line`` in words; empty where nothing was measured."""
    for evaluation in manifest.evaluations:
        named = {
            name: figures[METRIC]
            for name, figures in evaluation.forecasters.items()
            if METRIC in figures and figures[METRIC].value is not None
        }
        if not named:
            continue
        own, *_ = named
        split = {"valid": "validation", "test": "test"}.get(evaluation.split, evaluation.split)
        said = (
            f"How well this model tells trials apart: ROC-AUC {_with_interval(named[own])} on "
            f"{thousands(evaluation.n)} {split} trials (0.5 is guessing, 1 is perfect)"
        )
        simple = next((name for name in named if name.startswith(SIMPLE)), None)
        if simple is None or simple == own:
            return f"{said}."
        beside = f"{said}; a bag of words (TF-IDF) reaches {_with_interval(named[simple])}"
        better = (named[own].value or 0) >= (named[simple].value or 0)
        return f"{beside}." if better else f"{beside}, which is better."
    return ""


def _with_interval(figure: Figure) -> str:
    if figure.lower is None or figure.upper is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.lower:.3f} to {figure.upper:.3f})"


@dataclass(slots=True)
class Models:
    """The bundles of a workspace by id; ``chosen`` is the id of one."""

    workspace: Workspace
    bundles: dict[str, WorkspaceBundle]
    chosen: str

    @classmethod
    def of(cls, workspace: Workspace) -> Models:
        """All bundles, the default one chosen."""
        found = workspace.bundles.list()
        chosen = workspace.bundles.default().id
        return cls(workspace, {bundle.id: bundle for bundle in found}, chosen)

    @property
    def names(self) -> dict[str, str]:
        """What those that answer the question of the chosen one are called in a list."""
        from llm4top.forecasters.bundles.paths import EMBEDDED_NAME

        return {
            bundle_id: "Embedded default" if bundle_id == EMBEDDED_NAME else bundle.name
            for bundle_id, bundle in self.bundles.items()
            if _question(bundle) == self.question
        }

    @property
    def names_by_identity(self) -> dict[str, str]:
        """What all of them are called, by the identity that forecasts bear."""
        from llm4top.forecasters.bundles.paths import EMBEDDED_NAME

        return {
            bundle.identity: "Embedded default" if bundle_id == EMBEDDED_NAME else bundle.name
            for bundle_id, bundle in self.bundles.items()
        }

    @property
    def questions(self) -> list[str]:
        """The different questions that they answer."""
        return list(dict.fromkeys(_question(bundle) for bundle in self.bundles.values()))

    def ask(self, question: str) -> None:
        """Choose one that answers this question: the default where it does, else the first."""
        fitting = [b for b in self.bundles.values() if _question(b) == question]
        self.chosen = max(fitting, key=lambda bundle: bundle.is_default).id

    @property
    def question(self) -> str:
        """The question that the chosen one answers."""
        return _question(self.bundles[self.chosen])

    @property
    def place(self) -> str:
        """The chosen one as the forecast service takes it."""
        return self._place(self.chosen)

    def place_of(self, identity: str) -> str | None:
        """The bundle with that identity as the forecast service takes it; None where it is gone."""
        for bundle in self.bundles.values():
            if bundle.identity == identity:
                return self._place(bundle.id)
        return None

    def _place(self, bundle_id: str) -> str:
        from llm4top.forecasters.bundles.paths import EMBEDDED_NAME

        if bundle_id == EMBEDDED_NAME:
            return EMBEDDED_NAME
        return str(self.workspace.bundles.folder(bundle_id))

    def manifest_of(self, identity: str) -> Manifest | None:
        """The manifest of the bundle with that identity; None where it is gone."""
        from llm4top.forecasters.bundles.verify import read_manifest

        for bundle in self.bundles.values():
            if bundle.identity == identity:
                return read_manifest(self.workspace.bundles.folder(bundle.id))
        return None


def _question(bundle: WorkspaceBundle) -> str:
    return str(bundle.facts["task"]["question"])
