"""Loading a base model from a folder on this machine, with nothing in it trusted."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from llm4top.errors import MissingExtraError, ModelError
from llm4top.forecasters.model import model_files
from llm4top.forecasters.model.answer_head import check_answer_head, use_sharded
from llm4top.forecasters.model.device import Device, NumberType, choose_device, choose_dtype
from llm4top.forecasters.model.packing import drop_packing, use_packing
from llm4top.forecasters.model.sharding import Shard, shard_options, why_not_sharded
from llm4top.forecasters.model.tokenizer import FastTokenizer, load_tokenizer
from llm4top.lazy import hush_optional_kernels, quick_imports
from llm4top.text import first_line, one_line

Quantize = Literal["4bit", "8bit"] | None
"""How many bits a weight of a linear layer keeps; 8 are for forecasting alone."""
_BITS = {"4bit": "4 bits", "8bit": "8 bits"}


@dataclass(eq=False)
class BaseModel:
    """A causal language model in evaluation mode with its tokenizer, on its device.

    ``model`` is a Hugging Face causal LM. Training changes it in place: load the base model again
    for each training.
    """

    model: Any = field(repr=False)
    tokenizer: FastTokenizer = field(repr=False)
    device: Device
    dtype: NumberType
    folder: Path
    quantize: Quantize = None

    @cached_property
    def identity(self) -> model_files.BaseIdentity:
        """Which model this is; hashes the weights at the first use."""
        return model_files.identify(self.folder)

    @property
    def context_length(self) -> int | None:
        """The most tokens the model can take in one prompt; None where it does not say."""
        length = getattr(self.model.config, "max_position_embeddings", None)
        return int(length) if length else None

    @property
    def pad_id(self) -> int:
        """The token that fills up a batch. Any would do: see the answer head."""
        return 0


def load_base(
    base: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    quantize: Quantize = None,
    shard: Shard | None = None,
) -> BaseModel:
    """Load the base model in a folder, or of a name that has been downloaded.

    ``device`` and ``dtype`` are as for ``choose_device`` and ``choose_dtype``; ``quantize`` "4bit"
    keeps the linear layers in 4 bits (NF4, double quantisation) and computes in ``dtype``; "8bit"
    keeps them in 8 bits and multiplies in them too, but for columns with outliers (LLM.int8,
    Dettmers et al. 2022). Both need bitsandbytes. ``shard`` spreads the weights over
    the processes of ``torchrun``, which all call this; see ``sharding``.

    Raises ``ModelNotFoundError`` where it is not on this machine, ``UnsafeModelError`` where it
    would run code or has no safetensors, ``MissingExtraError`` without bitsandbytes, and
    ``ModelError`` where it cannot be used: an unknown architecture, broken or missing weights, a
    tokenizer that does not fit, an answer head that would give other logits than the model.
    """
    prepare_process()
    folder = model_files.resolve_base(base)
    place = choose_device(device)
    number = choose_dtype(place, dtype)
    if quantize not in (None, *_BITS):
        raise ModelError(f"no quantisation {quantize!r}.", hint="Choose 4bit or 8bit, or none.")
    if quantize is not None:
        _require_bitsandbytes(_BITS[quantize])
    if shard is not None and (reason := why_not_sharded(place, quantize)):
        raise ModelError(f"the model cannot be sharded: {reason}", hint="Load it whole.")
    with quick_imports():
        config = load_config(folder)
        model_files.weight_files(folder)
        tokenizer = load_tokenizer(folder)
        model = _load_model(folder, config, place, number, quantize, shard)
    check_vocabulary(tokenizer, model, "model", folder)
    try:
        with quietly():
            _check_head(model, folder, together=quantize != "8bit")
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"a first pass through the model failed: {first_line(error)}",
            where=str(folder),
            hint="Choose another base model; Qwen3 is the tested family.",
        ) from error
    return BaseModel(model, tokenizer, place, number, folder, quantize)


def _check_head(model: Any, folder: Path, *, together: bool) -> None:
    """The answer head's check, through the quick pass where the model takes it.

    Not ``together``: in 8 bits the columns that have outliers are those of a whole batch, so each
    prompt is a batch of its own and takes the plain pass.
    """
    if not together:
        check_answer_head(model, folder, together=False)
        return
    if use_packing(model):
        try:
            check_answer_head(model, folder)
        except (ModelError, RuntimeError, TypeError, AttributeError):
            # A version of transformers that builds this family otherwise than we know.
            drop_packing(model)
        else:
            return
    check_answer_head(model, folder)


def prepare_process() -> None:
    """Keep this process off the network, and one harmless message off the screen."""
    for variable in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[variable] = "1"
    import huggingface_hub.constants

    # It may have been imported, and have read the environment, before us.
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    hush_optional_kernels()


def load_config(folder: Path, *, encoder: bool = False) -> Any:
    """The model's configuration, of an architecture that transformers knows itself.

    ``encoder`` asks for any architecture, in place of causal language models. Raises
    ``ModelError`` for one that is not known, and as ``safe_config`` does.
    """
    from transformers import AutoModel, AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    models, example = (AutoModel, "BERT") if encoder else (AutoModelForCausalLM, "Qwen3")
    fields = model_files.safe_config(folder)
    model_type = fields.get("model_type")
    known = isinstance(model_type, str) and model_type in CONFIG_MAPPING
    if not known or CONFIG_MAPPING[model_type] not in models._model_mapping:
        what = "a model" if encoder else "a causal language model"
        raise ModelError(
            f"{model_type!r:.60} is not {what} that transformers knows.",
            where=str(folder / "config.json"),
            hint=f"Choose a model of a known architecture, such as {example}.",
        )
    try:
        return CONFIG_MAPPING[model_type].from_dict(fields)
    except Exception as error:
        # Whatever wrong numbers can provoke: type errors, divisions by zero, ...
        raise ModelError(
            f"the configuration makes no sense: {one_line(' '.join(str(error).split()), 300)}.",
            where=str(folder / "config.json"),
            hint="Download the model again.",
        ) from error


def _load_model(
    folder: Path,
    config: Any,
    device: Device,
    dtype: NumberType,
    quantize: Quantize,
    shard: Shard | None,
) -> Any:
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": dtype.torch, "config": config}
    if quantize is not None:
        options["quantization_config"] = _quantisation(quantize, dtype)
    architecture = AutoModelForCausalLM._model_mapping[type(config)]
    if shard is not None:
        options |= shard_options(architecture, config)
        options["dtype"] = torch.float32 if shard == "trained" else dtype.torch
    elif quantize or device.kind == "cuda":
        # Straight to the device: a copy in main memory may not fit.
        options["device_map"] = {"": device.torch}
    try:
        model, report = read_pretrained(architecture, folder, **options)
        placed = shard is not None or "device_map" in options
        model = model if placed else model.to(device.torch)
    except torch.OutOfMemoryError:
        raise ModelError(
            f"the model does not fit on {device.torch}.",
            where=str(folder),
            hint="Load it in 4 bits (--quantize 4bit), or on the CPU (--device cpu).",
        ) from None
    except Exception as error:
        # transformers, safetensors and torch raise many kinds for a damaged file.
        misfit = "ignore_mismatched_sizes" in str(error)
        what = "their shapes are not those of config.json." if misfit else first_line(error)
        raise ModelError(
            f"the weights cannot be loaded: {what}",
            where=str(folder),
            hint="Download the model again.",
        ) from error
    _refuse_gaps(report, folder)
    if quantize == "4bit" and device.kind == "cpu":
        _keep_differentiable(model)
    if shard is not None:
        use_sharded(model)
    return model.eval()


def read_pretrained(architecture: Any, folder: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    """A model of transformers from safetensors on this machine, and what was missing of it."""
    safely = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    with quietly():
        model, report = architecture.from_pretrained(folder, **safely, **options)
    return model, report


def check_vocabulary(tokenizer: Any, model: Any, what: str, folder: Path) -> None:
    """``ModelError`` where the tokenizer has tokens that the model, called ``what``, lacks."""
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(
            f"the tokenizer has {len(tokenizer)} tokens, the {what} {rows}.",
            where=str(folder),
            hint=f"The tokenizer belongs to another model: download the {what} again.",
        )


def _refuse_gaps(report: dict[str, Any], folder: Path) -> None:
    """Weights that were missing are random now: nothing may be forecast from them."""
    for what in ("missing_keys", "mismatched_keys"):
        if names := sorted(str(name) for name in report.get(what) or ()):
            raise ModelError(
                f"{len(names)} weights are {what.split('_')[0]}, the first is {names[0]}.",
                where=str(folder),
                hint="The weights do not belong to this config.json: download the model again.",
            )


def _quantisation(quantize: str, dtype: NumberType) -> Any:
    from transformers import BitsAndBytesConfig

    if quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype.torch,
    )


def _keep_differentiable(model: Any) -> None:
    """Keep bitsandbytes from repacking weights at the first pass in evaluation mode.

    On CPUs with AVX512-BF16 it does, for speed, and the repacked product has no gradient: LoRA
    layers below it would learn nothing once the model had been evaluated.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _require_bitsandbytes(bits: str) -> None:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError(
            f"loading a model in {bits} needs bitsandbytes.",
            hint="Install it with: pip install 'llm4top[four-bit]'",
        )


@contextmanager
def quietly() -> Iterator[None]:
    """Without the libraries' own progress bar and loading report: faults become errors here."""
    from transformers.utils import logging as hf_logging

    bar, level = hf_logging.is_progress_bar_enabled(), hf_logging.get_verbosity()
    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bar:
            hf_logging.enable_progress_bar()
