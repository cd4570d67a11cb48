"""``manifest.json``: what a bundle is, how it was made, and the hash of each of its files."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from llm4top.errors import BundleError, UnsafeBundleError
from llm4top.forecasters.base_rates import BaseRate
from llm4top.forecasters.bundles import paths, schema1
from llm4top.forecasters.bundles.figures import (
    Ablation,
    CardTable,
    Evaluation,
    FinalFit,
    ReloadCheck,
    Text,
)
from llm4top.prompts.prompt import PromptSpec
from llm4top.schema import Strict, read_model
from llm4top.tasks.task import Task

SCHEMA_VERSION = 2
_NOT_IN_0_2_0 = ("final_fit", "ablation", "tables")
CONTEXT_OF_USE = "A research estimate, not medical or investment advice."
HINT = "Get the bundle again from where it came."

Kind = Literal["language", "baseline", "blend"]
Name = Annotated[str, Field(pattern=rf"^{paths.NAME_PATTERN}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class BaseEntry(Strict):
    """The base model: its public name, the commit it was downloaded at, one hash of its files.

    ``carried`` says that the bundle contains it, in ``base/``.
    """

    id: Label
    revision: str | None = None
    sha256: Sha256
    carried: bool = False


class PromptEntry(Strict):
    """How prompts are written: ``fingerprint`` is ``PromptWriter.fingerprint``."""

    spec: PromptSpec
    fingerprint: Sha256


class AnswerEntry(Strict):
    """One label with the word that answers it and that word's token."""

    label: str
    word: str
    token_id: Annotated[int, Field(ge=0)]


class TuningEntry(Strict):
    """What training changed, and with which settings.

    ``method``: "lora" (the bundle has an adapter), "full" (it has the whole model), "probe" (it has
    a logistic regression over the base model's hidden states) or "none" (the base model is used as
    it is). ``quantize`` is how the base model was loaded.
    """

    method: Literal["lora", "full", "probe", "none"]
    quantize: Literal["4bit", "8bit"] | None = None
    settings: dict[str, str | int | float | bool | tuple[str | float, ...] | None] = Field(
        default={}
    )


class LanguageEntry(Strict):
    """A language model: its base model, what training changed, and how it is prompted."""

    tuning: TuningEntry
    base: BaseEntry
    tokenizer_sha256: Sha256
    prompt: PromptEntry
    answers: tuple[AnswerEntry, ...]

    def faults(self, task: Task) -> list[str]:
        """What contradicts the task, or another field."""
        faults = []
        expected = tuple(zip(task.labels, task.answers, strict=True))
        if tuple((a.label, a.word) for a in self.answers) != expected:
            faults.append("answers: are not those of the task")
        if self.tuning.method == "full" and not self.base.carried:
            faults.append("tuning: a fully tuned model is carried in the bundle")
        return faults

    @property
    def files(self) -> set[str]:
        """The files that such a bundle has besides those of every bundle."""
        own = {"lora": paths.ADAPTER_FILES, "probe": (paths.PROBE_FILE,)}
        files = set(own.get(self.tuning.method, ()))
        return files | set(paths.BASE_FILES if self.base.carried else ())


class EncoderEntry(Strict):
    """The text encoder that a baseline reads with: its name and one hash of its files."""

    id: Label
    sha256: Sha256


class BaselineEntry(Strict):
    """A fitted baseline.

    ``baseline`` is its name in ``BASELINES``, ``label`` the one that tables show. ``classes`` are
    the fitted ``classes_``; ``sections`` the sections of a trial that it reads (None: unknown).
    Probabilities below ``floor`` count as ``floor``. ``probe`` are its probabilities for a few
    invented trials: loading compares them, so that a change in how text is read is noticed.
    """

    baseline: Label
    label: Label
    settings: dict[str, str | int | float | bool | None]
    classes: tuple[bool | int | str, ...]
    sections: tuple[str, ...] | None = None
    floor: Annotated[float, Field(gt=0, lt=0.5)]
    encoder: EncoderEntry | None = None
    probe: tuple[tuple[float, ...], ...]

    @property
    def files(self) -> set[str]:
        """The files that such a bundle has besides those of every bundle."""
        return set(paths.BASELINE_FILES)

    def faults(self, task: Task) -> list[str]:
        """What contradicts the task, or another field."""
        faults = []
        if (self.baseline == "sentence") != (self.encoder is not None):
            faults.append("encoder: is for 'sentence', and only for it")
        if not 2 <= len(self.classes) <= len(task.labels) or not self._known_classes(task):
            faults.append("classes: are not labels of the task, in its order")
        if any(len(row) != len(self.classes) for row in self.probe):
            faults.append("probe: needs one probability for each class")
        return faults

    def _known_classes(self, task: Task) -> bool:
        kinds = {type(value) for value in self.classes}
        if len(kinds) != 1:
            return False
        names = {str: task.labels, bool: (False, True)}.get(
            kinds.pop(), tuple(range(len(task.labels)))
        )
        found = [names.index(value) for value in self.classes if value in names]
        return len(found) == len(self.classes) and found == sorted(set(found))


class PartEntry(Strict):
    """One forecaster of a blend: a bundle in ``folder``, and the ``weight`` of its log-odds."""

    folder: Annotated[str, Field(max_length=100)]
    name: Name
    kind: Literal["language", "baseline"]
    identity: Label
    label: Label
    weight: Annotated[float, Field(ge=0)]


class BlendEntry(Strict):
    """Several forecasters whose weighted log-odds are added; fitted on ``n`` validation trials.

    ``n`` is 0 where the weights are equal. The pool itself is in ``blend.json``.
    """

    parts: Annotated[tuple[PartEntry, ...], Field(min_length=1, max_length=8)]
    n: Annotated[int, Field(ge=0)]

    @property
    def files(self) -> set[str]:
        """The files that such a bundle has besides those of every bundle and its parts."""
        return {paths.POOL_FILE}

    def faults(self, _task: Task) -> list[str]:
        """What contradicts another field."""
        names = [part.name for part in self.parts]
        faults = [] if len(set(names)) == len(names) else ["blend: two parts have one name"]
        if sum(part.kind == "language" for part in self.parts) > 1:
            faults.append("blend: has more than one language model")
        return faults


class DataEntry(Strict):
    """The training data: hash, rows by split, and what a reader should know about them."""

    name: Text
    sha256: Sha256
    counts: dict[str, Annotated[int, Field(ge=0)]]
    licence: Text = ""
    note: Text = ""


class FileEntry(Strict):
    """A file's hash and its size in bytes."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class BundleFacts(Strict):
    """What the caller of ``save_bundle`` knows; ``save_bundle`` adds the rest.

    ``base_rates`` as ``measure_base_rates`` returns them; empty where they are not known.
    ``final_fit`` is None where the model was fitted on the training split alone. ``ablation`` is
    for blends. ``seed`` is that of the training, ``config_sha256`` the hash of its settings as
    used.
    """

    data: DataEntry | None = None
    base_rates: dict[str, BaseRate] = Field(default={})
    final_fit: FinalFit | None = None
    evaluations: tuple[Evaluation, ...] = ()
    tables: tuple[CardTable, ...] = ()
    ablation: Ablation | None = None
    licence: Text = ""
    context_of_use: Text = CONTEXT_OF_USE
    seed: int | None = None
    config_sha256: Sha256 | None = None


class Manifest(BundleFacts):
    """The content of ``manifest.json``.

    ``kind`` says which of ``language``, ``baseline`` and ``blend`` describes the forecaster.
    ``schema_version`` is 1 for a bundle of LLM4TOP 0.1.0 (see ``schema1``).
    """

    schema_version: Literal[1, 2] = 2
    kind: Kind
    name: Name
    created: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    task: Task
    calibration: Literal["venn-abers", "platt", "none"]
    language: LanguageEntry | None = None
    baseline: BaselineEntry | None = None
    blend: BlendEntry | None = None
    versions: dict[str, str]
    reload_check: ReloadCheck | None = None
    files: dict[str, FileEntry]

    _stored: Mapping[str, Any] | None = PrivateAttr(default=None)
    """The manifest as a bundle of 0.1.0 stores it, which its identity is the hash of."""

    def facts(self) -> BundleFacts:
        """What was known when the bundle was saved."""
        return BundleFacts(**{name: getattr(self, name) for name in BundleFacts.model_fields})

    @property
    def entry(self) -> LanguageEntry | BaselineEntry | BlendEntry:
        """The entry of its kind."""
        entry: LanguageEntry | BaselineEntry | BlendEntry = getattr(self, self.kind)
        return entry

    @property
    def model_name(self) -> str:
        """What computes its forecasts, in one phrase: the base model, the baseline, the parts."""
        if self.language is not None:
            return self.language.base.id
        if self.baseline is not None:
            return self.baseline.label
        return " + ".join(part.label for part in self.blend.parts) if self.blend else ""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        others = {"language": self.language, "baseline": self.baseline, "blend": self.blend}
        if others.pop(self.kind) is None:
            raise ValueError(f"{self.kind}: is missing, and the bundle's kind is {self.kind}")
        faults = [f"{n}: is given for a {self.kind}" for n, e in others.items() if e is not None]
        faults += self.entry.faults(self.task)
        if any(len(rate.shares) != len(self.task.labels) for rate in self.base_rates.values()):
            faults.append("base_rates: need one share for each label")
        faults += self._wrong_files()
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _wrong_files(self) -> list[str]:
        expected, optional = (
            {paths.CARD_FILE, paths.CALIBRATION_FILE, *self.entry.files},
            {paths.TRAINED_ON_FILE, paths.SUPPORT_FILE},
        )
        names = set(self.files)
        if self.schema_version == 1:
            expected, optional = schema1.expected_files(self.kind, expected, names)
        elif self.blend is not None:
            folders = tuple(f"{part.folder}/" for part in self.blend.parts)
            expected |= {folder + paths.MANIFEST_FILE for folder in folders}
            optional |= {n for n in names if n.startswith(folders) and paths.is_bundle_file(n)}
        faults = [f"files: {name!r} is missing" for name in sorted(expected - names)]
        return faults + [f"files: {n!r} is extra" for n in sorted(names - expected - optional)]

    @property
    def identity(self) -> str:
        """The bundle's name and the first 12 digits of the hash of this manifest."""
        canonical = json.dumps(self.stored, sort_keys=True, ensure_ascii=False)
        return f"{self.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"

    def to_json(self) -> str:
        """The text of ``manifest.json``."""
        return json.dumps(self.stored, indent=2, ensure_ascii=False) + "\n"

    @property
    def stored(self) -> Mapping[str, Any]:
        """The manifest as it is on disk."""
        if self._stored is not None:
            return self._stored
        values = self.model_dump(
            mode="json", exclude={"language", "baseline", "blend"} - {self.kind}
        )
        # The identity of a bundle that was made before these existed stays what it was.
        return {k: v for k, v in values.items() if v or k not in _NOT_IN_0_2_0}

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Self:
        """Inverse of ``to_json``; reads the manifests of 0.1.0 too.

        Raises:
            BundleError: The first wrong field is named.
            UnsafeBundleError: A file would be outside the bundle.
        """
        old: dict[str, Any] = {}

        def present(values: dict[str, Any]) -> dict[str, Any]:
            files = values.get("files")
            for name in files if isinstance(files, dict) else ():
                if not paths.is_plain_name(name):
                    problem = f"the file {name!r:.100} points outside the bundle."
                    raise UnsafeBundleError(problem, where=where, hint=HINT)
            if values["schema_version"] == SCHEMA_VERSION:
                return values
            old.update(values)
            return schema1.upgraded(values)

        manifest = read_model(
            cls,
            text,
            what="the manifest",
            error=BundleError,
            where=where,
            hint=HINT,
            version=SCHEMA_VERSION,
            prepare=present,
        )
        if old:
            manifest._stored = old
        return manifest
