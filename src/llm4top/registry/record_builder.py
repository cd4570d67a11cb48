"""A record while it is being read, whatever its format."""

from typing import Any

from llm4top.errors import MalformedRecordError
from llm4top.registry import codes, trial
from llm4top.registry.leak_guard import guard_fields
from llm4top.registry.normalize_text import excerpt
from llm4top.registry.withheld_reasons import REASONS, UNKNOWN, UNLISTED

KEPT = 160
"""How many characters of a text an excerpt may look at."""


class Account:
    """The account of one record. Of many alike only the first is shown, the rest are counted."""

    __slots__ = ("cut", "first", "more", "reasons")

    def __init__(self) -> None:
        self.first: dict[str, str] = {}
        """By field, the text of the first of its kind."""
        self.more: dict[str, int] = {}
        """By field, how many more there were."""
        self.reasons: dict[str, str] = {}
        """By field, a reason other than the one of its kind."""
        self.cut: list[trial.Withheld] = []
        """What the leak guard cut out of free text."""

    def note(self, field: str, text: str, reason: str | None = None) -> None:
        """Keep ``field`` out of the trial."""
        if field in self.first:
            self.more[field] = self.more.get(field, 0) + 1
            return
        self.first[field] = text[:KEPT]
        if reason is not None:
            self.reasons[field] = reason

    def __call__(self) -> tuple[trial.Withheld, ...]:
        """The account in words: fields as they came, then what the leak guard cut."""
        fields = [self._withheld(field, text) for field, text in self.first.items()]
        return (*fields, *self.cut)

    def _withheld(self, field: str, text: str) -> trial.Withheld:
        reason = self.reasons.get(field) or REASONS.get(field, UNLISTED)
        more = self.more.get(field)
        if not more:
            return trial.Withheld(field, reason, excerpt(text))
        suffix = f" (and {more} more)"
        return trial.Withheld(field, reason, excerpt(excerpt(text), 80 - len(suffix)) + suffix)


_SUBSTANCE = (
    "phase",
    "conditions",
    "interventions",
    "criteria",
    "brief_summary",
    "detailed_description",
    "arms",
    "primary_outcomes",
    "secondary_outcomes",
)


class RecordBuilder:
    """What has been read of one record so far."""

    __slots__ = (
        "account",
        "arm_labels",
        "file",
        "identifiers",
        "nct_id",
        "outcome",
        "processed",
        "trial",
        "withhold",
    )

    def __init__(self, file: str):
        self.file = file
        self.trial: dict[str, Any] = {}
        self.outcome: dict[str, Any] = {}
        self.nct_id: str | None = None
        self.processed: str | None = None
        self.arm_labels: list[tuple[str, ...]] = []
        """The labels of the arms that receive each intervention, in the interventions' order."""
        self.identifiers: list[str] = []
        """The record's identifiers besides its NCT id; they are removed from the trial's text."""
        self.account = Account()
        self.withhold = self.account.note

    def set(self, field: str, value: Any) -> None:
        """Give ``field`` its ``value``, unless that is absent or empty."""
        if value is not None and value != []:
            self.trial[field] = value

    def append(self, field: str, item: Any) -> None:
        """Add ``item`` to the list of ``field``."""
        items = self.trial.get(field)
        if items is None:
            self.trial[field] = [item]
        else:
            items.append(item)

    def malformed(
        self, message: str, element: str, *, line: int | None = None, hint: str | None = None
    ) -> MalformedRecordError:
        """An error that names this record, for the caller to raise."""
        return MalformedRecordError(
            message,
            file=self.file,
            line=line,
            element=element,
            hint=hint or "Correct the record or download it again.",
        )

    def record(self, source: trial.Source, *, complete: bool = True) -> trial.Record:
        """The finished record; a ``complete`` one has a title or an id, and some substance."""
        values = self.trial
        if complete:
            self._check(values)
        self._link_arms()
        self.account.cut = guard_fields(values, self.identifiers)
        for field, items in values.items():
            if type(items) is list:
                values[field] = tuple(items)
        return trial.Record.with_account(
            self.nct_id,
            trial.Trial(**values),
            trial.RegistryOutcome(**self.outcome),
            self.account,
            source,
        )

    def _check(self, values: dict[str, Any]) -> None:
        if not (self.nct_id or values.get("brief_title") or values.get("official_title")):
            raise MalformedRecordError(
                "the record has neither an NCT id nor a title.",
                file=self.file,
                hint="Every registry record has one; download it again or add a title.",
            )
        if not any(values.get(field) for field in _SUBSTANCE):
            raise MalformedRecordError(
                "the record holds nothing to forecast from: no phase, conditions, interventions, "
                "arms, outcome measures, criteria, summary or description.",
                file=self.file,
                hint=self._mistyped() or "Add them; “llm4top template” writes a record to fill in.",
            )

    def _mistyped(self) -> str:
        """What was not read because no registry record has it."""
        names = [name for name, why in self.account.reasons.items() if why.startswith(UNKNOWN)]
        return " ".join(f"“{name}” is {self.account.reasons[name]}." for name in names[:5]).replace(
            "?.", "?"
        )

    def _link_arms(self) -> None:
        """Give each intervention the roles of its arms, in the order of the arms."""
        arms: list[trial.Arm] = self.trial.get("arms", [])
        interventions: list[trial.Intervention] = self.trial.get("interventions", [])
        for i, labels in enumerate(self.arm_labels):
            if labels and arms:
                roles = dict.fromkeys(a.role for a in arms if a.role and a.label in labels)
                if roles:
                    old = interventions[i]
                    linked = trial.Intervention(old.name, old.type, old.description, tuple(roles))
                    interventions[i] = linked


def checked_nct_id(draft: RecordBuilder, text: str, element: str, line: int | None = None) -> str:
    """``text`` if it is an NCT id."""
    nct_id = text.strip().upper()
    if len(nct_id) == 11 and nct_id[:3] == "NCT" and nct_id.isascii() and nct_id[3:].isdigit():
        return nct_id
    raise draft.malformed(
        f"“{excerpt(text, 40)}” is not an NCT id.",
        element,
        line=line,
        hint="It reads NCT and eight digits; leave it out of a draft that has none yet.",
    )


def checked_date(draft: RecordBuilder, text: str, element: str, line: int | None = None) -> str:
    """``text`` as an ISO date."""
    iso = codes.iso_date(text.strip())
    if iso is not None:
        return iso
    raise draft.malformed(
        f"“{excerpt(text, 40)}” is not a date.",
        element,
        line=line,
        hint="Write it as “May 2031”, “May 14, 2031” or 2031-05-14.",
    )


def checked_count(draft: RecordBuilder, text: str, element: str, line: int | None = None) -> int:
    """``text`` as a whole number."""
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= 12:
        return int(digits)
    raise draft.malformed(f"“{excerpt(text, 40)}” is not a whole number.", element, line=line)
