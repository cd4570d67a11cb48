"""The probe of a bundle: one safetensors file, whose metadata say which layer it reads."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from llm4top.errors import UnsafeBundleError
from llm4top.forecasters.bundles.manifest import HINT
from llm4top.forecasters.bundles.paths import PROBE_FILE
from llm4top.forecasters.model.probe import POOLINGS, Probe

_ARRAYS = ("mean", "scale", "coefficients", "intercept")


def write_probe(folder: Path, probe: Probe) -> None:
    """Write the probe into the bundle that is being written in ``folder``."""
    arrays = {name: np.ascontiguousarray(getattr(probe, name)) for name in _ARRAYS}
    place = {"layer": str(probe.layer), "pooling": probe.pooling}
    save_file(arrays, folder / PROBE_FILE, metadata=place)


def probe_place(folder: Path) -> dict[str, str]:
    """Which "layer" and "pooling" the probe of the verified bundle in ``folder`` reads."""
    with safe_open(folder / PROBE_FILE, framework="np") as file:
        return dict(file.metadata() or {})


def read_probe(folder: Path, *, layers: int, hidden_size: int, labels: int) -> Probe:
    """The probe of the verified bundle in ``folder``.

    ``layers`` and ``hidden_size`` are those of its base model, ``labels`` the number of labels.

    Raises:
        UnsafeBundleError: The file is no safetensors, or not a probe of this model.
    """
    try:
        with safe_open(folder / PROBE_FILE, framework="np") as file:
            place = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        # The library raises an error of its own, or whatever a strange number type provokes.
        raise _unlike(folder, "is not a safetensors file") from error
    layer, pooling = place.get("layer", ""), place.get("pooling", "")
    if layer not in map(str, range(1, layers + 1)):
        raise _unlike(folder, f"reads layer {layer!r:.20} of a model that has {layers}")
    if pooling not in POOLINGS:
        raise _unlike(folder, f"reads the pooling {pooling!r:.20}, not {' or '.join(POOLINGS)}")
    _check_arrays(folder, arrays, hidden_size, labels)
    return Probe(int(layer), pooling, **arrays)


def _check_arrays(folder: Path, arrays: dict[str, NDArray[Any]], h: int, labels: int) -> None:
    shapes = dict(zip(_ARRAYS, ((h,), (h,), (labels, h), (labels,)), strict=True))
    if set(arrays) != set(shapes):
        raise _unlike(folder, f"holds other tensors than {', '.join(_ARRAYS)}")
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.shape != shapes[name]:
            found, expected = list(array.shape), list(shapes[name])
            raise _unlike(folder, f"holds {name} as {array.dtype} {found}, not float32 {expected}")
        if not np.isfinite(array).all() or (name == "scale" and not (array > 0).all()):
            raise _unlike(folder, f"holds a number in {name} that no probe has")


def _unlike(folder: Path, problem: str) -> UnsafeBundleError:
    return UnsafeBundleError(f"{problem}.", where=f"{folder.name}/{PROBE_FILE}", hint=HINT)
