"""A model on a server as an untrained forecaster."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from llm4top.errors import ModelNotFoundError
from llm4top.files import sha256_of
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.completion_server import CompletionServer, ServedModel
from llm4top.forecasters.model.model_source import MODEL_NAME, model_folder
from llm4top.forecasters.model.served_scorer import ServedScorer
from llm4top.forecasters.model.tokenizer import load_tokenizer
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.task import Task


@dataclass(frozen=True, slots=True)
class ServedBase:
    """A served model, its server, and the folder of its tokenizer on this machine."""

    served: ServedModel
    server: CompletionServer
    tokenizer: Path

    @property
    def sha256(self) -> str:
        """One hash over address, name and tokenizer; whether the weights changed is not known."""
        parts = [self.served.url, self.served.name, sha256_of(self.tokenizer / "tokenizer.json")]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def language(self, task: Task, spec: PromptSpec) -> LanguageForecaster:
        """The model as it is, ready to forecast; nothing is sent yet."""
        tokenizer = load_tokenizer(self.tokenizer)
        return LanguageForecaster.from_served(
            ServedScorer.plain(self.server, tokenizer, task, spec)
        )


def find_served(
    name: str, *, tokenizer: str | Path | None = None, allow_remote: bool = False
) -> ServedBase:
    """The served model of ``URL#NAME`` with the tokenizer that writes its prompts.

    Args:
        name: The base address of an OpenAI-compatible API, "#", and the model's name there.
        tokenizer: A folder with the model's ``tokenizer.json``; None takes that of the
            downloaded model of the same name.
        allow_remote: Whether the server may be another machine, which then reads every record.

    Raises:
        ModelError: The address cannot be used, or is another machine's.
        ModelNotFoundError: The tokenizer is not on this machine.
    """
    served = ServedModel.parse(name)
    server = CompletionServer(served, allow_remote=allow_remote)
    named = model_folder(served.name) if MODEL_NAME.fullmatch(served.name) else None
    folder = Path(tokenizer).expanduser() if tokenizer is not None else named
    if folder is None or not (folder / "tokenizer.json").is_file():
        place = f" (looked in {folder})" if folder else ""
        raise ModelNotFoundError(
            f"the tokenizer of {served.name} is not on this machine{place}; prompts are written "
            "here, not by the server.",
            where=served.url,
            hint="Put the model's tokenizer.json into a folder and give it: --tokenizer FOLDER. "
            f"Or download the model: llm4top download {served.name}",
        )
    return ServedBase(served, server, folder)


def load_served(
    name: str,
    task: Task,
    *,
    tokenizer: str | Path | None = None,
    allow_remote: bool = False,
) -> Forecaster:
    """The forecaster of a served model, not trained and not calibrated; see ``find_served``."""
    base = find_served(name, tokenizer=tokenizer, allow_remote=allow_remote)
    return Forecaster(
        task=task,
        kind="language",
        name=base.served.name,
        label=f"{base.served.name}, zero-shot, served by {base.served.host}",
        identity=f"{base.served.name}-served-{base.sha256[:12]}",
        trained_on_text="nothing: not trained",
        model=base.language(task, PromptSpec()),
    )
