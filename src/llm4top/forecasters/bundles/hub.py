"""A bundle as a folder in the form of the Hugging Face Hub. Nothing is sent anywhere."""

from pathlib import Path
from typing import Any

from llm4top.errors import BundleError
from llm4top.files import check_vacant, publishing, write_text
from llm4top.forecasters.bundles import paths
from llm4top.forecasters.bundles.figures import Evaluation, Figure
from llm4top.forecasters.bundles.manifest import LanguageEntry, Manifest
from llm4top.forecasters.bundles.store import copy_bundle
from llm4top.forecasters.bundles.verify import language_part, verify_bundle
from llm4top.forecasters.model.model_source import HUB_NAME
from llm4top.text import thousands

_LICENCES = {"apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0"}
"""Identifiers that the Hub knows, where the licence of a bundle is nothing but one of them."""
_METRICS = {
    "roc_auc": ("roc_auc", "ROC-AUC"),
    "average_precision": ("average_precision", "Average precision"),
    "log_loss": ("log_loss", "Log-loss"),
    "brier": ("brier_score", "Brier score"),
    "f1": ("f1", "F1 at .5"),
}
"""The card's name of each figure: the Hub's, and the one that people read."""
_RELATIONS = {"lora": "adapter", "full": "finetune"}


def write_hub_folder(bundle: str | Path, folder: str | Path, *, replace: bool = False) -> Manifest:
    """Verify a bundle and write it into ``folder`` as a repository of the Hub has it.

    The folder has the bundle's files, byte for byte, and ``README.md``: the model card with the
    Hub's metadata at its head. It is a bundle with the same identity, and PEFT reads its adapter.

    Args:
        bundle: "embedded", a folder, or a name in the store.
        folder: Where to write; it appears complete or not at all.
        replace: Whether to exchange such a folder that is there.

    Returns:
        The bundle's manifest.

    Raises:
        BundleError: There is no such bundle, or the folder is taken.
        TamperedBundleError: A file of the bundle does not match its hash.
        UnsafeBundleError: A file of the bundle may contain code.
    """
    report = verify_bundle(bundle)
    report.raise_for_problems()
    folder = Path(folder)
    # A clone of a repository is never exchanged: its history is in it.
    is_one = (folder / paths.HUB_CARD_FILE).is_file() and not (folder / ".git").exists()
    check_vacant(
        folder,
        "a bundle for the Hub",
        is_one=is_one and paths.is_bundle(folder),
        replace=replace,
        error=BundleError,
        how="--overwrite",
    )
    if folder.resolve().is_relative_to(report.folder.resolve()):
        raise BundleError("is in the bundle itself.", where=str(folder), hint="Choose another.")
    with publishing(folder) as staging:
        copy_bundle(report, staging)
        write_text(staging / paths.HUB_CARD_FILE, render_hub_card(report.folder, report.manifest))
        verify_bundle(staging).raise_for_problems()
    return report.manifest


def render_hub_card(folder: Path, manifest: Manifest) -> str:
    """``README.md`` of a bundle: the Hub's metadata, its model card, and how it is used."""
    part = language_part(folder)
    language = part[1] if part else None
    metadata = hub_metadata(manifest, language).to_yaml()
    card = (folder / paths.CARD_FILE).read_text("utf-8")
    return f"---\n{metadata}\n---\n\n{card}\n{_usage(manifest, language)}"


def hub_metadata(manifest: Manifest, language: LanguageEntry | None) -> Any:
    """The Hub's metadata of a bundle, a ``ModelCardData``; ``language`` is of its language model.

    Data and base models are named by ``datasets`` and ``base_model`` only where their name is that
    of a repository: any other would point at somebody else's.
    """
    from huggingface_hub import ModelCardData

    method = language.tuning.method if language else None
    base = language.base.id if language else ""
    data = manifest.data.name if manifest.data else ""
    named = HUB_NAME.fullmatch(base) is not None
    tags = ["llm4top", "clinical-trials", "tabular" if language is None else method, manifest.kind]
    return ModelCardData(
        language="en",
        **_licence(manifest),
        library_name="peft" if manifest.kind == "language" and method == "lora" else "llm4top",
        pipeline_tag="text-classification",
        tags=[tag for tag in tags if tag],
        base_model=base if named else None,
        base_model_relation=_RELATIONS.get(method or "") if named else None,
        datasets=[data] if HUB_NAME.fullmatch(data) else None,
        model_name=manifest.name,
        eval_results=_results(manifest) or None,
    )


def _licence(manifest: Manifest) -> dict[str, str]:
    """One of the Hub's licences only where no word more is said: else the card's own section."""
    own, data = manifest.licence.strip(), manifest.data.licence if manifest.data else ""
    if not own and not data:
        return {"license": "unknown"}
    if own.lower() in _LICENCES and not data:
        return {"license": own.lower()}
    name = "non-commercial" if "non-commercial" in f"{own} {data}".lower() else "see-model-card"
    link = f"{paths.HUB_CARD_FILE}#licence"
    return {"license": "other", "license_name": name, "license_link": link}


def _results(manifest: Manifest) -> list[Any]:
    """The bundle's own figures of its first evaluation, each with interval, n and base rate."""
    from huggingface_hub import EvalResult

    if not manifest.evaluations:
        return []
    evaluation = manifest.evaluations[0]
    own = next(iter(evaluation.forecasters.values()), {})
    name = manifest.data.name if manifest.data else "not recorded"
    return [
        EvalResult(
            task_type="text-classification",
            task_name=manifest.task.question,
            dataset_type=paths.bundle_name(name),
            dataset_name=name,
            dataset_split=evaluation.split,
            metric_type=_METRICS[metric][0],
            metric_value=figure.value,
            metric_name=_in_words(metric, figure, evaluation),
        )
        for metric, figure in own.items()
        if metric in _METRICS and figure.value is not None
    ]


def _in_words(metric: str, figure: Figure, evaluation: Evaluation) -> str:
    """The metric's name with what no figure is shown without."""
    said = [f"n = {thousands(evaluation.n)}"]
    if figure.lower is not None and figure.upper is not None:
        said.insert(0, f"95 % interval {figure.lower:.3f} to {figure.upper:.3f}")
    for name, figures in evaluation.forecasters.items():
        other = figures.get(metric)
        if name.startswith("base rate") and other is not None and other.value is not None:
            said.append(f"{name} {other.value:.3f}")
    return f"{_METRICS[metric][1]} ({'; '.join(said)})"


def _usage(manifest: Manifest, language: LanguageEntry | None) -> str:
    name = manifest.name
    text = f"""\
## Use it

With LLM4TOP installed:

```
hf download OWNER/{name} --local-dir {name}
llm4top forecast RECORDS --model {name}
```
"""
    if manifest.kind != "language" or language is None:
        return text
    if language.tuning.method == "lora":
        text += """
The adapter is in PEFT's format: `PeftModel.from_pretrained(base_model, FOLDER)` reads it. Without
LLM4TOP there is no calibration: the model's own probabilities are not chances of success.
"""
    if language.base.carried:
        text += """
The folder `base` is a model in transformers' format. Without LLM4TOP there is no calibration: its
own probabilities are not chances of success.
"""
    return text
