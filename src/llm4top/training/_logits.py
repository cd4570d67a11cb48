"""A finished run's answer logits of its validation split: what candidates are compared by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from llm4top.files import replacing
from llm4top.training._run_folder import RunFolder

LOGITS_FILE = "valid_logits.safetensors"


def keep_logits(run: RunFolder, logits: NDArray[np.float64]) -> None:
    """Write the logits ``[n, K]`` into the run's folder, in one step."""
    with replacing(run.path / LOGITS_FILE) as scratch:
        save_file({"logits": np.ascontiguousarray(logits, dtype=np.float64)}, scratch)


def kept_logits(run: RunFolder) -> NDArray[np.float64] | None:
    """The logits that ``keep_logits`` wrote; None where there are none, or none that can be read.

    Rows are those of the run's validation split, in the data set's order.
    """
    try:
        return np.asarray(load_file(run.path / LOGITS_FILE)["logits"], dtype=np.float64)
    except (OSError, SafetensorError, KeyError):
        return None
