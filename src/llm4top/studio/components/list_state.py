"""The view of a batch of forecasts as the query of an address, which Back and Reload keep."""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

from llm4top.workspace.views.listing import FILE_ORDER

VIEWS = ("Cards", "Table", "Portfolio")
FACETS = {"phases": "phase", "areas": "area", "sponsors": "sponsor"}
"""Parts of a filter by their names in the address."""


@dataclass(slots=True)
class ListState:
    """What is shown of which batch. ``included`` are kinds of trial that the portfolio adds."""

    batch: str = ""
    run: str = ""
    view: str = VIEWS[0]
    sort: str = FILE_ORDER
    words: str = ""
    model: str = ""
    page: int = 1
    chosen: dict[str, frozenset[str]] = field(default_factory=dict)
    included: frozenset[str] = frozenset()

    @classmethod
    def of(cls, batch: str, run_id: str | None) -> Self:
        """The first view of a batch; ``run_id`` names the run that made it, if one did."""
        return cls(run=run_id) if run_id else cls(batch=batch)

    @classmethod
    def from_query(cls, params: Any) -> Self:
        """The state in a request's ``query_params``; invalid values are ignored."""
        view = params.get("view", "").capitalize()
        page = params.get("page", "")
        return cls(
            batch=params.get("batch", ""),
            run=params.get("run", ""),
            view=view if view in VIEWS else VIEWS[0],
            sort=params.get("sort") or FILE_ORDER,
            words=params.get("q", "")[:200],
            model=params.get("model", ""),
            page=int(page) if page.isdecimal() and len(page) < 7 else 1,
            chosen={
                name: frozenset(values)
                for name, key in FACETS.items()
                if (values := params.getlist(key))
            },
            included=frozenset(params.getlist("with")),
        )

    @property
    def query(self) -> str:
        """The state as the query of an address; defaults are left out."""
        usual = ListState()
        pairs: list[tuple[str, str]] = []
        for name, value, default in (
            ("batch", self.batch, usual.batch),
            ("run", self.run, usual.run),
            ("view", self.view.lower(), usual.view.lower()),
            ("sort", self.sort, usual.sort),
            ("q", self.words, usual.words),
            ("model", self.model, usual.model),
            ("page", str(self.page), str(usual.page)),
        ):
            if value and value != default:
                pairs.append((name, value))
        for name, key in FACETS.items():
            pairs += [(key, value) for value in sorted(self.chosen.get(name, ()))]
        pairs += [("with", name) for name in sorted(self.included)]
        return urlencode(pairs)

    @property
    def id(self) -> str:
        """The id of the batch, which is that of its run if a run made it."""
        return self.batch or self.run

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"/?{self.query}" if self.query else "/"

    def trial(self, forecast_id: str) -> str:
        """The address of one trial's page, which links to the trials before and after it."""
        return f"/trials/{forecast_id}?{self.query}"
