"""How a batch of forecasts is looked at, as the query of an address: what back and reload keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
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
    def from_query(cls, asked: Any) -> ListState:
        """The state that an address holds; ``asked`` is a request's ``query_params``.

        What makes no sense is left out: an address may be typed.
        """
        view = asked.get("view", "").capitalize()
        page = asked.get("page", "")
        return cls(
            batch=asked.get("batch", ""),
            run=asked.get("run", ""),
            view=view if view in VIEWS else VIEWS[0],
            sort=asked.get("sort") or FILE_ORDER,
            words=asked.get("q", "")[:200],
            model=asked.get("model", ""),
            page=int(page) if page.isdecimal() and len(page) < 7 else 1,
            chosen={
                name: frozenset(values)
                for name, key in FACETS.items()
                if (values := asked.getlist(key))
            },
            included=frozenset(asked.getlist("with")),
        )

    @property
    def query(self) -> str:
        """The state as an address's query; what is as usual is left out."""
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
        """The batch's id: that of its run, where a run made it."""
        return self.batch or self.run

    @property
    def address(self) -> str:
        """The page that shows this."""
        return f"/?{self.query}" if self.query else "/"

    def trial(self, forecast_id: str) -> str:
        """The page of one trial, which knows the way back and the trials before and behind it."""
        return f"/trials/{forecast_id}?{self.query}"
