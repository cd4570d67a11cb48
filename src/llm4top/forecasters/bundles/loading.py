"""How a bundle is loaded, and with which versions of what makes forecasts."""

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from llm4top import __version__
from llm4top.errors import ModelError

AS_TRAINED = "as trained"
_PACKAGES = (
    "torch", "transformers", "peft", "tokenizers", "safetensors", "numpy", "scipy",
    "scikit-learn", "xgboost", "xgboost-cpu",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loading:
    """The arguments of ``load_bundle`` that its parts are loaded with.

    Attributes:
        device, dtype, batch_tokens: As for ``LanguageForecaster``; baselines ignore them.
        quantize: "as trained", "4bit", "8bit" or None.
        base: The folder of the base model, where that is not the downloaded model of its name;
            it must be the same model.
        encoder: The folder of the text encoder that a bundle of the baseline "sentence" needs.
    """

    device: str = "auto"
    dtype: str = "auto"
    quantize: str | None = AS_TRAINED
    base: str | Path | None = None
    batch_tokens: int | None = None
    encoder: str | Path | None = None

    def __post_init__(self) -> None:
        """Raise ``ModelError`` where a batch would hold no token."""
        if self.batch_tokens is not None and self.batch_tokens < 1:
            raise ModelError(
                f"a batch cannot have {self.batch_tokens} tokens.",
                where="batch_tokens",
                hint="Give 1 or more, or None to fit the free memory.",
            )


def versions() -> dict[str, str]:
    """The versions of what makes forecasts, by package."""
    found = {"llm4top": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            # Two packages bring XGBoost, one with and one without what a GPU needs.
            found[package.removesuffix("-cpu")] = version(package)
        except PackageNotFoundError:
            continue
    return found
