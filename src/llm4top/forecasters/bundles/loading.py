"""How to load a bundle."""

from dataclasses import dataclass
from pathlib import Path

AS_TRAINED = "as trained"


@dataclass(frozen=True, slots=True)
class Loading:
    """The arguments of ``load_bundle`` that its parts are loaded with."""

    device: str = "auto"
    dtype: str = "auto"
    quantize: str | None = AS_TRAINED
    base: str | Path | None = None
    batch_tokens: int | None = None
    encoder: str | Path | None = None
