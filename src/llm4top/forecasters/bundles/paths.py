"""Where bundles are (in the package, in the store, or in any folder), and their files."""

import re
from pathlib import Path, PurePosixPath

from llm4top.errors import BundleError
from llm4top.forecasters.bundles import schema1
from llm4top.forecasters.bundles.schema1 import manifest_file
from llm4top.paths import home_folder

MANIFEST_FILE = "manifest.json"
CARD_FILE = "MODEL_CARD.md"
HUB_CARD_FILE = "README.md"
CALIBRATION_FILE = "calibration.json"
TRAINED_ON_FILE = "learnt_from.json"
SUPPORT_FILE = "support.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
BASE_FILES = (
    "base/config.json",
    "base/model.safetensors",
    "base/tokenizer.json",
    "base/tokenizer_config.json",
)
PROBE_FILE = "probe.safetensors"
WEIGHTS_FILE = "weights.safetensors"
WORDS_FILE = "words.json"
BASELINE_FILES = (WEIGHTS_FILE, WORDS_FILE)
POOL_FILE = "blend.json"
PARTS_FOLDER = "parts"

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
_OWN_FILES = frozenset(
    {CARD_FILE, CALIBRATION_FILE, SUPPORT_FILE, TRAINED_ON_FILE, POOL_FILE, PROBE_FILE}
    | {*ADAPTER_FILES, *BASE_FILES, *BASELINE_FILES}
)
_HUB_FILE = re.compile(
    rf"{re.escape(HUB_CARD_FILE)}|\.gitattributes"
    r"|\.cache/huggingface/(\.gitignore|CACHEDIR\.TAG|download/.+\.(metadata|lock))"
)
_PART_FILE = re.compile(rf"{PARTS_FOLDER}/({NAME_PATTERN})/(.+)", re.DOTALL)

EMBEDDED_NAME = "embedded"
"""The name of the bundle that ships inside the package and answers "outcome"."""
_MARK = ":"

_PACKAGE = Path(__file__).resolve().parents[2]
_EMBEDDED_FOLDER = _PACKAGE / "embedded"
_QUESTIONS_FOLDER = _PACKAGE / "embedded_questions"
_NAME = re.compile(NAME_PATTERN)


def embedded_folder(name: str = EMBEDDED_NAME) -> Path:
    """The folder of a bundle that ships with the package: "embedded", or "embedded:duration"."""
    _, _, question = name.partition(_MARK)
    return _QUESTIONS_FOLDER / question if question else _EMBEDDED_FOLDER


def embedded_names() -> list[str]:
    """The names of the bundles that ship: "embedded", then "embedded:QUESTION" of each other."""
    folders = sorted(_QUESTIONS_FOLDER.iterdir()) if _QUESTIONS_FOLDER.is_dir() else []
    others = [question_name(folder.name) for folder in folders if is_bundle(folder)]
    return [EMBEDDED_NAME, *others]


def question_name(question: str) -> str:
    """The name of the shipped bundle that answers a question: "outcome" is "embedded"."""
    return EMBEDDED_NAME if question == "outcome" else f"{EMBEDDED_NAME}{_MARK}{question}"


def is_embedded(name: str) -> bool:
    """Whether the name is that of a bundle that ships, or would be: no other may have a colon."""
    return re.fullmatch(rf"{EMBEDDED_NAME}(?:{_MARK}{NAME_PATTERN})?", name) is not None


def bundles_folder() -> Path:
    """The store: ``bundles`` in the home folder. It need not exist yet."""
    return home_folder() / "bundles"


def checked_name(name: str) -> str:
    """``name``, if it can name a bundle on every system; ``BundleError`` suggests one if not."""
    if not _NAME.fullmatch(name) or name.endswith(".") or name == EMBEDDED_NAME:
        raise BundleError(
            f"{name!r:.100} cannot name a bundle.",
            hint="Use small letters, digits, '-', '_' and '.', at most 64, beginning with a "
            f"letter or digit; for example {bundle_name(name)!r}.",
        )
    return name


def bundle_name(text: str) -> str:
    """A bundle's name made from any text: "Qwen3 8B, TOP" gives "qwen3-8b-top"."""
    slug = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:64].rstrip("-._")
    return slug if slug and slug != EMBEDDED_NAME else "bundle"


def is_bundle_name(name: str) -> bool:
    """Whether ``name`` could be that of a bundle in the store."""
    return _NAME.fullmatch(name) is not None


def is_bundle(folder: Path) -> bool:
    """Whether the folder looks like a bundle: it has a manifest."""
    return manifest_file(folder).is_file()


def resolve_bundle(bundle: str | Path) -> Path:
    """The folder of ``bundle``: a name that ships, a folder, or a name in the store.

    "embedded" ships, and "embedded:duration". The folder of a training run means the bundle in it.

    Raises ``BundleError`` where there is none.
    """
    if is_embedded(str(bundle)):
        shipped = embedded_folder(str(bundle))
        if is_bundle(shipped):
            return shipped
        if str(bundle) != EMBEDDED_NAME:
            raise BundleError(
                f"no embedded model answers {str(bundle).partition(_MARK)[2]!r}.",
                hint=f"There are: {', '.join(embedded_names())}.",
            )
        raise BundleError(
            "this installation holds no embedded model.",
            hint="Install LLM4TOP again, or name a bundle of your own.",
        )
    folder = Path(bundle).expanduser()
    for candidate in (folder, folder / "bundle"):
        if is_bundle(candidate):
            return candidate
    stored = bundles_folder() / str(bundle)
    if _NAME.fullmatch(str(bundle)) and is_bundle(stored):
        return stored
    if folder.is_dir():
        raise BundleError(
            f"there is no {MANIFEST_FILE} here: this folder is not a bundle.",
            where=str(bundle),
            hint="Give the folder that holds the manifest.",
        )
    raise BundleError(
        f"no bundle {str(bundle)!r:.200}.",
        hint="List the bundles of this machine with: llm4top bundle list",
    )


def is_bundle_file(name: str) -> bool:
    """Whether a bundle may have a file of that name besides its manifest."""
    if name in _OWN_FILES or schema1.FILES.fullmatch(name):
        return True
    inside = _PART_FILE.fullmatch(name)
    return inside is not None and (inside[2] == MANIFEST_FILE or inside[2] in _OWN_FILES)


def is_hub_file(name: str) -> bool:
    """Whether it is a file of a repository of the Hub, or of its client, which no bundle reads."""
    return _HUB_FILE.fullmatch(name) is not None


def is_plain_name(name: str) -> bool:
    """Whether a file's name stays inside the folder it is read in, on every system."""
    path = PurePosixPath(name)
    parts = name.split("/")
    return not (
        path.is_absolute()
        or any(part in ("", ".", "..") for part in parts)
        or any(mark in name for mark in ("\\", ":", "\0"))
    )
