"""The settings of each kind of run, checked before it is queued.

Data are named by the id of a data set or of uploads in the workspace, or by a path. A browser
names ids only: see ``by_id``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llm4top.errors import ConfigError, LLM4TOPError
from llm4top.schema import validate_settings
from llm4top.workspace.run_states import KINDS

_ELSEWHERE = Path("run")
"""Stands for the run's folder, which does not exist while settings are checked."""

_Device = Annotated[
    str,
    Field(
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        json_schema_extra={"takes": "auto, cpu, mps, cuda or cuda:N"},
    ),
]
_Name = Annotated[str, Field(min_length=1, max_length=500)]


class _Work(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def paths(self) -> dict[str, str]:
        """What is named by a path on this machine, by the name of its setting."""
        return {}


class _OnDataset(_Work):
    """``dataset`` is the id of a data set, ``data`` its folder: one of the two."""

    dataset: _Name | None = None
    data: Path | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.dataset is None) == (self.data is None):
            raise ValueError("dataset: name a data set by its id, or its folder in data")
        return self

    def paths(self) -> dict[str, str]:
        return {} if self.data is None else {"data": str(self.data)}


class _OnUploads(_Work):
    """``uploads`` are ids, ``sources`` paths of files, folders and zips; both may be given."""

    uploads: tuple[_Name, ...] = ()
    sources: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.uploads and not self.sources:
            raise ValueError("uploads: name one or more, or paths in sources")
        return self

    def paths(self) -> dict[str, str]:
        return {"sources": str(self.sources[0])} if self.sources else {}


class EvaluateWork(_OnDataset):
    """One model is evaluated, several are compared; see ``llm4top.evaluation``."""

    models: tuple[_Name, ...] = Field(min_length=1)
    split: Literal["valid", "test"] = "valid"
    seed: int = Field(0, ge=0, lt=2**32)
    draws: int = Field(1000, ge=100, le=100_000)
    device: _Device = "auto"
    quantize: Literal["4bit", "8bit"] | None = None
    batch_tokens: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.models)) != len(self.models):
            raise ValueError("models: name each one once")
        return self


class AuditWork(_OnDataset):
    """A data set's leak audit."""

    seed: int = Field(0, ge=0, lt=2**32)


class PrecedentsWork(_OnDataset):
    """The workspace's index of precedents; see ``Precedents.build``. Without ``model``: words."""

    model: _Name | None = "embedded"
    overwrite: bool = False
    device: _Device = "auto"


class ForecastWork(_OnUploads):
    """Forecasts of many records, written to files in the run's folder."""

    model: _Name = "embedded"
    task: _Name | None = None
    base_rate: str | None = Field(None, max_length=500)
    limit: int | None = Field(None, ge=1)
    device: _Device = "auto"
    quantize: Literal["4bit", "8bit"] | None = None
    batch_tokens: int | None = Field(None, ge=1)

    @field_validator("base_rate")
    @classmethod
    def _states_shares(cls, given: str | None) -> str | None:
        from llm4top.forecasters.base_rate_shift import parse_shares

        try:
            parse_shares(given or "0.5")
        except LLM4TOPError as error:
            raise ValueError(f"{error.message} {error.hint}") from None
        return given


class SplitWork(_Work):
    """A split rule by name, with what ``OwnSplit``, ``TimeSplit`` and ``RandomSplit`` take."""

    rule: Literal["own", "time", "random"]
    shares: tuple[float, float, float] | None = None
    seed: int = Field(0, ge=0, lt=2**32)
    valid_from: str | None = None
    test_from: str | None = None
    dating: Literal["start_date", "first_submitted", "nct_number"] = "start_date"
    undated: Literal["drop", "train"] = "drop"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        try:
            self.made()
        except LLM4TOPError as error:
            raise ValueError(str(error)) from None
        return self

    def made(self) -> Any:
        """The rule; raises ``SplitError`` for one that contradicts itself."""
        from llm4top.data.splits import OwnSplit, RandomSplit, TimeSplit

        if self.rule == "own":
            return OwnSplit()
        if self.rule == "random":
            return RandomSplit(shares=self.shares or (0.8, 0.1, 0.1), seed=self.seed)
        shares = self.shares
        if shares is None and self.valid_from is None:
            shares = (0.8, 0.1, 0.1)
        return TimeSplit(self.valid_from, self.test_from, shares, self.dating, self.undated)


class IngestWork(_OnUploads):
    """Makes a data set of the workspace; see ``llm4top.data.ingest.ingest``.

    The question is ``task``, one that comes with the package, or one of a file of its own.
    """

    name: str = Field(min_length=1, max_length=120)
    task: _Name = "outcome"
    task_upload: _Name | None = None
    task_file: Path | None = None
    labels_upload: _Name | None = None
    labels: Path | None = None
    label_column: str = "label"
    phases: tuple[Literal["I", "II", "III", "IV"], ...] = ()
    split: SplitWork | None = None
    enrich_upload: _Name | None = None
    enrich: Path | None = None
    limit: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        for name in ("labels", "enrich", "task_file"):
            upload = f"{name.removesuffix('_file')}_upload"
            if getattr(self, name) is not None and getattr(self, upload) is not None:
                raise ValueError(f"{name}: give an upload or a path, not both")
        return self

    def paths(self) -> dict[str, str]:
        """The files that the settings name."""
        more = {name: getattr(self, name) for name in ("labels", "enrich", "task_file")}
        return super().paths() | {name: str(path) for name, path in more.items() if path}


_MODELS: dict[str, type[_Work]] = {
    "evaluate": EvaluateWork,
    "audit": AuditWork,
    "forecast": ForecastWork,
    "precedents": PrecedentsWork,
    "ingest": IngestWork,
}


def checked_settings(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are stored: JSON-able, each one known and in range.

    ``train`` takes what ``make_config`` takes, ``benchmark`` what ``make_settings`` takes, both
    without ``out`` and with ``dataset`` (an id) in place of ``data`` where that is wanted; the
    other kinds take the fields of their ``...Work``.

    Raises ``ConfigError`` with every fault at once.
    """
    if kind not in KINDS:
        raise ConfigError(
            "there is no such kind of run.", [f"kind: {kind!r:.60} is none of {', '.join(KINDS)}"]
        )
    if kind in _MODELS:
        return _model(kind, settings).model_dump(mode="json", exclude_unset=True)
    # None is a value there ("patience": never stop early), but names no data.
    unnamed = {name for name in ("data", "dataset", "out") if settings.get(name) is None}
    return _borrowed(kind, {k: v for k, v in settings.items() if k not in unnamed})


def work_of(kind: str, settings: Mapping[str, Any]) -> Any:
    """The ``...Work`` of settings that were checked; the caller knows which it is."""
    return _model(kind, settings)


def by_id(kind: str, settings: Mapping[str, Any]) -> list[str]:
    """Faults where checked settings name a path: what a browser sends may only name ids."""
    if kind in _MODELS:
        named = _model(kind, settings).paths()
    else:
        named = {name: str(settings[name]) for name in ("data", "encoder") if name in settings}
    return [f"{name}: a path cannot be given here; name it by its id" for name in named]


def wanted_device(kind: str, settings: Mapping[str, Any]) -> str:
    """The device that such a run asks for: "cpu", "auto", "cuda", "cuda:1" or "mps"."""
    if kind in ("ingest", "audit"):
        return "cpu"
    return str(settings.get("device", "auto"))


def model_names(kind: str, settings: Mapping[str, Any]) -> list[str]:
    """The models that checked settings name."""
    if kind == "train":
        return [str(settings["base"])]
    if kind in ("forecast", "precedents"):
        return [str(name) for name in (settings.get("model", "embedded"),) if name is not None]
    return [str(name) for name in settings.get("models", settings.get("bases", ()))]


def _model(kind: str, given: Mapping[str, Any]) -> _Work:
    message = f"the settings of this {kind} run are wrong."
    return validate_settings(_MODELS[kind], dict(given), message=message)


def _borrowed(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Settings whose own room checks them."""
    faults = []
    if "out" in given:
        faults.append("out: a run has its own folder")
    if ("dataset" in given) == ("data" in given):
        faults.append("dataset: name a data set by its id, or its folder in data")
    dataset = given.get("dataset")
    if dataset is not None and not isinstance(dataset, str):
        faults.append("dataset: must be an id")
    from llm4top.forecasters.finetuning.settings import current_names

    inner = current_names({k: v for k, v in given.items() if k not in ("dataset", "out")})
    inner.setdefault("data", "data")
    try:
        made = configured(kind, inner, _ELSEWHERE)
        faults += _unknown_baselines(getattr(made, "baselines", None) or ())
    except ConfigError as error:
        faults += error.faults
    if faults:
        raise ConfigError(f"the settings of this {kind} run are wrong.", faults)
    checked: dict[str, Any] = made.model_dump(mode="json", include=set(inner))
    if "data" not in given:
        checked.pop("data")
    return checked | ({"dataset": dataset} if dataset is not None else {})


def _unknown_baselines(names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    from llm4top.forecasters.baselines.catalog import BASELINES

    known = ", ".join(BASELINES)
    unknown = [name for name in names if name not in BASELINES]
    return [f"baselines: there is no baseline {name!r:.60}; there are {known}" for name in unknown]


def configured(kind: str, settings: Mapping[str, Any], out: Path) -> Any:
    """The ``TrainingConfig`` or ``BenchmarkSettings`` of a run in ``out``; ``data`` is a path."""
    if kind == "train":
        from llm4top.training.config import make_config

        return make_config(None, {**settings, "out": out})
    from llm4top.benchmark.settings import make_settings

    return make_settings(**{**settings, "out": out})
