"""LoRA adapters in PEFT's files, read as files that are not trusted.

PEFT's own loader follows everything that the configuration names, imports by name included. Here
the configuration may say plain LoRA and its sizes; anything else is refused, and the tensors must
be exactly those which that configuration gives on this base model.
"""

import warnings
from pathlib import Path
from typing import Any

import torch

from llm4top.errors import ModelError, ModelNotFoundError, UnsafeModelError
from llm4top.forecasters.model.base_model import BaseModel, prepare_process
from llm4top.forecasters.model.model_files import read_json
from llm4top.lazy import quick_imports

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
MAX_RANK = 512

_USED = ("r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora")
# Notes to people and to tools, and defaults that mean nothing without their switch.
_NOTES = (
    "base_model_name_or_path", "inference_mode", "megatron_core", "peft_type", "peft_version",
    "qalora_group_size", "revision", "task_type",
)  # fmt: skip
_PLAIN: dict[str, tuple[Any, ...]] = {
    "bias": ("none",),
    # How the weights began is over, unless the base's own weights were changed along.
    "init_lora_weights": (True, False, "gaussian"),
}


def load_adapter(
    base: BaseModel, folder: str | Path, *, beside: Any = None, name: str = "default"
) -> Any:
    """The base model with the LoRA adapter of ``folder`` over it, in evaluation mode.

    The base model's modules are changed in place: from here on it is the adapted model. ``beside``
    is what this gave for the same base before: the adapter is added to it under ``name``.

    Raises ``ModelNotFoundError`` where there is no adapter, ``UnsafeModelError`` where it is no
    plain LoRA in safetensors or its tensors are not those of this base model, and ``ModelError``
    for a damaged one.
    """
    prepare_process()
    with quick_imports():
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

    folder = Path(folder).expanduser()
    weights = folder / ADAPTER_WEIGHTS
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ModelNotFoundError("there is no adapter_config.json here.", where=str(folder))
    if not weights.is_file():
        raise UnsafeModelError(
            f"there is no {ADAPTER_WEIGHTS}; adapters in other formats are not read.",
            where=str(folder),
            hint="Save the adapter as safetensors.",
        )
    config = _lora_config(folder / ADAPTER_CONFIG)
    try:
        model = with_lora(base.model, config, beside=beside, name=name)
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"the adapter does not fit this base model: {str(error).splitlines()[0]}",
            where=str(folder),
            hint="Load it over the base model that it was trained on.",
        ) from error
    try:
        held = get_peft_model_state_dict(model, adapter_name=name)
        expected = {k: tuple(v.shape) for k, v in held.items()}
        set_peft_model_state_dict(model, _read_tensors(weights, expected), adapter_name=name)
    except (ModelError, UnsafeModelError):
        if beside is not None:
            beside.delete_adapter(name)
        raise
    model.requires_grad_(False)
    return model.eval()


def with_lora(model: Any, config: Any, *, beside: Any = None, name: str = "default") -> Any:
    """PEFT's model of a ``LoraConfig`` around ``model``, whose modules change in place.

    ``beside`` is such a model already: the adapter is added to it under ``name``.
    """
    from peft import get_peft_model

    with warnings.catch_warnings():
        # PEFT still asks for a property under the name that transformers 5.10 retired.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        if beside is None:
            return get_peft_model(model, config, adapter_name=name)
        beside.add_adapter(name, config)
        return beside


def _lora_config(path: Path) -> Any:
    from peft import LoraConfig

    values = read_json(path)
    if values.get("peft_type") != "LORA":
        raise UnsafeModelError(
            f"{values.get('peft_type')!r} is not an adapter that LLM4TOP reads: LORA is.",
            where=str(path),
        )
    for name, value in values.items():
        plain = value in _PLAIN[name] if name in _PLAIN else not value
        if name not in _USED and name not in _NOTES and not plain:
            raise UnsafeModelError(
                f"the adapter asks for {name} = {value!r:.80}, which is not plain LoRA.",
                where=str(path),
            )
    rank, targets = values.get("r"), values.get("target_modules")
    if not isinstance(rank, int) or not 1 <= rank <= MAX_RANK:
        raise UnsafeModelError(f"its rank {rank!r} is not in 1 to {MAX_RANK}.", where=str(path))
    named = isinstance(targets, list) and all(isinstance(name, str) for name in targets)
    if not targets or not (named or targets == "all-linear"):
        raise UnsafeModelError("its target_modules are not a list of names.", where=str(path))
    if named and any(name.endswith(("lm_head", "embed_tokens", "embed_out")) for name in targets):
        raise UnsafeModelError(
            "it changes the output head, which the answers are read from.", where=str(path)
        )
    for name in ("lora_alpha", "lora_dropout"):
        if not isinstance(values.get(name, 0), int | float):
            raise UnsafeModelError(f"its {name} is not a number.", where=str(path))
    return LoraConfig(task_type="CAUSAL_LM", **{k: values[k] for k in _USED if k in values})


def _read_tensors(path: Path, expected: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The file's tensors, once its header has shown exactly the expected names and shapes."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _compare(held, expected, path)
            tensors = {name: file.get_tensor(name) for name in held}
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"cannot be read: {str(error).splitlines()[0]}",
            where=str(path),
            hint="Get the adapter again from where it came.",
        ) from error
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise UnsafeModelError(f"{name} does not hold finite numbers.", where=str(path))
    return tensors


def _compare(
    held: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]], path: Path
) -> None:
    for name in sorted(held.keys() | expected.keys()):
        if held.get(name) != expected.get(name):
            raise UnsafeModelError(
                f"{name} has the shape {held.get(name)}, not {expected.get(name)}: "
                "these are not this base model's adapter weights.",
                where=str(path),
                hint="Load it over the base model that it was trained on.",
            )
