"""The export of a batch: the listed forecasts, and the records without one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace.views.exports import EXPORTS
from llm4top.workspace.views.listing import Listing, ListQuery, copies_of, model_name
from llm4top.workspace.workspace import Workspace

EXPORT_NAMES = {"csv": "CSV table", "xlsx": "Spreadsheet (XLSX)", "html": "Report (HTML)"}
"""The kinds of export, by what a person calls them."""


@dataclass(frozen=True, slots=True)
class BatchExport:
    """One kind of export."""

    kind: str
    media_type: str

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"forecasts.{self.kind}"

    def write(
        self,
        workspace: Workspace,
        listing: Listing,
        query: ListQuery,
        names: Mapping[str, str],
        facts: Sequence[str] = (),
    ) -> bytes:
        """The file's content: the trials that the query asks for, and all that was left out.

        ``names`` are what models are called, by identity; ``facts`` are lines about the model.
        """
        lines = listing.shown(query)
        every = listing.items(query.model)
        stored = workspace.forecasts.whole([line.id for line in lines])
        trials = [Forecast.from_dict(values, id=row_id) for row_id, values in stored]
        about = [f"Batch: {listing.batch.name}"]
        if lines:
            bundle = lines[0].bundle
            about.append(f"Model: {model_name(lines[0], names)} ({bundle})")
        if len(lines) < len(every):
            about.append(f"Filtered: {len(lines)} of {len(every)} trials")
        if copies := len(copies_of(lines)):
            about.append(f"{copies} records are further copies of a trial; each counts once")
        write, _ = EXPORTS[self.kind]
        content: bytes = write(trials, [*listing.refusals, *listing.not_asked], [*about, *facts])
        return content


def export_batch(kind: str) -> BatchExport:
    """The export of that kind, one of ``EXPORT_NAMES``."""
    return BatchExport(kind, EXPORTS[kind][1])
