"""``baseline.json``: what a stored baseline is, and the hash of every file of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llm4top.errors import BundleError, TaskError, UnsafeBundleError
from llm4top.forecasters.baselines.catalog import BASELINES
from llm4top.forecasters.bundles.card import escape
from llm4top.forecasters.bundles.manifest import (
    ALL_PHASES,
    CARD_FILE,
    CONTEXT_OF_USE,
    BaseRate,
    DataEntry,
    FileEntry,
    Name,
    ReloadCheck,
    Sha256,
    Text,
    is_plain_name,
    without_absent_fields,
)
from llm4top.tasks.task import Task

_LIMITS = (
    "A baseline is there to be compared with. Its probabilities are its learner's own, not "
    "calibrated on other data.",
    "It reads whatever the trials that it has learnt from had, ICD-10 codes and SMILES included. A "
    "registry record carries neither, so a forecast from a record rests on less.",
    "It holds words and statistics of the trials it has learnt from, so it may be passed on only "
    "where those may.",
    "Trials unlike those it has learnt from (other phases, later years) are outside what it knows.",
)


def render_baseline_card(manifest: BaselineManifest) -> str:
    """The model card in Markdown; the reload check, which comes later, is left out."""
    m = manifest
    lines = [
        f"# {escape(m.name)}",
        "",
        f"**{escape(m.context_of_use)}**",
        "",
        f"{escape(m.label)}: {BASELINES[m.baseline].summary}",
        "",
        f"- Question: {escape(m.task.question)}",
        f"- Labels: {escape(', '.join(m.task.labels))}",
        f"- Settings: {escape(', '.join(f'{k} {v}' for k, v in m.settings.items()) or 'none')}",
    ]
    if m.encoder is not None:
        lines.append(f"- Text encoder: {escape(m.encoder.id)} (sha256 {m.encoder.sha256[:12]})")
    if m.data is not None:
        rows = ", ".join(f"{count} in {split}" for split, count in m.data.counts.items())
        lines += [
            f"- Data: {escape(m.data.name)} (sha256 {m.data.sha256[:12]}); rows: {escape(rows)}",
            *(f"- Terms of the data: {escape(text)}" for text in (m.data.licence,) if text),
            *(f"- Note on the data: {escape(text)}" for text in (m.data.note,) if text),
        ]
    rate = m.base_rates.get(ALL_PHASES)
    if rate is not None:
        shares = ", ".join(
            f"{label} {share:.1%}" for label, share in zip(m.task.labels, rate.shares, strict=True)
        )
        lines.append(f"- Base rate of {rate.n} training trials: {escape(shares)}")
    lines += [
        *(f"- Licence: {escape(text)}" for text in (m.licence,) if text),
        f"- Made on {m.created} with "
        + escape(", ".join(f"{name} {number}" for name, number in m.versions.items())),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in _LIMITS),
        "",
        "Load it with `llm4top.forecasters.baselines.store.load_baseline(folder)`.",
    ]
    return "\n".join(lines) + "\n"


BASELINE_FILE = "baseline.json"
WEIGHTS_FILE = "weights.safetensors"
WORDS_FILE = "words.json"
BASELINE_FILES = frozenset({WEIGHTS_FILE, WORDS_FILE, CARD_FILE})
"""Every file a stored baseline has beside its manifest."""

BASELINE_SCHEMA = 1
_AGAIN = "Get the baseline again from where it came, or fit it again."


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EncoderEntry(_Entry):
    """The text encoder it reads with: its name and one hash over its files."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    sha256: Sha256


class BaselineFacts(_Entry):
    """What whoever fitted the baseline knows; ``save_baseline`` finds out the rest."""

    data: DataEntry | None = None
    base_rates: dict[str, BaseRate] = {}
    licence: Text = ""
    context_of_use: Text = CONTEXT_OF_USE


class BaselineManifest(BaselineFacts):
    """The whole of ``baseline.json``.

    ``baseline`` is its name among ``BASELINES``, ``label`` as tables show it. ``classes`` are the
    fitted ``classes_``. ``probe`` are its probabilities on a few invented trials, so that whoever
    loads it sees whether it still forecasts as it did.
    """

    schema_version: Literal[1] = 1
    name: Name
    baseline: str
    label: str
    created: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    task: Task
    settings: dict[str, str | int | float | bool | None]
    seed: int | None
    classes: tuple[bool | int | str, ...]
    encoder: EncoderEntry | None = None
    probe: tuple[tuple[float, ...], ...]
    versions: dict[str, str]
    reload_check: ReloadCheck | None = None
    files: dict[str, FileEntry]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        faults = []
        if self.baseline not in BASELINES:
            faults.append(f"baseline: {self.baseline!r:.60} is none of LLM4TOP's")
        if (self.baseline == "sentence") != (self.encoder is not None):
            faults.append("encoder: is for 'sentence', and only for it")
        if not 2 <= len(self.classes) <= len(self.task.labels) or not self._known_classes():
            faults.append("classes: are not labels of the task, in its order")
        if any(len(row) != len(self.classes) for row in self.probe):
            faults.append("probe: needs one probability for each class")
        if any(len(rate.shares) != len(self.task.labels) for rate in self.base_rates.values()):
            faults.append("base_rates: need one share for each label")
        faults += [f"files: {n!r} is missing" for n in sorted(BASELINE_FILES - set(self.files))]
        faults += [f"files: {n!r} is extra" for n in sorted(set(self.files) - BASELINE_FILES)]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _known_classes(self) -> bool:
        kinds = {type(value) for value in self.classes}
        if len(kinds) != 1:
            return False
        names = {str: self.task.labels, bool: (False, True)}.get(
            kinds.pop(), tuple(range(len(self.task.labels)))
        )
        found = [names.index(value) for value in self.classes if value in names]
        return len(found) == len(self.classes) and found == sorted(set(found))

    @property
    def positions(self) -> tuple[int, ...]:
        """The position of each class among the task's labels."""
        return tuple(
            self.task.label_index(value) if isinstance(value, str) else int(value)
            for value in self.classes
        )

    @property
    def identity(self) -> str:
        """The name and the first 12 digits of the hash of this manifest."""
        canonical = json.dumps(self._values(), sort_keys=True, ensure_ascii=False)
        return f"{self.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"

    def to_json(self) -> str:
        """The text of ``baseline.json``."""
        return json.dumps(self._values(), indent=2, ensure_ascii=False) + "\n"

    def _values(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude=without_absent_fields(self.task))

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Self:
        """Inverse of ``to_json``.

        ``BundleError`` names the first field that is wrong, ``UnsafeBundleError`` a file that
        would lie outside the folder.
        """
        values = _parsed(text, where)
        version = values.get("schema_version")
        if isinstance(version, int) and version > BASELINE_SCHEMA:
            raise BundleError(
                f"the manifest has schema version {version}; this LLM4TOP reads {BASELINE_SCHEMA}.",
                where=where,
                hint="Upgrade LLM4TOP to the version that wrote it.",
            )
        files = values.get("files")
        for name in files if isinstance(files, dict) else ():
            if not is_plain_name(name):
                raise UnsafeBundleError(
                    f"the file {name!r:.100} points outside the folder.", where=where, hint=_AGAIN
                )
        try:
            return cls.model_validate_json(text)
        except TaskError as error:
            raise BundleError(error.message, where=where, hint=_AGAIN) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "as a whole"
            raise BundleError(
                f"the manifest is wrong in {field!r:.100}: {first['msg']:.300}.",
                where=where,
                hint=_AGAIN,
            ) from None


def _parsed(text: str, where: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"the manifest is not JSON ({error}).", where=where, hint=_AGAIN
        ) from None
    if not isinstance(values, dict):
        raise BundleError("the manifest is not a JSON object.", where=where, hint=_AGAIN)
    return values
