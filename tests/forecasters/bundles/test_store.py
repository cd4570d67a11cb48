import json
import os
import shutil
import stat
import warnings
import zipfile

import numpy as np
import pytest

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.forecasters.bundles import store as _store
from llm4top.forecasters.bundles.paths import bundles_folder, embedded_names, is_embedded
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.store import export_bundle, import_bundle, list_bundles
from tests.forecasters.bundle_kit import TRIALS, Canary, make


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def made(tiny_model_folder):
    return make(tiny_model_folder, "lora")


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "whole"
    made.save(folder)
    return folder


@pytest.fixture(scope="module")
def packed(whole, tmp_path_factory):
    return export_bundle(whole, tmp_path_factory.mktemp("zips") / "tiny.zip")


def own_bundles(**options):
    return [bundle for bundle in list_bundles(**options) if not is_embedded(bundle.name)]


def test_a_bundle_goes_to_another_machine_and_forecasts_the_same(made, packed):
    assert own_bundles() == []
    stored = import_bundle(packed)
    assert stored.name == "tiny-outcome"
    assert stored.folder == bundles_folder() / "tiny-outcome"
    (listed,) = own_bundles()
    assert listed == stored
    loaded = load_bundle("tiny-outcome", device="cpu")
    assert loaded.identity == stored.identity
    assert np.abs(loaded.predict_proba(TRIALS) - made.probabilities()).max() <= 1e-6


def test_packing_the_same_bundle_twice_gives_the_same_bytes(whole, packed, tmp_path):
    again = export_bundle(whole, tmp_path / "again.zip")
    assert again.read_bytes() == packed.read_bytes()
    with pytest.raises(BundleError, match="there is a file here already"):
        export_bundle(whole, again)
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".zip"] == ["again.zip"]


def test_a_damaged_bundle_is_not_exported(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "b")
    (folder / "MODEL_CARD.md").unlink()
    with pytest.raises(TamperedBundleError, match="is missing"):
        export_bundle(folder, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_folder_can_be_taken_into_the_store(whole):
    stored = import_bundle(whole, name="mine")
    assert stored.name == "mine"
    assert load_bundle("mine", device="cpu").task.name == "outcome"


def test_importing_twice_changes_nothing_and_a_taken_name_is_refused(packed, made, tmp_path):
    first = import_bundle(packed)
    assert import_bundle(packed) == first
    made.save(tmp_path / "other", carry_base=False)
    other = export_bundle(tmp_path / "other", tmp_path / "other.zip")
    with pytest.raises(BundleError, match=r"the name 'tiny-outcome' is taken by .* Use --as NAME"):
        import_bundle(other)
    assert import_bundle(other, name="second").name == "second"
    assert [bundle.name for bundle in own_bundles()] == ["second", "tiny-outcome"]
    with pytest.raises(BundleError, match="cannot name a bundle"):
        import_bundle(packed, name="../up")


def test_a_bundle_whose_manifest_is_broken_does_not_hide_the_others(packed):
    import_bundle(packed)
    broken = import_bundle(packed, name="broken").folder
    (broken / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match=r"broken/manifest\.json: the manifest is not JSON"):
        list_bundles()
    heard = []
    assert len(own_bundles(on_problem=lambda folder, error: heard.append(folder.name))) == 1
    assert heard == ["broken"]


def repacked(packed, path, *, change=None, drop=(), add=()):
    """The archive with members changed, dropped or added."""
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(path, "w") as target:
        for member in source.infolist():
            content = source.read(member)
            if member.filename not in drop:
                target.writestr(member, change(member, content) if change else content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a name that is there twice
            for member, content in add:
                target.writestr(member, content)
    return path


def nothing_left():
    store = bundles_folder()
    return not store.exists() or list(store.iterdir()) == []


def link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../evil.json", "points outside the bundle"),
        ("/etc/evil", "points outside the bundle"),
        ("..\\evil.json", "points outside the bundle|is none of a bundle's files"),
        ("C:/evil.json", "points outside the bundle"),
        ("pytorch_model.bin", "is none of a bundle's files"),
        ("base/modeling.py", "is none of a bundle's files"),
        ("MODEL_CARD.md", "is there twice"),
    ],
)
def test_archives_with_any_other_member_are_refused(packed, tmp_path, name, message):
    file = repacked(packed, tmp_path / "x.zip", add=[(zipfile.ZipInfo(name), b"{}")])
    with pytest.raises(UnsafeBundleError, match=message):
        import_bundle(file)
    assert nothing_left()
    assert not (tmp_path / "evil.json").exists()


def test_a_link_in_an_archive_is_refused(packed, tmp_path):
    file = repacked(
        packed,
        tmp_path / "x.zip",
        drop=("calibration.json",),
        add=[(link("calibration.json"), b"/etc/passwd")],
    )
    with pytest.raises(UnsafeBundleError, match="is not an ordinary file"):
        import_bundle(file)
    assert nothing_left()


def test_a_bomb_is_refused_before_it_is_unpacked(packed, tmp_path):
    bomb = zipfile.ZipInfo("adapter_model.safetensors")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    file = repacked(packed, tmp_path / "x.zip", drop=(bomb.filename,), add=[(bomb, bytes(1 << 26))])
    with pytest.raises(UnsafeBundleError, match="would unpack to far more than it holds"):
        import_bundle(file)
    assert nothing_left()


def test_a_changed_byte_in_an_archive_is_named_and_nothing_becomes_visible(packed, tmp_path):
    def change(member, content):
        if member.filename != "adapter_model.safetensors":
            return content
        return content[:-1] + bytes([content[-1] ^ 1])

    with pytest.raises(TamperedBundleError, match=r"adapter_model\.safetensors: does not match"):
        import_bundle(repacked(packed, tmp_path / "x.zip", change=change))
    assert nothing_left()


def test_other_sizes_missing_members_and_a_missing_manifest_are_named(packed, tmp_path):
    longer = repacked(
        packed,
        tmp_path / "a.zip",
        change=lambda m, c: c + b" " if m.filename == "MODEL_CARD.md" else c,
    )
    with pytest.raises(TamperedBundleError, match=r"a\.zip!MODEL_CARD\.md: has \d+ bytes where"):
        import_bundle(longer)
    shorter = repacked(packed, tmp_path / "b.zip", drop=("calibration.json",))
    with pytest.raises(TamperedBundleError, match=r"calibration\.json: is missing"):
        import_bundle(shorter)
    with pytest.raises(BundleError, match="there is no manifest in it"):
        import_bundle(repacked(packed, tmp_path / "c.zip", drop=("manifest.json",)))
    assert nothing_left()


def test_a_planted_pickle_in_an_archive_never_runs(packed, tmp_path):
    import pickle

    canary = tmp_path / "canary"
    content = pickle.dumps(Canary(canary))

    def change(member, old):
        if member.filename == "manifest.json":
            import hashlib

            manifest = json.loads(old)
            digest = hashlib.sha256(content).hexdigest()
            manifest["files"]["calibration.json"] = {"sha256": digest, "size": len(content)}
            return json.dumps(manifest).encode()
        return content if member.filename == "calibration.json" else old

    with pytest.raises(UnsafeBundleError, match=r"calibration\.json: is a pickle"):
        import_bundle(repacked(packed, tmp_path / "x.zip", change=change))
    assert not canary.exists()
    assert nothing_left()


def test_files_that_are_no_archive_say_so(tmp_path):
    (tmp_path / "x.zip").write_text("not a zip")
    with pytest.raises(BundleError, match=r"cannot be unpacked .* Give a file that"):
        import_bundle(tmp_path / "x.zip")
    with pytest.raises(BundleError, match="there is no such file"):
        import_bundle(tmp_path / "y.zip")


def test_a_cut_archive_is_refused(packed, tmp_path):
    (tmp_path / "x.zip").write_bytes(packed.read_bytes()[:-4000])
    with pytest.raises(BundleError, match="cannot be unpacked"):
        import_bundle(tmp_path / "x.zip")
    assert nothing_left()


def test_a_full_disk_is_said_before_unpacking(packed, monkeypatch):
    monkeypatch.setattr(_store, "DISK_RESERVE", 1 << 60)
    with pytest.raises(BundleError, match=r"the bundle takes \d+ MiB and \d+ MiB are free"):
        import_bundle(packed)
    assert nothing_left()


def test_a_kill_in_the_middle_leaves_nothing_that_looks_like_a_bundle(packed, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_store, "verify_bundle", killed)
    with pytest.raises(KeyboardInterrupt):
        import_bundle(packed)
    monkeypatch.undo()
    assert nothing_left() or all(p.name.startswith(".") for p in bundles_folder().iterdir())


def test_unpacked_files_carry_no_permissions_of_the_archive(packed):
    folder = import_bundle(packed).folder
    for path in folder.rglob("*"):
        if path.is_file():
            assert not os.access(path, os.X_OK) or os.name == "nt"


def test_the_embedded_bundle_is_listed_first_where_there_is_one(packed):
    import_bundle(packed)
    names = [bundle.name for bundle in list_bundles()]
    assert names == [*embedded_names(), "tiny-outcome"]
