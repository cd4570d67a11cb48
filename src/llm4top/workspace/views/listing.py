"""A batch as a page lists it: one model's forecasts, other models', copies, records left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llm4top.errors import NotFoundError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace.batches import Batch
from llm4top.workspace.serving.parsing import NOT_APPLICABLE, NOTE, Refusal
from llm4top.workspace.views.portfolio import Filter, name_of, sort_trials
from llm4top.workspace.workspace import Workspace

FILE_ORDER = "file"
"""The sort that keeps the order in which the records were read."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What of a batch is looked at, and in which order.

    ``model`` is a ``Forecast.variant``, empty for the newest; ``sort`` is ``FILE_ORDER`` or one of
    ``SORTS``, with " down" for the largest first; ``words`` must all be in a trial's title, NCT
    id or file name.
    """

    model: str = ""
    sort: str = FILE_ORDER
    words: str = ""
    chosen: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Listing:
    """Forecasts of a batch without what was withheld and read, one for each record and model.

    A bundle whose forecasts are adapted to a base rate counts as another model.
    """

    def __init__(self, batch: Batch, lines: Sequence[Forecast], left_out: Sequence[Refusal]):
        self.batch = batch
        self.refusals = [r for r in left_out if r.code not in (NOT_APPLICABLE, NOTE)]
        self.notes = [r.reason for r in left_out if r.code == NOTE]
        self.not_asked = [r for r in left_out if r.code == NOT_APPLICABLE]
        self.by_model: dict[str, dict[tuple[str, str], Forecast]] = {}
        for line in lines:
            # The newest come first: the latest forecast of a record counts.
            forecasts = self.by_model.setdefault(line.variant, {})
            forecasts.setdefault(_key(line), line)

    @classmethod
    def read(cls, workspace: Workspace, batch: str) -> Listing:
        """The batch from the store; ``NotFoundError`` where there is none."""
        try:
            found = workspace.batches.get(batch)
        except NotFoundError:
            raise NotFoundError(
                "these forecasts no longer exist.", hint="Make them again from the records."
            ) from None
        left_out = list(workspace.batches.left_out(batch))
        if found.run_id is not None and not left_out:
            # Version 0.1.0 stored the first refusals of a run in its result only.
            refusals = workspace.runs.get(found.run_id).result.get("refusals", ())
            left_out = [Refusal(**values) for values in refusals]
        return cls(found, workspace.batches.lines(batch), left_out)

    @property
    def models(self) -> list[str]:
        """The variants of the bundles that forecast, the newest first."""
        return list(self.by_model)

    def names(self, names: Mapping[str, str]) -> dict[str, str]:
        """What pages call each of ``models``; ``names`` are those of bundles by identity."""
        return {m: model_name(next(iter(i.values())), names) for m, i in self.by_model.items()}

    def items(self, model: str = "") -> list[Forecast]:
        """The forecasts of one model, in order; of the newest where it has none."""
        chosen = model if model in self.by_model else next(iter(self.by_model), "")
        return list(self.by_model.get(chosen, {}).values())

    def others(self, item: Forecast) -> list[Forecast]:
        """The other models' forecasts of the same record."""
        return [
            forecasts[_key(item)]
            for model, forecasts in self.by_model.items()
            if model != item.variant and _key(item) in forecasts
        ]

    def shown(self, query: ListQuery) -> list[Forecast]:
        """The forecasts that the query asks for, in its order."""
        chosen = Filter(**query.chosen).apply(self.items(query.model))
        for word in query.words.casefold().split():
            chosen = [item for item in chosen if word in _words_of(item)]
        if query.sort == FILE_ORDER:
            return chosen
        by = query.sort.removesuffix(" down")
        return sort_trials(chosen, by, descending=query.sort.endswith(" down"))


def model_name(item: Forecast, names: Mapping[str, str]) -> str:
    """What pages call the model of a forecast, with the base rate that it is adapted to."""
    name = names.get(item.bundle, item.bundle)
    return name if item.adapted_to is None else f"{name}, base rate {item.adapted_to}"


def _key(item: Forecast) -> tuple[str, str]:
    return item.record, item.source_sha256


def copies_of(items: Sequence[Forecast]) -> dict[str, Forecast]:
    """For the ids of further records of a trial: its first one, by NCT id or equal content."""
    first: dict[str, Forecast] = {}
    copies = {}
    for item in items:
        number = item.nct_id or item.source_sha256
        if number in first:
            copies[item.id] = first[number]
        else:
            first[number] = item
    return copies


def ties_of(items: Sequence[Forecast]) -> tuple[int, int]:
    """How many trials share their chance with another one, and how many chances those are."""
    counts = Counter(item.probability for item in items)
    shared = [count for count in counts.values() if count > 1]
    return sum(shared), len(shared)


def _words_of(item: Forecast) -> str:
    forecast = item
    return " ".join([name_of(item), forecast.nct_id or "", forecast.record, item.area]).casefold()
