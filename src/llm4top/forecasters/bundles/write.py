"""Writing a bundle of any kind: whole or not at all."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from llm4top.errors import BundleError
from llm4top.files import check_vacant, publishing, sha256_of, write_bytes, write_json
from llm4top.forecasters.base_rates import ALL_PHASES
from llm4top.forecasters.baselines.base import BaselineForecaster
from llm4top.forecasters.baselines.catalog import BASELINES
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles import paths
from llm4top.forecasters.bundles.baseline_files import write_baseline
from llm4top.forecasters.bundles.blend_files import write_blend
from llm4top.forecasters.bundles.figures import Evaluation, Figure, ReloadCheck
from llm4top.forecasters.bundles.loading import versions
from llm4top.forecasters.bundles.manifest import BundleFacts, FileEntry, Manifest, TuningEntry
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.support import Support
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

_METRICS = {
    "roc_auc": "ROC-AUC (higher is better)",
    "average_precision": "Average precision (higher is better)",
    "log_loss": "Log-loss (lower is better)",
    "brier": "Brier score (lower is better)",
    "f1": "F1 at .5 (higher is better)",
}
_BY_PHASE = {
    "calibration_intercept": "Calibration intercept (0 is right)",
    "calibration_slope": "Calibration slope (1 is right)",
    "ece": "ECE (0 is right)",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
}
_CALIBRATION = {
    "venn-abers": "Venn-Abers, fitted on {data} only. The interval is a 95 % bootstrap "
    "interval of the calibrated probability over those data.",
    "platt": "Platt scaling, fitted on {data} only. The interval is a 95 % interval of "
    "the calibrated probability by the delta method.",
    "none": "None: these are the model's own probabilities, without an interval. Do not read "
    "them as chances.",
}
_TUNING = {
    "lora": "a LoRA adapter over the base model",
    "full": "all weights tuned",
    "probe": "a logistic regression over the hidden states of the base model, which is not tuned",
    "none": "the base model as it is, not tuned",
}


def render_card(manifest: Manifest) -> str:
    """The model card of a bundle, in Markdown.

    It leaves out what the manifest gets after the card is written: the reload check.
    """
    phases = sorted(manifest.base_rates.items(), key=lambda item: item[0] == ALL_PHASES)
    settings = manifest.language.tuning.settings if manifest.language else {}
    folds = manifest.final_fit.folds if manifest.final_fit else None
    text = _template().render(
        m=manifest,
        labels=[escape(label) for label in manifest.task.labels],
        rates=[("all phases" if name == ALL_PHASES else name, rate) for name, rate in phases],
        settings=sorted(
            (name, ", ".join(map(str, value)) if isinstance(value, tuple) else value)
            for name, value in settings.items()
        ),
        by_phase={"prevalence": f"Share of {manifest.task.labels[-1]}", **_BY_PHASE},
        baselines=BASELINES,
        calibration=_CALIBRATION[manifest.calibration].format(
            data="out-of-fold predictions" if folds else "validation data"
        ),
        tuning=_TUNING,
        trained_on_file=paths.TRAINED_ON_FILE,
        support_file=paths.SUPPORT_FILE,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escape(text: str) -> str:
    """Text from outside as one line of plain Markdown: it can be no markup, link or HTML."""
    line = " ".join(text.split())
    line = "".join(c for c in line if c.isprintable())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~])", r"\\\1", line)
    # An underscore inside a word is plain already; at a word's edge it would be emphasis.
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    return re.sub(r"^([#+\-=])", r"\\\1", line).replace("://", ":\u200b//")


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("llm4top.forecasters.bundles"),
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # finalize escapes every value for Markdown instead
        finalize=lambda value: value if isinstance(value, Markup) else escape(str(value)),
    )
    environment.globals |= {
        "row": lambda cells: Markup(f"| {' | '.join(map(str, cells))} |"),
        "rule": lambda columns: Markup(f"| {' | '.join(['---'] * columns)} |"),
    }
    environment.filters |= {
        "cell": lambda text: Markup(escape(str(text))),
        "metric": lambda name: Markup(_METRICS.get(name, escape(name))),
        "metrics": _metrics,
        "of": lambda name, figures, signed=False: Markup(_figure(figures.get(name), signed)),
        "additions": lambda ablation: list(next(iter(ablation.without.values()), {})),
        "percent": lambda share: f"{share:.1%}",
    }
    return environment.get_template("model_card.md")


def _metrics(evaluation: Evaluation) -> list[str]:
    return list(dict.fromkeys(k for figures in evaluation.forecasters.values() for k in figures))


def _figure(figure: Figure | None, signed: bool = False) -> str:
    if figure is None or figure.value is None:
        return "not measured"
    form = "+.3f" if signed else ".3f"
    if figure.lower is None or figure.upper is None:
        return f"{figure.value:{form}}"
    return f"{figure.value:{form}} [{figure.lower:{form}}, {figure.upper:{form}}]"


def save_bundle(
    folder: str | Path,
    *,
    name: str,
    forecaster: Any,
    calibration: Calibrator,
    facts: BundleFacts,
    tuning: TuningEntry | None = None,
    carry_base: bool | None = None,
    storage: str | None = None,
    trained_on: TrainedOn | None = None,
    support: Support | None = None,
    check: Callable[[Path], ReloadCheck] | None = None,
    replace: bool = False,
) -> Manifest:
    """Write a forecaster and its calibration into ``folder`` as a bundle; return its manifest.

    The folder appears complete or not at all. Without ``check``, call ``confirm_reload`` next:
    a bundle is finished when it has been loaded again.

    Args:
        folder: Where to write.
        name: The bundle's name.
        forecaster: A ``LanguageForecaster``, a fitted baseline or a ``Blend``.
        calibration: Fitted on the forecaster's logits of validation data.
        facts: What its manifest says about data, figures and licence.
        tuning: What training changed in a language model: an adapter is written ("lora"), the
            whole model ("full"), a probe ("probe"), or nothing ("none").
        carry_base, storage: See ``write_language``.
        trained_on: Recognises the trials it was trained on.
        support: Draws its forecasts of other kinds of trials to the base rate.
        check: Loads the bundle from the folder it is given and compares it, before it appears.
        replace: Whether to exchange a bundle that is there.

    Raises:
        BundleError: The name is not allowed, the folder is taken, or ``tuning`` does not fit.
    """
    folder = Path(folder)
    paths.checked_name(name)
    is_one = paths.is_bundle(folder)
    check_vacant(folder, "a bundle", is_one=is_one, replace=replace, error=BundleError)
    with publishing(folder) as staging:
        values = _write_model(staging, forecaster, tuning, carry_base, storage)
        if trained_on is not None:
            write_json(staging / paths.TRAINED_ON_FILE, trained_on.model_dump())
        if support is not None:
            write_json(staging / paths.SUPPORT_FILE, support.model_dump(mode="json"))
        task = get_task(forecaster.task)
        write_calibration(staging, task, calibration)
        values |= {"name": name, "task": task, "calibration": calibration.method}
        manifest = write_manifest(staging, {**dict(facts), **values})
        if check is not None:
            note_reload(staging, manifest, check(staging))
    return read_manifest(folder)


def _write_model(
    folder: Path,
    forecaster: Any,
    tuning: TuningEntry | None,
    carry_base: bool | None,
    storage: str | None,
) -> dict[str, Any]:
    """Write what computes into ``folder``; its kind and its entry of the manifest."""
    if isinstance(forecaster, BaselineForecaster):
        return {"kind": "baseline", "baseline": write_baseline(folder, forecaster)}
    if isinstance(forecaster, Blend):
        return {"kind": "blend", "blend": write_blend(folder, forecaster, _write_part)}
    from llm4top.forecasters.bundles.language_files import write_language

    entry = write_language(
        folder,
        forecaster,
        tuning or TuningEntry(method="none"),
        carry_base=carry_base,
        storage=storage,
    )
    return {"kind": "language", "language": entry}


def note_reload(folder: Path, manifest: Manifest, check: ReloadCheck) -> Manifest:
    """Add the reload check to the manifest of the bundle in ``folder``, in one step."""
    noted = manifest.model_copy(update={"reload_check": check})
    # The scratch file is outside the bundle: a killed process leaves no stray file in it.
    write_bytes(
        folder / paths.MANIFEST_FILE, noted.to_json().encode(), scratch_folder=folder.parent
    )
    return read_manifest(folder)


def write_calibration(folder: Path, task: Task, calibration: Calibrator) -> None:
    """Write ``calibration.json``: the labels and the state of the calibration."""
    stored = {"labels": list(task.labels), "calibrator": calibration.to_dict()}
    write_json(folder / paths.CALIBRATION_FILE, stored)


def write_manifest(folder: Path, values: dict[str, Any]) -> Manifest:
    """Write the card and the manifest of a bundle whose other files are there already.

    Args:
        folder: The bundle that is being written.
        values: Fields of ``Manifest``. The date, the versions and the files are added.
    """
    hashed = {**file_entries(folder), paths.CARD_FILE: FileEntry(sha256="0" * 64, size=0)}
    made = {"created": datetime.now(UTC).date().isoformat(), "versions": versions()}
    manifest = Manifest(**{**made, **values, "files": hashed, "reload_check": None})
    card = render_card(manifest).encode()
    (folder / paths.CARD_FILE).write_bytes(card)
    entry = FileEntry(sha256=sha256_of(folder / paths.CARD_FILE), size=len(card))
    manifest = manifest.model_copy(
        update={"files": dict(sorted({**manifest.files, paths.CARD_FILE: entry}.items()))}
    )
    (folder / paths.MANIFEST_FILE).write_bytes(manifest.to_json().encode())
    return manifest


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Hash and size of every file in the folder and below, by its relative POSIX name."""
    return {
        path.relative_to(folder).as_posix(): FileEntry(
            sha256=sha256_of(path), size=path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _write_part(folder: Path, name: str, part: Forecaster) -> Manifest:
    """Write a part of a blend that is only in memory, or in the form of LLM4TOP 0.1.0."""
    facts = BundleFacts(data=part.data, base_rates=dict(part.base_rates))
    tuning = None
    if part.kind == "language":
        from llm4top.forecasters.bundles.language_files import tuning_of

        tuning = tuning_of(part)
    return save_bundle(
        folder,
        name=name,
        forecaster=part.forecaster,
        calibration=part.calibration,
        facts=part.manifest.facts() if part.manifest else facts,
        tuning=tuning,
        trained_on=part.trained_on,
    )
