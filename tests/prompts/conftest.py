"""Tokenizers and the invented trial that the prompt tests share."""

from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import llm4top
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Trial
from llm4top.testing import make_tiny_tokenizer

EXAMPLES = Path(llm4top.__file__).parent / "examples"


@pytest.fixture(scope="session")
def example() -> Trial:
    """The planned trial that ships with the package."""
    return next(read_records(EXAMPLES / "example.xml")).trial


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A byte-level BPE with Qwen3's chat tokens."""
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tiny_tokenizer(folder)
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


@pytest.fixture(scope="session")
def words():
    """A tokenizer that counts words and marks: the same on every machine, for golden files."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    pattern = Regex(r"\w+|[^\w\s]|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pattern, behavior="isolated")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.fixture(scope="session")
def qwen3(test_data):
    """The real Qwen3 tokenizer."""
    return PreTrainedTokenizerFast(tokenizer_file=str(test_data / "qwen3" / "tokenizer.json"))
