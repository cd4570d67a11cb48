"""A tokenizer for a small model of our own, made from the text that it will read."""

from collections.abc import Iterable
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
"""The marks of the chat format that our prompts use, spelled as in Qwen3's tokenizer."""


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int = 8192,
    answers: Iterable[str] = ("yes", "no"),
) -> Any:
    """Byte-level BPE over lower-cased ``texts``, with the chat marks and whole-word ``answers``.

    Lower case because data sets differ in it where the registry does not mean anything by it
    (TOP's drug and disease names are lower-cased), and because a small vocabulary cannot afford
    every word twice. The same texts in the same order give the same tokenizer.
    """
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        # Digits one by one, as Qwen does it: doses and ages keep their place value.
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(tuple(answers)),
        min_frequency=2,
        special_tokens=list(CHAT_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(a, single_word=True, normalized=True) for a in answers])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
