"""The models to choose from, and the chosen one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from llm4top.studio.components.bundle_facts import display_name, question_of
from llm4top.workspace.bundles import EMBEDDED, WorkspaceBundle
from llm4top.workspace.workspace import Workspace


@dataclass(slots=True)
class Models:
    """The bundles of a workspace by id; ``chosen`` is the id of one."""

    workspace: Workspace
    bundles: dict[str, WorkspaceBundle]
    chosen: str

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """All bundles, with the default one chosen."""
        found = workspace.bundles.list()
        chosen = workspace.bundles.default().id
        return cls(workspace, {bundle.id: bundle for bundle in found}, chosen)

    @property
    def names(self) -> dict[str, str]:
        """The names of the models that answer the same question as the chosen one, by id."""
        return {
            bundle_id: display_name(bundle)
            for bundle_id, bundle in self.bundles.items()
            if question_of(bundle.facts) == self.question
        }

    @property
    def names_by_identity(self) -> dict[str, str]:
        """The names of all models, by the identity that forecasts carry."""
        return {bundle.identity: display_name(bundle) for bundle in self.bundles.values()}

    @property
    def questions(self) -> list[str]:
        """The different questions that the models answer."""
        return list(dict.fromkeys(question_of(b.facts) for b in self.bundles.values()))

    @property
    def question(self) -> str:
        """The question that the chosen model answers."""
        return question_of(self.bundles[self.chosen].facts)

    def choose_question(self, question: str) -> None:
        """Choose a model that answers this question: the default if it does, else the first."""
        fitting = [b for b in self.bundles.values() if question_of(b.facts) == question]
        self.chosen = max(fitting, key=lambda bundle: bundle.is_default).id

    @property
    def place(self) -> str:
        """The chosen model as the forecast service takes it."""
        return self._place(self.chosen)

    def place_of(self, identity: str) -> str | None:
        """The model with that identity as the forecast service takes it; None if it is gone."""
        found = self._find(identity)
        return None if found is None else self._place(found.id)

    def facts_of(self, identity: str) -> Mapping[str, Any] | None:
        """The facts of the model with that identity; None if it is gone."""
        found = self._find(identity)
        return None if found is None else found.facts

    def _find(self, identity: str) -> WorkspaceBundle | None:
        return next((b for b in self.bundles.values() if b.identity == identity), None)

    def _place(self, bundle_id: str) -> str:
        if bundle_id == EMBEDDED:
            return EMBEDDED
        return str(self.workspace.bundles.folder(bundle_id))
