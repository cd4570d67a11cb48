"""The tokenizer of a model: ``tokenizer.json`` alone, read without transformers.

Importing transformers takes longer than a forecast of the model that ships.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4top.errors import AnswerTokenError, ModelError
from llm4top.files import write_json
from llm4top.tasks.task import Task
from llm4top.text import first_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PLAIN_CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
"""``tokenizer_config.json`` for other tools: LLM4TOP takes no chat template from anybody."""


_MANY = 32
"""Fewer texts than this are turned into tokens faster one by one than by several threads."""


class FastTokenizer:
    """A tokenizer of the library ``tokenizers``, with the calls of a fast one of transformers.

    Args:
        backend: What turns text into tokens; it neither truncates nor pads from now on.
    """

    def __init__(self, backend: Tokenizer):
        backend.no_truncation()
        backend.no_padding()
        self.backend_tokenizer = backend

    def __len__(self) -> int:
        return int(self.backend_tokenizer.get_vocab_size(with_added_tokens=True))

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        return_offsets_mapping: bool = False,
    ) -> dict[str, Any]:
        """The ``input_ids`` of a text, or of each of several; the same as transformers gives.

        ``offset_mapping`` has the first character of each token and the one behind its last.
        """
        special = {"add_special_tokens": add_special_tokens}
        texts = [text] if isinstance(text, str) else list(text)
        if len(texts) < _MANY:
            found = [self.backend_tokenizer.encode(one, **special) for one in texts]
        else:
            found = self.backend_tokenizer.encode_batch(texts, **special)
        encoded: dict[str, list[Any]] = {"input_ids": [one.ids for one in found]}
        if return_offsets_mapping:
            encoded["offset_mapping"] = [one.offsets for one in found]
        return {k: v[0] for k, v in encoded.items()} if isinstance(text, str) else dict(encoded)

    @property
    def unk_token_id(self) -> int | None:
        """The token that stands for what the vocabulary lacks; None where there is none."""
        unknown = getattr(self.backend_tokenizer.model, "unk_token", None)
        return None if unknown is None else self.convert_tokens_to_ids(unknown)

    def convert_ids_to_tokens(self, token_id: int) -> str | None:
        """How the vocabulary spells a token."""
        return self.backend_tokenizer.id_to_token(token_id)

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """The number of a token as the vocabulary spells it."""
        return self.backend_tokenizer.token_to_id(token)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, the special ones included."""
        return self.backend_tokenizer.decode(list(ids), skip_special_tokens=False)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the files that transformers and ``load_tokenizer`` read."""
        self.backend_tokenizer.save(str(Path(folder) / "tokenizer.json"))
        write_json(Path(folder) / "tokenizer_config.json", PLAIN_CONFIG)


def load_tokenizer(folder: Path) -> FastTokenizer:
    """The tokenizer in ``tokenizer.json``, which alone says how text becomes tokens.

    ``tokenizer_config.json`` is not read: its chat template would be an unknown program,
    and prompts are written without one. Raises ``ModelError`` where there is none.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(
            "tokenizer.json is missing: LLM4TOP needs the fast tokenizer.", where=str(folder)
        )
    try:
        return FastTokenizer(Tokenizer.from_file(str(path)))
    except Exception as error:
        # The library raises bare exceptions.
        raise ModelError(
            f"is not a tokenizer: {first_line(error)}",
            where=str(path),
            hint="Download the model again.",
        ) from error


def answer_token_ids(tokenizer: Any, task: Task) -> tuple[int, ...]:
    """Token id of each label's answer, in label order.

    Raises ``AnswerTokenError`` where an answer is not one token or two answers share one.
    """
    ids = []
    for answer in task.answers:
        tokens = tokenizer(answer, add_special_tokens=False)["input_ids"]
        if len(tokens) != 1 or tokens[0] == tokenizer.unk_token_id:
            raise AnswerTokenError(
                f"the answer {answer!r} of task {task.name!r} is {len(tokens)} tokens "
                "of this model's tokenizer, or unknown to it.",
                hint="Choose answers that are one token each.",
            )
        ids.append(int(tokens[0]))
    if len(set(ids)) != len(ids):
        raise AnswerTokenError(f"two answers of task {task.name!r} are the same token.")
    return tuple(ids)
