"""A GGUF file as a base model: read once by transformers, written as safetensors.

Local language models are passed around as GGUF, quantised and in one file. LLM4TOP trains and
forecasts from safetensors only, so the weights are unpacked here, once. They stay as coarse as the
file has them: a conversion does not bring back what its quantisation left out.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from packaging.version import Version

from llm4top.errors import AnswerTokenError, DownloadError, MissingExtraError
from llm4top.files import sha256_of, write_text
from llm4top.forecasters.model.answer_head import check_answer_head
from llm4top.forecasters.model.base_model import (
    check_vocabulary,
    load_config,
    prepare_process,
    quietly,
)
from llm4top.forecasters.model.gguf_header import GgufHeader
from llm4top.forecasters.model.tokenizer import answer_token_ids, load_tokenizer
from llm4top.prompts.prompt import OPENING
from llm4top.tasks.builtin import OUTCOME
from llm4top.text import file_size, first_line, thousands

_MODEL = "model.gguf"
_PLAIN = {0: torch.float32, 1: torch.float16, 30: torch.bfloat16}
_DIGIT_BY_DIGIT = frozenset(
    {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
)
_AS_GPT2 = frozenset({"gpt-2", "gpt2", "phi-2", "mpt", "olmo", "jais", "granite-docling"})
_OTHER = "Get the model's safetensors version, or another GGUF file of it."


def require_gguf() -> None:
    """Raise ``MissingExtraError`` where a package that reads GGUF files is absent or too old."""
    import transformers

    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError(
            "reading a GGUF file needs the package gguf.",
            hint="Install it with: pip install 'llm4top[gguf]'",
        )
    if Version(transformers.__version__) < Version("5.24"):
        raise MissingExtraError(
            f"reading a GGUF file needs transformers 5.24 or later; {transformers.__version__} is "
            "installed.",
            hint="Update it with: pip install -U 'transformers<6'",
        )


def stored_type(header: GgufHeader) -> torch.dtype:
    """The number type that the weights are stored in: the file's own, bfloat16 where quantised.

    Models are published in bfloat16 almost without exception, and its steps are far finer than
    those of any quantisation.
    """
    kinds = {tensor.kind for tensor in header.tensors}
    if not kinds <= _PLAIN.keys() or 30 in kinds:
        return torch.bfloat16
    # Norms are in float32 whatever the rest is in.
    return torch.float16 if 1 in kinds else torch.float32


def check_gguf(file: Path, header: GgufHeader) -> None:
    """Raise ``DownloadError`` for what holds no whole language model, and for a cut file."""
    import gguf

    kind, parts = header.text("general.type"), header.number("split.count") or 1
    if kind not in ("", "model"):
        raise _refused(file, f"it holds no language model but {kind!r:.40}.")
    if parts > 1:
        raise _refused(
            file,
            f"it is one of {parts} parts of a model.",
            "Join them first: llama-gguf-split --merge FIRST_PART WHOLE.gguf",
        )
    if not header.architecture or not header.tensors:
        raise _refused(file, "it names no architecture or has no tensors: this is no model.")
    size = file.stat().st_size
    for tensor in header.tensors:
        try:
            block, width = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(tensor.kind)]
        except (ValueError, KeyError):
            raise _refused(
                file,
                f"the tensor {tensor.name!r:.80} is quantised in a way that this version of the "
                f"package gguf does not know (type {tensor.kind}).",
                "Update it (pip install -U gguf), or get a file in Q4_K_M, Q8_0 or F16.",
            ) from None
        end = header.data_start + tensor.offset + tensor.elements // block * width
        if tensor.shape[0] % block or end > size:
            raise _refused(
                file,
                f"the tensor {tensor.name!r:.80} does not lie inside the file of "
                f"{file_size(size)}.",
                "The file is cut short or damaged: get it again from its source.",
            )
    _check_counts(file, header)


def _check_counts(file: Path, header: GgufHeader) -> None:
    """Layers and experts become objects before any weight is read: hold them against the table."""
    for name in ("block_count", "expert_count"):
        stated = header.number(f"{header.architecture}.{name}")
        if stated is not None and not 0 <= stated <= max(len(header.tensors), 1024):
            raise _refused(
                file,
                f"it states a {name} of {thousands(stated)} and has "
                f"{thousands(len(header.tensors))} tensors.",
            )


def convert_gguf(
    file: Path, header: GgufHeader, folder: Path, notify: Callable[[str], None]
) -> None:
    """Write the model in ``file`` into ``folder``: config, weights, tokenizer and a README.

    Args:
        file: The GGUF file; ``check_gguf`` has passed.
        header: Its header.
        folder: An existing, empty folder.
        notify: Called with what a person should know, in words.

    Raises:
        DownloadError: The architecture or quantisation is not supported, memory does not suffice,
            or the model cannot be read.
    """
    prepare_process()
    with _alone(file) as place, _without_kernels(), contextlib.redirect_stderr(io.StringIO()):
        config = _config(file, header, place, folder)
        _tokenizer(file, header, place, folder, notify)
        model = _model(file, header, place, config)
        _write(model, folder)
    tokenizer = load_tokenizer(folder)
    check_vocabulary(tokenizer, model, "model", folder)
    check_answer_head(model, folder)
    _say_what_is_lost(header, sum(weights.numel() for weights in model.parameters()), notify)
    _say_what_fits(tokenizer, notify)
    _write_readme(file, header, folder, notify)


def _config(file: Path, header: GgufHeader, place: Path, folder: Path) -> Any:
    """The model's configuration, written, read back as every other, and held against the file."""
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with quietly():
            found = AutoConfig.from_pretrained(place, gguf_file=_MODEL, local_files_only=True)
            # The reader leaves this out for Qwen3, and takes the 128 of the published models.
            width = header.number(f"{header.architecture}.attention.key_length")
            if found.model_type == "qwen3" and width is not None:
                found.head_dim = width
            found.save_pretrained(folder)
    except Exception as error:
        # The reader raises whatever a missing or strange field provokes.
        raise _refused(
            file,
            f"transformers' GGUF reader cannot read a model of architecture "
            f"{header.architecture!r:.40}: {first_line(error)}",
        ) from error
    config = load_config(folder)
    try:
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config)
        needed = sum(weights.numel() for weights in empty.parameters())
    except Exception as error:
        raise _refused(file, f"its settings make no sense: {first_line(error)}") from error
    if needed > header.elements:
        raise _refused(
            file,
            f"it describes a model of {thousands(needed)} parameters and holds "
            f"{thousands(header.elements)}.",
        )
    free, takes = psutil.virtual_memory().available, 2 * needed * stored_type(header).itemsize
    if takes > free:
        raise DownloadError(
            f"unpacking takes {file_size(takes)} of memory and {file_size(free)} are free.",
            where=str(file),
            hint="Close other programs, or convert it on a larger machine and copy the folder.",
        )
    return config


def _tokenizer(
    file: Path, header: GgufHeader, place: Path, folder: Path, notify: Callable[[str], None]
) -> None:
    """Write the tokenizer, its chat template inside ``tokenizer_config.json``."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    try:
        with quietly():
            found = AutoTokenizer.from_pretrained(
                place, gguf_file=_MODEL, local_files_only=True, trust_remote_code=False
            )
            split = header.text("tokenizer.ggml.pre")
            if header.text("tokenizer.ggml.model") == "gpt2" and split in _DIGIT_BY_DIGIT:
                # transformers takes GPT-2's way for these, which parts blanks and line ends
                # before a number differently.
                found.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                    [
                        pre_tokenizers.Digits(individual_digits=True),
                        pre_tokenizers.ByteLevel(add_prefix_space=False),
                    ]
                )
            elif not _known_split(header, split):
                notify(
                    "the file splits text by a rule that transformers does not know "
                    f"({split!r:.40}): a few words may become other tokens than in the original "
                    "model"
                )
            found.save_pretrained(folder, save_jinja_files=False)
    except Exception as error:
        raise _refused(file, f"its tokenizer cannot be read: {first_line(error)}") from error


def _known_split(header: GgufHeader, split: str) -> bool:
    from transformers.integrations.gguf import gguf_tokenizer_mapping

    known = gguf_tokenizer_mapping.GGUF_PRE_TOKENIZER_SPLITS.keys() | _AS_GPT2
    return header.text("tokenizer.ggml.model") != "gpt2" or split in known


def _model(file: Path, header: GgufHeader, place: Path, config: Any) -> Any:
    from transformers import AutoModelForCausalLM, GgufConfig

    try:
        with quietly():
            model, report = AutoModelForCausalLM.from_pretrained(
                place,
                gguf_file=_MODEL,
                config=config,
                dtype=stored_type(header),
                quantization_config=GgufConfig(dequantize=True),
                local_files_only=True,
                output_loading_info=True,
            )
    except NotImplementedError as error:
        raise _refused(
            file,
            f"its quantisation cannot be unpacked: {first_line(error)}",
            "Get a file in Q4_K_M, Q8_0 or F16.",
        ) from error
    except Exception as error:
        raise _refused(file, f"its weights cannot be read: {first_line(error)}") from error
    absent = sorted({*(report.get("missing_keys") or ()), *(report.get("mismatched_keys") or ())})
    if absent:
        raise _refused(file, f"{len(absent)} weights are missing, the first is {absent[0]}.")
    return model.eval()


def _write(model: Any, folder: Path) -> None:
    """Save it as an ordinary model: what it was read from is no part of it."""
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    with quietly():
        model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def _say_what_is_lost(header: GgufHeader, parameters: int, notify: Callable[[str], None]) -> None:
    """Tell what the reader leaves behind without a word."""
    stretch = header.text(f"{header.architecture}.rope.scaling.type")
    rope = [tensor for tensor in header.tensors if tensor.name.startswith("rope_f")]
    if rope or stretch not in ("", "none"):
        notify(
            "the model stretches its positions for long texts, which transformers' GGUF reader "
            "does not take over: its forecasts differ a little from the original model's"
        )
    left = header.elements - parameters - sum(tensor.elements for tensor in rope)
    if left > 0:
        notify(f"{thousands(left)} numbers of the file have no place in the model and are left out")


def _say_what_fits(tokenizer: Any, notify: Callable[[str], None]) -> None:
    """Tell where the model will not be asked in its own chat format, or cannot answer."""
    mark = OPENING.partition(">")[0] + ">"
    if len(tokenizer(mark, add_special_tokens=False)["input_ids"]) != 1:
        notify(
            "its chat format is not ChatML, the one that prompts are written in: fine-tune it "
            "before you trust its forecasts"
        )
    try:
        answer_token_ids(tokenizer, OUTCOME)
    except AnswerTokenError as error:
        notify(f"it cannot be asked for success or failure: {error}")


def _write_readme(
    file: Path, header: GgufHeader, folder: Path, notify: Callable[[str], None]
) -> None:
    licence = header.text("general.license")
    notify(f"licence, as the file states it: {licence or 'none stated; ask its source'}")
    lines = ["---", f"license: {licence}", "---", ""] if licence else []
    lines += [
        f"# {header.text('general.name') or file.stem}",
        "",
        f"Converted by LLM4TOP from the GGUF file `{file.name}` (sha256 {sha256_of(file)}).",
        "",
    ]
    for name, label in _NOTED.items():
        if value := header.text(name):
            lines.append(f"- {label}: {value}")
    write_text(folder / "README.md", "\n".join(lines) + "\n")


_NOTED = {
    "general.organization": "Organisation",
    "general.size_label": "Size",
    "general.license": "Licence",
    "general.license.link": "Licence text",
    "general.source.url": "Source",
    "general.url": "Home",
}


@contextmanager
def _alone(file: Path) -> Iterator[Path]:
    """A folder with nothing but the file: what lies beside it must not be read as settings."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / _MODEL).symlink_to(file.resolve())
        yield Path(place)


@contextmanager
def _without_kernels() -> Iterator[None]:
    """Keep transformers from looking for compiled kernels, which would be code from elsewhere."""
    from transformers.integrations.gguf import kernels

    kept = kernels._gguf_kernel, kernels.kernelize_ggml_layers
    kernels._gguf_kernel, kernels.kernelize_ggml_layers = False, lambda _model: None
    try:
        yield
    finally:
        kernels._gguf_kernel, kernels.kernelize_ggml_layers = kept


def _refused(file: Path, message: str, hint: str = _OTHER) -> DownloadError:
    return DownloadError(message, where=str(file), hint=hint)
