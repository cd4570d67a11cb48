"""A trial that has no record yet: typed in, or read from a synopsis, and saved as a record."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from llm4top.errors import DraftError, RegistryError
from llm4top.registry.api import read_study
from llm4top.registry.api_writer import study_of
from llm4top.registry.document_text import DocumentLimits, passages_of, read_document
from llm4top.registry.draft_fields import DRAFT_FIELDS, faults_of, text_of, value_of
from llm4top.registry.json_pages import load
from llm4top.registry.limits import Limits
from llm4top.registry.synopsis import Synopsis, read_synopsis
from llm4top.registry.trial import Record, RegistryOutcome, Trial, Withheld

_ROUNDS = 5  # of reading what was written: markup within markup goes one layer at a time
_EMPTY = {field.name: field.default for field in fields(Trial)}
_OPTIONAL = ("condition_mesh", "intervention_mesh", "keywords", "collaborators", "official_title")


@dataclass(frozen=True)
class Draft:
    """A trial that has no record yet.

    Attributes:
        record: What a forecast reads of it, as from a registry record: sentences that tell an
            outcome are withheld from it too.
        synopsis: What it was read from, for confirmation; None where it was not.
    """

    record: Record
    synopsis: Synopsis | None = None

    @classmethod
    def of(cls, trial: Trial, *, name: str = "draft", synopsis: Synopsis | None = None) -> Draft:
        """The draft of a trial; what no record can hold is left out (see ``study_of``).

        Raises:
            DraftError: Coded values are no choices of the registry; the error lists all of them.
        """
        faults = faults_of(trial)
        if faults:
            raise DraftError(f"{name}: the draft has values that no record may have:", faults)
        withheld: tuple[Withheld, ...] = ()
        for _ in range(_ROUNDS):
            study = study_of(trial)
            record = read_study(study, _bytes(study), name, None, complete=False)
            withheld += record.withheld
            before, trial = trial, record.trial
            if trial == before:
                break
        return cls(Record(None, trial, RegistryOutcome(), withheld, record.source), synopsis)

    @classmethod
    def from_text(cls, text: str, *, name: str = "the text") -> Draft:
        """A draft from the text of a synopsis; ``synopsis`` has what each value came from.

        Raises ``LimitError`` for a text that is longer than any synopsis.
        """
        return cls._read(read_synopsis(passages_of(text, name=name)), name)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        limits: DocumentLimits | None = None,
    ) -> Draft:
        """A draft from a file: a synopsis (.txt, .docx, .pdf) or a draft as ``to_json`` writes it.

        Args:
            path: The file; what it is is told by its content.
            name: What errors call it; its path where None.
            limits: Caps on a synopsis; the defaults where None.

        Raises:
            RegistryError: It cannot be read; the error names the file and what to do.
            DraftError: It is a JSON study with values that are no choices of the registry.
        """
        shown = name or str(path)
        if _is_json(Path(path)):
            return cls.from_json(Path(path).read_bytes(), name=shown)
        return cls._read(read_synopsis(read_document(path, name=shown, limits=limits)), shown)

    @classmethod
    def from_json(cls, text: str | bytes, *, name: str = "draft") -> Draft:
        """The draft that a JSON study holds; its NCT id and all label-side fields are dropped.

        Raises ``RegistryError`` and ``DraftError`` as ``from_file`` does.
        """
        data = text.encode() if isinstance(text, str) else text
        limits = Limits()
        if len(data) > limits.record_bytes:
            raise DraftError(f"{name}: the draft is larger than any record.", [])
        study = load(data, 1, name, limits)
        return cls.of(read_study(study, data, name, None, complete=False).trial, name=name)

    @classmethod
    def _read(cls, synopsis: Synopsis, name: str) -> Draft:
        values = {field: value_of(field, text) for field, text in synopsis.values.items()}
        return cls.of(Trial(**values), name=name, synopsis=synopsis)

    @property
    def trial(self) -> Trial:
        """What a forecaster reads."""
        return self.record.trial

    @property
    def title(self) -> str:
        """What the draft is called."""
        trial = self.trial
        return trial.brief_title or trial.official_title or "; ".join(trial.conditions) or "Draft"

    @property
    def texts(self) -> dict[str, str]:
        """The text of every field that has a value, as ``with_texts`` takes it."""
        found = {name: text_of(name, getattr(self.trial, name)) for name in DRAFT_FIELDS}
        return {name: text for name, text in found.items() if text}

    @property
    def missing(self) -> tuple[str, ...]:
        """Fields without a value that records usually have, in the order of ``Trial``."""
        return tuple(
            name
            for name in DRAFT_FIELDS
            if name not in _OPTIONAL and getattr(self.trial, name) == _EMPTY[name]
        )

    def with_texts(self, texts: Mapping[str, str]) -> Draft:
        """The draft with other values; an empty text removes one.

        Args:
            texts: By field, the value as a person writes it; see ``value_of``.

        Raises:
            DraftError: There is no such field, or a text is no value of its field; the error
                names all of them, with the choices.
        """
        changed: dict[str, Any] = {}
        faults = []
        for name, text in texts.items():
            if name not in DRAFT_FIELDS:
                known = ", ".join(DRAFT_FIELDS)
                faults.append(f"{name}: there is no such field. The fields are: {known}.")
                continue
            try:
                changed[name] = value_of(name, text)
            except ValueError as error:
                faults.append(f"{name}: {error}")
        if faults:
            raise DraftError("the draft was not changed:", faults)
        trial = replace(self.trial, **changed)
        return Draft.of(trial, name=self.record.source.file, synopsis=self.synopsis)

    def to_json(self) -> str:
        """The draft as a study of the modern JSON, which ``read_records`` and forecasts take.

        Raises:
            DraftError: It has no title, or nothing else that a forecast could rest on.
        """
        study = study_of(self.trial)
        data = _bytes(study)
        try:
            read_study(study, data, self.record.source.file, None)
        except RegistryError as error:
            hint = "Give it one: brief_title." if "title" in error.message else error.hint
            raise DraftError(
                "the draft is not complete enough to be a record:", [error.message], hint=hint
            ) from None
        return data.decode()


def _bytes(study: Mapping[str, Any]) -> bytes:
    return (json.dumps(study, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    except OSError:
        return False  # which the reading says
