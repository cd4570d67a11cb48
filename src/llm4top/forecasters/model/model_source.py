"""Base models on this machine: their names, their folders, and the note of where each came from."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from llm4top.paths import models_folder

SOURCE_FILE = "llm4top-source.json"

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def is_served(name: object) -> bool:
    """Whether the name of a model is the address of a server."""
    return str(name).startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What ``llm4top-source.json`` says about a model on this machine.

    ``kind`` is "hub", "folder" or "gguf"; ``origin`` the hub name, or the name of the folder or
    file; ``files`` maps each file to its sha256.
    """

    name: str
    kind: str
    origin: str
    revision: str | None
    commit: str | None
    fetched: str
    files: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The note in ``folder``; None where there is none or it is not ours."""
        try:
            return cls(**json.loads((folder / SOURCE_FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def model_folder(name: str) -> Path:
    """The folder of the model of that name on this machine, downloaded or not."""
    return models_folder() / name.replace("/", "--")
