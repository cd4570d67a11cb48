"""What a person gets for an upload: forecasts with all that stands behind them, and refusals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from sys import intern
from typing import TYPE_CHECKING, Any, Literal, overload

from llm4top.registry import Record, Trial, Withheld
from llm4top.workspace._parsing import Refusal

if TYPE_CHECKING:
    from llm4top.forecasters import Forecast


@dataclass(frozen=True, slots=True)
class ReadSection:
    """One section of the prompt: ``text`` as the model saw it, empty where nothing of it fits.

    ``tokens`` as the trial has them, ``kept`` of them shown; ``cut`` is the difference.
    """

    name: str
    heading: str
    text: str
    tokens: int
    kept: int

    @property
    def cut(self) -> int:
        """Tokens left out to fit the budget."""
        return self.tokens - self.kept


class WithheldThings(Sequence[Withheld]):
    """What was withheld, as plain tuples that become objects when they are looked at.

    A page may hold ten thousand forecasts with a quarter of a million of these: as objects they
    would keep the garbage collector, and so everybody, busy for half a second at a time.
    """

    __slots__ = ("_rows",)

    def __init__(self, things: Iterable[Mapping[str, str]]):
        # A few dozen fields and reasons stand in all records: each is held once.
        self._rows = tuple((intern(t["field"]), intern(t["reason"]), t["excerpt"]) for t in things)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Withheld: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Withheld]: ...
    def __getitem__(self, place: int | slice) -> Withheld | Sequence[Withheld]:
        return tuple(self)[place] if isinstance(place, slice) else Withheld(*self._rows[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@dataclass(frozen=True, slots=True)
class ForecastItem:
    """A forecast with what lists and details show beside it.

    ``area`` is the therapeutic area, ``sponsor`` the sponsor's class, ``source_sha256`` the hash
    of the record as read, ``withheld`` what was kept from the model and ``sections`` what it read.
    ``unread`` are the headings of sections that the record has and a model may read, but this one
    does not look at. ``id`` is the stored forecast's, empty for one that is not stored.
    """

    forecast: Forecast
    title: str
    area: str
    sponsor: str | None
    source_format: str
    source_sha256: str
    withheld: Sequence[Withheld]
    sections: tuple[ReadSection, ...]
    unread: tuple[str, ...] = ()
    id: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values: the forecast's own, and the rest beside them."""
        return {
            **self.forecast.to_dict(),
            "title": self.title,
            "area": self.area,
            "sponsor": self.sponsor,
            "source_format": self.source_format,
            "source_sha256": self.source_sha256,
            "withheld": [asdict(item) for item in self.withheld],
            "sections": [{**asdict(s), "cut": s.cut} for s in self.sections],
            "unread": list(self.unread),
        }

    @classmethod
    def line(cls, row_id: str, values: Mapping[str, Any]) -> ForecastItem:
        """A stored forecast as lists show it: without what was withheld and read.

        What all trials of a model share is held once, so that ten thousand take a few megabytes.
        """
        shared = ("task", "label", "bundle", "area", "source_format")
        held: dict[str, Any] = {name: intern(values[name]) for name in shared}
        held |= {name: tuple(intern(w) for w in values[name]) for name in ("labels", "warnings")}
        light = {"withheld": (), "sections": (), "unread": ()}
        return cls.from_dict({**values, **held, **light}, row_id=row_id)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, row_id: str = "") -> ForecastItem:
        """Inverse of ``to_dict``; ``row_id`` is where it is stored."""
        from llm4top.forecasters import Forecast

        tuples = {"labels", "probabilities", "warnings", "base_rates"} & set(values)
        # What an earlier version stored lacks the fields that have come since.
        own = {name: values[name] for name in Forecast.__dataclass_fields__ if name in values}
        own |= {name: tuple(own[name]) for name in tuples}
        sections = tuple(
            ReadSection(**{name: section[name] for name in ReadSection.__dataclass_fields__})
            for section in values["sections"]
        )
        return cls(
            forecast=Forecast(**own),
            title=values["title"],
            area=values["area"],
            sponsor=values["sponsor"],
            source_format=values["source_format"],
            source_sha256=values["source_sha256"],
            withheld=WithheldThings(values["withheld"]),
            sections=sections,
            unread=tuple(values.get("unread", ())),
            id=row_id,
        )


def title_of(trial: Trial) -> str:
    """What a list calls a trial: its title, else its conditions; empty where it has neither."""
    return trial.brief_title or trial.official_title or "; ".join(trial.conditions)


def unread_of(trial: Trial, read: Collection[str] | None) -> tuple[str, ...]:
    """The headings of sections that the trial has and the model's prompts never show.

    ``read`` are the names of those they show; None stands for all.
    """
    from llm4top.prompts import trial_sections

    if read is None:
        return ()
    return tuple(s.heading for s in trial_sections(trial) if s.name not in read)


def item_of(
    record: Record,
    forecast: Forecast,
    sections: tuple[ReadSection, ...] = (),
    unread: tuple[str, ...] = (),
) -> ForecastItem:
    """A forecast with what its record says beside it; ``sections`` where somebody looks at them."""
    from llm4top.evaluation._areas import therapeutic_area

    trial = record.trial
    return ForecastItem(
        forecast=forecast,
        title=title_of(trial),
        area=therapeutic_area(trial),
        sponsor=trial.sponsor_class,
        source_format=record.source.format,
        source_sha256=record.source.sha256,
        withheld=record.withheld,
        sections=sections,
        unread=unread,
    )


@dataclass(frozen=True, slots=True)
class ForecastResult:
    """All of an upload: ``items`` in the order of its records, ``refusals`` as they came.

    ``bundle`` is the bundle's identity, None where nothing was forecast; ``seconds`` passed from
    the request to the result. ``files`` says for each item which of the request's files it is
    from, by position. ``notes`` say what else should be known of the files: pages of a search
    that are missing, files that were passed over.
    """

    items: tuple[ForecastItem, ...]
    refusals: tuple[Refusal, ...]
    bundle: str | None
    seconds: float
    files: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def forecasts(self) -> Sequence[Forecast]:
        """The forecasts alone."""
        return [item.forecast for item in self.items]


Stage = Literal["waiting", "reading", "forecasting"]


@dataclass(frozen=True, slots=True)
class ForecastProgress:
    """How far a request is: what is being done, records done and in all (0: not known yet).

    ``ahead`` requests were waiting before this one when it said so.
    """

    stage: Stage
    done: int = 0
    total: int = 0
    ahead: int = 0
