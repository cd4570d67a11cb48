"""The files of a baseline in a bundle: arrays as safetensors, words as JSON, nothing pickled.

The words and, for "knn-forest", rows of features come from the training trials: a bundle may be
passed on only where those may.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from llm4top.errors import BundleError, ModelError, UnsafeBundleError
from llm4top.forecasters.baselines.base import BaselineForecaster, BaselineState
from llm4top.forecasters.baselines.catalog import BASELINES, baseline_name, make_baseline
from llm4top.forecasters.bundles.loading import versions
from llm4top.forecasters.bundles.manifest import BaselineEntry, EncoderEntry, Manifest
from llm4top.forecasters.bundles.paths import WEIGHTS_FILE, WORDS_FILE
from llm4top.forecasters.bundles.safe_files import MAX_JSON_BYTES
from llm4top.registry.trial import Intervention, Trial

_HINT = "Nothing of it was loaded. Get the bundle again from where it came, or fit it again."
_STORED_ELSEWHERE = {"task", "learner", "encoder"}

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
"""Invented trials for which every stored baseline notes its probabilities."""


def tolerance_of(forecaster: BaselineForecaster) -> float:
    """The largest difference between a baseline's probabilities and its bundle's."""
    # An encoder's sums in float32 differ a little from machine to machine.
    return 1e-4 if hasattr(forecaster, "encoder_") else 1e-6


def write_baseline(folder: Path, forecaster: BaselineForecaster) -> BaselineEntry:
    """Write the baseline's files into ``folder``; returns what the manifest says about them.

    Raises:
        BundleError: It is not one of LLM4TOP's baselines, or its words are too many to store.
    """
    name, state = baseline_name(forecaster), forecaster.state()
    arrays = {key: np.ascontiguousarray(array) for key, array in state.arrays.items()}
    save_file(arrays, folder / WEIGHTS_FILE)
    words = (json.dumps(state.words, ensure_ascii=False) + "\n").encode()
    if len(words) > MAX_JSON_BYTES:
        raise BundleError(f"its words take more than {MAX_JSON_BYTES >> 20} MiB.")
    (folder / WORDS_FILE).write_bytes(words)
    encoder = None
    if hasattr(forecaster, "encoder_"):
        identity = forecaster.encoder_.identity
        encoder = EncoderEntry(id=identity.id, sha256=identity.sha256)
    probe = forecaster.predict_proba(PROBES)
    return BaselineEntry(
        baseline=name,
        label=BASELINES[name].label,
        settings={
            key: value
            for key, value in forecaster.get_params(deep=False).items()
            if key not in _STORED_ELSEWHERE and isinstance(value, str | int | float | bool | None)
        },
        classes=tuple(forecaster.classes_.tolist()),
        sections=forecaster.sections_,
        floor=forecaster.floor_,
        encoder=encoder,
        probe=tuple(tuple(row) for row in probe.tolist()),
    )


def read_baseline(
    folder: Path, manifest: Manifest, encoder: str | Path | None = None
) -> BaselineForecaster:
    """The baseline of the verified bundle in ``folder``.

    Args:
        folder: The bundle.
        manifest: Its manifest.
        encoder: The folder of the text encoder, which "sentence" alone needs.

    Raises:
        BundleError: Its parts do not fit together, the encoder is another one, or this version
            of LLM4TOP or scikit-learn reads text in another way.
    """
    entry = manifest.baseline
    if entry is None:
        raise BundleError("has no baseline.", where=folder.name)
    state = _read_state(folder)
    try:
        forecaster = make_baseline(
            entry.baseline,
            manifest.task,
            seed=int(entry.settings.get("seed") or manifest.seed or 0),
            encoder=_checked_encoder(entry, encoder, folder),
        )
        known = set(forecaster.get_params(deep=False)) - _STORED_ELSEWHERE
        forecaster.set_params(**{k: v for k, v in entry.settings.items() if k in known})
        forecaster.classes_ = np.array(entry.classes)
        forecaster.base_rates_ = manifest.base_rates
        forecaster.sections_ = forecaster.reads if entry.sections is None else entry.sections
        forecaster.floor_ = entry.floor
        forecaster.restore(state)
    except ModelError as error:
        raise BundleError(error.message, where=folder.name, hint=_HINT) from error
    except BundleError as error:
        raise BundleError(
            error.message, where=error.where or folder.name, hint=error.hint or _HINT
        ) from error
    _check_probe(entry, forecaster, manifest.versions, folder)
    return forecaster


def _read_state(folder: Path) -> BaselineState:
    where = f"{folder.name}/{WEIGHTS_FILE}"
    try:
        arrays: dict[str, NDArray[Any]] = load_file(folder / WEIGHTS_FILE)
    except Exception as error:
        # The library raises an error of its own, or whatever a strange number type provokes.
        raise UnsafeBundleError("is not a safetensors file.", where=where, hint=_HINT) from error
    words = json.loads((folder / WORDS_FILE).read_text(encoding="utf-8"))
    for key, values in words.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise BundleError(
                f"{key!r:.60} is not a list of words.",
                where=f"{folder.name}/{WORDS_FILE}",
                hint=_HINT,
            )
    return BaselineState(arrays, words)


def _checked_encoder(
    entry: BaselineEntry, encoder: str | Path | None, folder: Path
) -> str | Path | None:
    needed = entry.encoder
    if needed is None:
        return None
    if encoder is None:
        raise BundleError(
            f"reads with the text encoder {needed.id}, which it does not hold.",
            where=folder.name,
            hint="Name the encoder's folder.",
        )
    from llm4top.forecasters.baselines.sentence import load_encoder

    found = load_encoder(encoder).identity.sha256
    if found != needed.sha256:
        raise BundleError(
            f"the encoder in {encoder} is not the {needed.id} that it was fitted with "
            f"(its files hash to {found[:12]}, not {needed.sha256[:12]}).",
            where=folder.name,
            hint="Name that encoder's folder.",
        )
    return encoder


def _check_probe(
    entry: BaselineEntry, forecaster: BaselineForecaster, made: Mapping[str, str], folder: Path
) -> None:
    found, expected = forecaster.predict_proba(PROBES), np.array(entry.probe)
    same = found.shape == expected.shape
    if same and np.abs(found - expected).max() <= tolerance_of(forecaster):
        return
    raise BundleError(
        "gives other probabilities than when it was stored: the versions here read trials in "
        f"another way. Stored with {_listed(made)}; here {_listed(versions())}.",
        where=folder.name,
        hint="Fit it again, or load it with the versions it was stored with.",
    )


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {number}" for package, number in versions.items())
