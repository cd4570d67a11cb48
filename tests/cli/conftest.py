"""A tiny bundle and invented records for the tests of the commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import llm4top

EXAMPLES = Path(llm4top.__file__).parent / "examples"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, so that no test sees or touches the user's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LLM4TOP_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of all rooms, by a name that commands show."""
    return shutil.copytree(tiny_model, tmp_path_factory.mktemp("model") / "tiny-qwen3")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A whole bundle around the random model: calibrated, with base rates, carrying its base."""
    from llm4top.forecasters.base_rates import BaseRate
    from llm4top.forecasters.bundles.manifest import BundleFacts
    from llm4top.forecasters.bundles.write import save_bundle
    from llm4top.forecasters.calibration.methods import make_calibrator
    from llm4top.forecasters.language import LanguageForecaster
    from llm4top.forecasters.model.base_model import load_base
    from llm4top.prompts.prompt import PromptSpec

    base = load_base(tiny_model, device="cpu")
    forecaster = LanguageForecaster.from_model(base, "outcome", spec=PromptSpec(512))
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    logits = np.stack([np.zeros(200), rng.normal(y - 0.5, 1.0)], axis=1)
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    save_bundle(
        folder,
        name="tiny",
        forecaster=forecaster,
        calibration=make_calibrator().fit(logits, y),
        facts=BundleFacts(
            base_rates={
                "Phase 2": BaseRate(n=100, shares=(0.6, 0.4)),
                "all": BaseRate(n=300, shares=(0.5, 0.5)),
            },
        ),
    )
    return folder
