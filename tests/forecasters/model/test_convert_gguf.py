"""GGUF files become base models: the same tokens, the same logits, records as of a download."""

from __future__ import annotations

import builtins
import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.errors import DownloadError, MissingExtraError, ModelNotFoundError
from llm4top.forecasters.model import convert_gguf
from llm4top.forecasters.model.answer_head import answer_logits
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.download import download_model
from llm4top.forecasters.model.model_files import identify, known_models
from llm4top.forecasters.model.model_source import SOURCE_FILE, ModelSource
from llm4top.testing import make_tiny_model
from tests.forecasters.model.gguf_files import needs_gguf, write_tiny_gguf

TEXT = "<|im_start|>user\nPhase 2:\n\n12 patients  3 arms<|im_end|>\n<think>\n\n</think>\n\nYes"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 whose rows of 64 numbers are whole blocks of a quantisation."""
    return make_tiny_model(tmp_path_factory.mktemp("gguf") / "tiny", hidden=64)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def logits(folder: Path | str) -> torch.Tensor:
    base = load_base(folder, device="cpu", dtype="float32")
    ids = torch.tensor([base.tokenizer(TEXT)["input_ids"]])
    with torch.no_grad():
        return answer_logits(base.model, ids, torch.tensor([ids.shape[1]]), list(range(400)))


def test_a_converted_model_is_the_model(tiny: Path, tmp_path: Path, home: Path) -> None:
    file = write_tiny_gguf(tmp_path / "Tiny-1B.F32.gguf", tiny)
    said: list[str] = []
    folder, source = download_model(str(file), save_as="lab/tiny", notify=said.append)
    assert folder == home / "models" / "lab--tiny"
    torch.testing.assert_close(logits("lab/tiny"), logits(tiny), rtol=1e-6, atol=1e-6)
    ours, theirs = (load_base(f, device="cpu").tokenizer for f in (folder, tiny))
    assert ours(TEXT)["input_ids"] == theirs(TEXT)["input_ids"]

    assert (source.kind, source.origin, source.name) == ("gguf", "Tiny-1B.F32.gguf", "lab/tiny")
    assert ModelSource.read(folder) == source
    written = {path.name for path in folder.iterdir()} - {SOURCE_FILE}
    assert written == set(source.files)
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= written
    assert "lab/tiny" in known_models()
    assert identify(folder).id == "lab/tiny"
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == "{{ messages }}"
    readme = (folder / "README.md").read_text()
    assert readme.startswith("---\nlicense: apache-2.0\n---\n\n# Tiny\n")
    assert "GGUF file `Tiny-1B.F32.gguf` (sha256 " in readme
    assert said == [
        f"converting Tiny-1B.F32.gguf: qwen3, {said[0].split(', ')[1]}",
        "licence, as the file states it: apache-2.0",
    ]


@pytest.mark.parametrize(
    ("kind", "stored", "near"),
    [("F16", "F16", 2e-2), ("Q8_0", "BF16", 0.5), ("Q4_1", "BF16", 6.0)],
)
def test_weights_are_as_coarse_as_the_file(
    kind: str, stored: str, near: float, tiny: Path, tmp_path: Path
) -> None:
    from safetensors import safe_open

    file = write_tiny_gguf(tmp_path / "model.gguf", tiny, kind=kind)
    folder, _ = download_model(str(file))
    assert folder.name == "model"
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert {weights.get_slice(n).get_dtype() for n in weights.keys()} == {stored}  # noqa: SIM118
    far = float((logits(folder) - logits(tiny)).abs().max())
    assert 0 < far < near


def test_the_command_says_what_it_did_and_what_comes_next(tiny: Path, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf", tiny)
    result = CliRunner().invoke(app, ["download", str(file), "--as", "tiny"])
    assert result.exit_code == 0, result.output
    assert "licence, as the file states it: apache-2.0" in result.stderr
    assert "Next: llm4top train --base tiny --data DIR --out DIR" in result.stderr
    again = CliRunner().invoke(app, ["download", str(file), "--as", "tiny"])
    assert again.exit_code == 1
    assert "the name is taken by tiny.gguf." in again.stderr
    assert (
        CliRunner().invoke(app, ["download", str(file), "--as", "tiny", "--replace"]).exit_code == 0
    )


def test_digits_are_split_as_the_original_model_splits_them(tiny: Path, tmp_path: Path) -> None:
    # The blank lines before a number are one token there; transformers' reader parts them.
    file = write_tiny_gguf(tmp_path / "digits.gguf", tiny, tokenizer__ggml__pre="smollm")
    tokenizer = load_base(download_model(str(file))[0], device="cpu").tokenizer
    split = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a\n\n12")
    assert [piece for piece, _ in split] == ["a", "ĊĊ", "1", "2"]


def test_what_a_person_should_know_is_told(tiny: Path, tmp_path: Path) -> None:
    said: list[str] = []
    file = write_tiny_gguf(
        tmp_path / "odd.gguf", tiny, tokenizer__ggml__pre="own-way", general__license=None
    )
    download_model(str(file), notify=said.append)
    assert said[1:] == [
        "the file splits text by a rule that transformers does not know ('own-way'): a few words "
        "may become other tokens than in the original model",
        "licence, as the file states it: none stated; ask its source",
    ]


def test_another_chat_format_and_missing_answers_are_told(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = Tokenizer(models.BPE({c: i for i, c in enumerate("<|im_startYesNo> ")}, []))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel()
    said: list[str] = []
    convert_gguf._say_what_fits(PreTrainedTokenizerFast(tokenizer_object=letters), said.append)
    assert said[0] == (
        "its chat format is not ChatML, the one that prompts are written in: fine-tune it before "
        "you trust its forecasts"
    )
    assert said[1].startswith("it cannot be asked for success or failure: the answer 'No' of task")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"general__type": "adapter"}, "it holds no language model but 'adapter'."),
        ({"split__count": 3}, "it is one of 3 parts of a model."),
        ({"qwen3__block_count": 4_000_000_000}, "it states a block_count of 4 000 000 000 and has"),
        ({"qwen3__embedding_length": 1 << 20}, "it describes a model of"),
        ({"qwen3__feed_forward_length": 96}, "its weights cannot be read: "),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    fields: dict[str, object], message: str, tiny: Path, tmp_path: Path, home: Path
) -> None:
    file = write_tiny_gguf(tmp_path / "false.gguf", tiny, **fields)
    with pytest.raises(DownloadError) as error:
        download_model(str(file))
    assert message in str(error.value).replace("\u202f", " ")
    assert error.value.hint
    assert not list((home / "models").glob("false*[!k]"))


def test_a_missing_weight_is_told(tiny: Path, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "gap.gguf", tiny)
    file.write_bytes(file.read_bytes().replace(b"blk.1.ffn_gate", b"blk.1.ffn_gone"))
    with pytest.raises(
        DownloadError, match=r"1 weights are missing, the first is model.layers.1.mlp.gate_proj"
    ):
        download_model(str(file))


def test_a_cut_file_is_refused_before_it_is_read(tiny: Path, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "cut.gguf", tiny)
    with file.open("r+b") as handle:
        handle.truncate(file.stat().st_size - 5000)
    with pytest.raises(
        DownloadError, match=r"does not lie inside the file of .* cut short or damaged"
    ):
        download_model(str(file))


def test_an_unknown_architecture_and_quantisation_are_named(tiny: Path, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf", tiny)
    raw = file.read_bytes()
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(raw.replace(b"qwen3", b"qwxn3"))
    with pytest.raises(
        DownloadError, match=r"cannot read a model of architecture 'qwxn3': .*Get the model's saf"
    ):
        download_model(str(odd))
    # The type of the embedding, behind its name, its number of dimensions and its shape.
    at = raw.index(b"token_embd.weight") + len(b"token_embd.weight") + 4 + 16
    odd.write_bytes(raw[:at] + (99).to_bytes(4, "little") + raw[at + 4 :])
    with pytest.raises(
        DownloadError,
        match=r"'token_embd.weight' is quantised in a way that .* does not know \(type 99\)",
    ):
        download_model(str(odd))


def test_a_full_disk_and_little_memory_are_told_beforehand(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf", tiny)
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(DownloadError, match="and 1 kB are free"):
            download_model(str(file))
    memory = convert_gguf.psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(convert_gguf.psutil, "virtual_memory", lambda: memory)
    with pytest.raises(DownloadError, match=r"of memory and 1 kB are free\. Close other programs"):
        download_model(str(file))


def test_without_the_extra_the_command_that_installs_it_is_told(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf", tiny)
    with monkeypatch.context() as patch:
        patch.setattr("transformers.__version__", "5.3.0")
        with pytest.raises(
            MissingExtraError, match=r"needs transformers 5\.24 or later; 5\.3\.0 is"
        ):
            download_model(str(file))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "gguf" else found(name, *a)
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'llm4top\[gguf\]'"):
        download_model(str(file))


def test_what_is_no_file_and_what_is_no_gguf(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="there is no such file"):
        download_model(str(tmp_path / "none.gguf"))
    text = tmp_path / "notes.txt"
    text.write_text("not a model, and more than twenty-four bytes")
    with pytest.raises(DownloadError, match="this is not a GGUF file"):
        download_model(str(text))


def test_no_kernel_is_looked_for(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_gguf()
    imported = builtins.__import__

    def guarded(name: str, *args: object, **kwargs: object) -> object:
        assert name.partition(".")[0] != "kernels"
        return imported(name, *args, **kwargs)  # type: ignore[arg-type]

    file = write_tiny_gguf(tmp_path / "tiny.gguf", tiny, kind="Q8_0")
    monkeypatch.setattr(builtins, "__import__", guarded)
    assert download_model(str(file))[0].is_dir()
