"""A fitted baseline as a folder: safetensors and JSON, each file hashed, nothing pickled.

``baseline.json`` is the manifest, ``weights.safetensors`` the arrays, ``words.json`` the lists of
words and names, ``MODEL_CARD.md`` the card. The words and, for "knn-forest", rows of features come
from the training trials: whoever may not pass those on should not pass this on either.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from llm4top import __version__
from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.forecasters.baselines.base import BaselineForecaster, BaselineState, Probabilities
from llm4top.forecasters.baselines.catalog import BASELINES, make_baseline
from llm4top.forecasters.baselines.classical import ClassicalForecaster
from llm4top.forecasters.baselines.manifest import (
    BASELINE_FILE,
    WEIGHTS_FILE,
    WORDS_FILE,
    BaselineFacts,
    BaselineManifest,
    EncoderEntry,
    render_baseline_card,
)
from llm4top.forecasters.baselines.sentence import SentenceForecaster, load_encoder
from llm4top.forecasters.baselines.simple import (
    AlwaysForecaster,
    BaseRateForecaster,
    TfidfForecaster,
)
from llm4top.forecasters.bundles.manifest import CARD_FILE, FileEntry, ReloadCheck
from llm4top.forecasters.bundles.paths import checked_name
from llm4top.forecasters.bundles.safe_files import (
    MAX_JSON_BYTES,
    entries,
    sha256_of,
    unsafe_content,
    unsafe_kind,
)
from llm4top.forecasters.folders import publish_folder
from llm4top.registry.trial import Intervention, Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

_MAX_MANIFEST_BYTES = 8 * 1024 * 1024
_AGAIN = "Nothing of it was loaded. Get the baseline again from where it came, or fit it again."
_SAID_ELSEWHERE = {"task", "seed", "learner", "encoder"}
_TOLERANCE = 1e-6
_ENCODER_TOLERANCE = 1e-4

PROBES = (
    Trial(),
    Trial(
        phase="Phase 2",
        conditions=("asthma",),
        icd_codes=("J45.909",),
        interventions=(Intervention("inhaled study drug", "Drug"), Intervention("placebo", "Drug")),
        criteria="Inclusion Criteria:\n- Adults with asthma\nExclusion Criteria:\n- Pregnancy",
    ),
    Trial(
        phase="Phase 1/Phase 2",
        study_type="Interventional",
        brief_title="A study of safety in advanced cancer",
        conditions=("breast cancer", "solid tumors"),
        criteria="Inclusion Criteria:\n- Age of 18 years or older\n- ECOG 0 or 1",
        sex="All",
        minimum_age="18 Years",
        sponsor_class="Industry",
    ),
)
"""Invented trials on which every stored baseline notes its probabilities."""


@dataclass(frozen=True, slots=True)
class LoadedBaseline:
    """A stored baseline that is ready to forecast. ``identity`` names it for good."""

    task: Task
    forecaster: BaselineForecaster
    identity: str
    manifest: BaselineManifest
    folder: Path

    @property
    def label(self) -> str:
        """The baseline as tables show it."""
        return self.manifest.label

    def predict_proba(self, trials: Iterable[Trial]) -> Probabilities:
        """Probabilities ``[n, K]``, columns in the order of the task's labels.

        A label that no training trial had has probability 0.
        """
        found = self.forecaster.predict_proba(trials)
        spread = np.zeros((len(found), len(self.task.labels)))
        spread[:, list(self.manifest.positions)] = found
        return spread


def is_baseline(folder: str | Path) -> bool:
    """Whether the folder looks like a stored baseline: it has its manifest."""
    return (Path(folder) / BASELINE_FILE).is_file()


def baseline_name_of(forecaster: BaselineForecaster) -> str:
    """The forecaster's name among ``BASELINES``; ``BundleError`` where it has none."""
    if isinstance(forecaster, ClassicalForecaster):
        return str(forecaster.learner)
    for kind, name in _NAMES.items():
        if type(forecaster) is kind:
            return name
    raise BundleError(f"{type(forecaster).__name__} is not a baseline that can be stored.")


_NAMES: dict[type[Any], str] = {
    AlwaysForecaster: "always",
    BaseRateForecaster: "base-rate",
    TfidfForecaster: "tfidf",
    SentenceForecaster: "sentence",
}


def save_baseline(
    folder: str | Path,
    forecaster: BaselineForecaster,
    *,
    name: str,
    facts: BaselineFacts | None = None,
    trials: Sequence[Trial] = (),
    replace: bool = False,
) -> BaselineManifest:
    """Write a fitted baseline into ``folder`` and return its manifest.

    It is loaded again from there before the folder takes its name: it must give the same
    probabilities on ``trials`` and on a few invented ones. ``name`` names it as a bundle's does.
    The folder appears complete or not at all; ``replace`` exchanges a baseline that is there.

    Raises ``BundleError`` for a name that is none, a folder that is taken, and a baseline that
    gives other probabilities when reloaded.
    """
    folder = Path(folder)
    checked_name(name)
    taken = folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    if taken and not (replace and is_baseline(folder)):
        raise BundleError(
            f"there is {'a baseline' if is_baseline(folder) else 'something else'} here already.",
            where=str(folder),
            hint="Choose another folder.",
        )
    baseline_name_of(forecaster)
    checked = (*PROBES, *trials)
    expected = forecaster.predict_proba(checked)
    state = forecaster.state()

    def write(staging: Path) -> None:
        arrays = {key: np.ascontiguousarray(array) for key, array in state.arrays.items()}
        save_file(arrays, staging / WEIGHTS_FILE)
        words = json.dumps(state.words, ensure_ascii=False)
        (staging / WORDS_FILE).write_text(words + "\n", encoding="utf-8")
        manifest = _new_manifest(name, forecaster, facts or BaselineFacts(), expected)
        manifest = _write_manifest(staging, manifest)
        check = _reloaded(staging, forecaster, checked, expected)
        _write_manifest(staging, manifest.model_copy(update={"reload_check": check}))

    publish_folder(folder, write)
    return read_baseline_manifest(folder)


def load_baseline(folder: str | Path, *, encoder: str | Path | None = None) -> LoadedBaseline:
    """Verify a stored baseline, load it, and see that it forecasts as it did.

    ``encoder`` is the folder of the text encoder, which "sentence" alone needs.

    Raises ``TamperedBundleError`` for a file that is changed or missing, ``UnsafeBundleError`` for
    one that does not belong there or could run code, and ``BundleError`` for anything else that
    does not fit: another encoder, or a version of LLM4TOP or scikit-learn that reads text in
    another way.
    """
    path = Path(folder).expanduser()
    manifest = verify_baseline(path)
    forecaster = make_baseline(
        manifest.baseline,
        manifest.task,
        seed=manifest.seed or 0,
        encoder=_checked_encoder(manifest, encoder, path),
    )
    known = set(forecaster.get_params(deep=False)) - _SAID_ELSEWHERE
    forecaster.set_params(**{k: v for k, v in manifest.settings.items() if k in known})
    forecaster.classes_ = np.array(manifest.classes)
    state = _read_state(path)
    try:
        forecaster.restore(state)
    except BundleError as error:
        raise BundleError(
            error.message, where=error.where or path.name, hint=error.hint or _AGAIN
        ) from error
    _check_probe(manifest, forecaster, path)
    return LoadedBaseline(manifest.task, forecaster, manifest.identity, manifest, path)


def read_baseline_manifest(folder: Path) -> BaselineManifest:
    """The manifest in ``folder``; ``BundleError`` where it is none."""
    path = folder / BASELINE_FILE
    where = f"{folder.name}/{BASELINE_FILE}"
    if path.is_symlink():
        raise UnsafeBundleError("is a link.", where=where, hint=_AGAIN)
    if not path.is_file():
        raise BundleError(
            f"there is no {BASELINE_FILE} here: this folder is not a stored baseline.",
            where=str(folder),
            hint="Give the folder that holds it.",
        )
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise UnsafeBundleError("is far larger than a manifest is.", where=where, hint=_AGAIN)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise UnsafeBundleError("is not text.", where=where, hint=_AGAIN) from None
    return BaselineManifest.from_json(text, where=where)


def verify_baseline(folder: Path) -> BaselineManifest:
    """Compare every file with the manifest, loading none and following no link.

    Raises ``UnsafeBundleError`` for a file that is not in the manifest, and for one that is no
    ordinary file or could run code; ``TamperedBundleError`` for one that is changed or missing.
    """
    manifest = read_baseline_manifest(folder)
    seen = set()
    for name, entry in entries(folder):
        if name == BASELINE_FILE:
            continue
        where, path = f"{folder.name}/{name}", Path(entry.path)
        if problem := unsafe_kind(name, entry):
            raise UnsafeBundleError(f"{problem}.", where=where, hint=_AGAIN)
        if name not in manifest.files:
            raise UnsafeBundleError("does not belong to the baseline.", where=where, hint=_AGAIN)
        seen.add(name)
        expected = manifest.files[name]
        if path.stat().st_size != expected.size or sha256_of(path) != expected.sha256:
            raise TamperedBundleError(
                "does not match its hash in the manifest.", where=where, hint=_AGAIN
            )
        if name != WEIGHTS_FILE and (problem := unsafe_content(name, path)):
            raise UnsafeBundleError(f"{problem}.", where=where, hint=_AGAIN)
    for name in manifest.files:
        if name not in seen:
            raise TamperedBundleError("is missing.", where=f"{folder.name}/{name}", hint=_AGAIN)
    return manifest


def _read_state(folder: Path) -> BaselineState:
    where = f"{folder.name}/{WEIGHTS_FILE}"
    try:
        arrays: dict[str, NDArray[Any]] = load_file(folder / WEIGHTS_FILE)
    except Exception as error:
        # The library raises an error of its own, or whatever a strange number type provokes.
        raise UnsafeBundleError("is not a safetensors file.", where=where, hint=_AGAIN) from error
    words = json.loads((folder / WORDS_FILE).read_text(encoding="utf-8"))
    for key, values in words.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise BundleError(
                f"{key!r:.60} is not a list of words.", where=f"{folder.name}/{WORDS_FILE}"
            )
    return BaselineState(arrays, words)


def _checked_encoder(
    manifest: BaselineManifest, encoder: str | Path | None, folder: Path
) -> str | Path | None:
    needed = manifest.encoder
    if needed is None:
        return None
    if encoder is None:
        raise BundleError(
            f"reads with the text encoder {needed.id}, which it does not hold.",
            where=folder.name,
            hint="Name the encoder's folder.",
        )
    found = load_encoder(encoder).identity.sha256
    if found != needed.sha256:
        raise BundleError(
            f"the encoder in {encoder} is not the {needed.id} that it was fitted with "
            f"(its files hash to {found[:12]}, not {needed.sha256[:12]}).",
            where=folder.name,
            hint="Name that encoder's folder.",
        )
    return encoder


def _check_probe(manifest: BaselineManifest, forecaster: BaselineForecaster, folder: Path) -> None:
    found = forecaster.predict_proba(PROBES)
    expected = np.array(manifest.probe)
    tolerance = _tolerance(forecaster)
    if found.shape == expected.shape and np.abs(found - expected).max() <= tolerance:
        return
    made = ", ".join(f"{package} {number}" for package, number in manifest.versions.items())
    here = ", ".join(f"{package} {number}" for package, number in _versions().items())
    raise BundleError(
        "gives other probabilities than when it was stored: the versions here read trials in "
        f"another way. Stored with {made}; here {here}.",
        where=folder.name,
        hint="Fit it again, or load it with the versions it was stored with.",
    )


def _tolerance(forecaster: BaselineForecaster) -> float:
    # An encoder's sums in float32 differ a little from machine to machine.
    return _ENCODER_TOLERANCE if isinstance(forecaster, SentenceForecaster) else _TOLERANCE


def _reloaded(
    folder: Path, saved: BaselineForecaster, trials: Sequence[Trial], expected: Probabilities
) -> ReloadCheck:
    encoder = saved.encoder if isinstance(saved, SentenceForecaster) else None
    found = load_baseline(folder, encoder=encoder).forecaster.predict_proba(trials)
    difference = float(np.abs(found - expected).max())
    tolerance = _tolerance(saved)
    if not difference <= tolerance:
        raise BundleError(
            f"the reloaded baseline gives other probabilities: they differ by up to "
            f"{difference:.2g}, where {tolerance:.2g} is allowed.",
            hint="Nothing was kept. Please report this.",
        )
    return ReloadCheck(n=len(trials), max_difference=difference, tolerance=tolerance)


def _new_manifest(
    name: str, forecaster: BaselineForecaster, facts: BaselineFacts, expected: Probabilities
) -> BaselineManifest:
    baseline = baseline_name_of(forecaster)
    settings = {
        key: value
        for key, value in forecaster.get_params(deep=False).items()
        if key not in _SAID_ELSEWHERE and isinstance(value, str | int | float | bool | None)
    }
    encoder = None
    if isinstance(forecaster, SentenceForecaster):
        identity = forecaster.encoder_.identity
        encoder = EncoderEntry(id=identity.id, sha256=identity.sha256)
    empty = FileEntry(sha256="0" * 64, size=0)
    return BaselineManifest(
        **dict(facts),
        name=name,
        baseline=baseline,
        label=BASELINES[baseline].label,
        created=datetime.now(UTC).date().isoformat(),
        task=get_task(forecaster.task),
        settings=settings,
        seed=getattr(forecaster, "seed", None),
        classes=tuple(forecaster.classes_.tolist()),
        encoder=encoder,
        probe=tuple(tuple(row) for row in expected[: len(PROBES)].tolist()),
        versions=_versions(),
        files=dict.fromkeys((WEIGHTS_FILE, WORDS_FILE, CARD_FILE), empty),
    )


def _write_manifest(folder: Path, manifest: BaselineManifest) -> BaselineManifest:
    """Write the card that follows from the manifest, and the manifest with every file's hash."""
    (folder / CARD_FILE).write_text(render_baseline_card(manifest), encoding="utf-8")
    files = {
        name: FileEntry(sha256=sha256_of(folder / name), size=(folder / name).stat().st_size)
        for name in sorted(manifest.files)
    }
    if files[WORDS_FILE].size > MAX_JSON_BYTES:
        raise BundleError(f"its words take more than {MAX_JSON_BYTES >> 20} MiB.")
    hashed = manifest.model_copy(update={"files": files})
    (folder / BASELINE_FILE).write_text(hashed.to_json(), encoding="utf-8")
    return hashed


def _versions() -> dict[str, str]:
    found = {package: version(package) for package in ("scikit-learn", "numpy", "scipy")}
    # Two packages bring XGBoost, one with and one without what a GPU needs.
    found["xgboost"] = xgboost.__version__
    return {"llm4top": __version__, "python": platform.python_version(), **found}
