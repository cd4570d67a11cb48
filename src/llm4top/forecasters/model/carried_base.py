"""A model that came in a bundle, trained already, as the base model of a further training."""

from pathlib import Path

from llm4top.errors import ModelError
from llm4top.forecasters.bundles.manifest import Manifest
from llm4top.forecasters.bundles.paths import (
    EMBEDDED_NAME,
    bundles_folder,
    embedded_folder,
    is_bundle,
    is_bundle_name,
)
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.bundles.verify import read_manifest

_BASE = "base"


def carried_base(name: str | Path) -> Path | None:
    """The folder of the trained model in a bundle; None where ``name`` is not a bundle.

    ``name`` is "embedded", the name of a bundle in the store, or the folder of a bundle or of the
    run that made it. Raises
    ``ModelError`` for a bundle with an adapter: its base model is not trained.
    """
    folder = embedded_folder() if str(name) == EMBEDDED_NAME else Path(name).expanduser()
    places = [folder, folder / "bundle"]
    if not folder.exists() and is_bundle_name(str(name)):
        places.append(bundles_folder() / str(name))
    bundle = next((place for place in places if is_bundle(place)), None)
    if bundle is None:
        return None
    entry = read_manifest(bundle).language
    if entry is None:
        raise ModelError(
            "this bundle is not a language model that can be trained.", where=str(name)
        )
    if entry.tuning.method == "full" and (bundle / _BASE).is_dir():
        return bundle / _BASE
    raise ModelError(
        "this bundle is an adapter on a base model, and cannot itself be trained further.",
        where=str(name),
        hint=f"Train its base model: {entry.base.id}.",
    )


def earlier_training(base: Path) -> Manifest | None:
    """The manifest of the bundle whose trained model is in ``base``; None for any other model.

    A model that is trained further was trained on that bundle's data too.
    """
    bundle = base.resolve().parent
    if base.name != _BASE or not is_bundle(bundle):
        return None
    manifest = read_manifest(bundle)
    entry = manifest.language
    return manifest if entry is not None and entry.tuning.method == "full" else None


def earlier_trials(base: Path) -> TrainedOn | None:
    """The trials that the bundle with the trained model in ``base`` records; None of any other."""
    bundle = base.resolve().parent
    return TrainedOn.read(bundle) if base.name == _BASE and is_bundle(bundle) else None
