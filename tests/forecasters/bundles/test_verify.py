import hashlib
import json
import os
import shutil
import struct

import numpy as np
import pytest

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.safe_files import MAX_ENTRIES, safetensors_fault
from llm4top.forecasters.bundles.verify import verify_bundle
from tests.forecasters.bundle_kit import make, pickles, vouch

SLOTS = (
    "MODEL_CARD.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "base/config.json",
    "base/model.safetensors",
    "base/tokenizer.json",
    "base/tokenizer_config.json",
    "calibration.json",
)
KINDS = ("pickle", "text pickle", "torch.save", "old torch.save", "object array")


@pytest.fixture(scope="module")
def whole(tiny_model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "whole"
    make(tiny_model_folder, "lora").save(folder)
    return folder


@pytest.fixture
def bundle(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "bundle")


def states(folder):
    return {check.name: check.state for check in verify_bundle(folder).files}


def test_every_file_is_listed_and_ok(bundle):
    report = verify_bundle(bundle)
    assert report.ok
    assert not report.problems
    report.raise_for_problems()
    assert states(bundle) == dict.fromkeys(SLOTS, "ok")


@pytest.mark.parametrize("slot", SLOTS)
def test_one_changed_byte_is_found_and_refused(bundle, slot):
    path = bundle / slot
    content = bytearray(path.read_bytes())
    # A byte of text or of a weight: the file stays well-formed.
    spot = -3 if slot.endswith("safetensors") else content.index(b"e")
    content[spot] ^= 0x01
    path.write_bytes(content)
    report = verify_bundle(bundle)
    assert [check.name for check in report.problems] == [slot]
    with pytest.raises(TamperedBundleError, match=f"bundle/{slot}: does not match its hash"):
        load_bundle(bundle)


def test_a_longer_file_is_named_with_both_sizes(bundle):
    with (bundle / "MODEL_CARD.md").open("ab") as file:
        file.write(b"!")
    with pytest.raises(TamperedBundleError, match=r"has \d+ bytes where the manifest says \d+"):
        load_bundle(bundle)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_missing_file_is_named(bundle, slot):
    (bundle / slot).unlink()
    assert states(bundle)[slot] == "missing"
    with pytest.raises(TamperedBundleError, match=f"{slot}: is missing"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["notes.txt", "base/vocab.json", "sub/deep/x.json", ".hidden"])
def test_a_file_that_is_not_in_the_manifest_is_refused(bundle, name):
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_text("{}")
    assert states(bundle)[name] == "unlisted"
    with pytest.raises(TamperedBundleError, match="is not in the manifest"):
        load_bundle(bundle)


@pytest.mark.parametrize("vouched", [True, False])
@pytest.mark.parametrize("slot", SLOTS)
def test_a_planted_pickle_never_runs(bundle, tmp_path, slot, vouched):
    canary = tmp_path / "canary"
    (tmp_path / "scratch").mkdir()
    for kind, content in pickles(canary, tmp_path / "scratch").items():
        (bundle / slot).write_bytes(content)
        if vouched:
            vouch(bundle)
        try:
            load_bundle(bundle, device="cpu")
            refused = False
        except (UnsafeBundleError, TamperedBundleError):
            refused = True
        # A card is shown, never parsed: what is no known pickle there is just an odd card.
        assert refused or (slot == "MODEL_CARD.md" and vouched), kind
        assert not canary.exists(), kind


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "adapter_model.pt", "x.pth", "x.pkl", "x.joblib", "x.ckpt", "x.npy",
     "base/modeling.py", "X.PKL"],
)  # fmt: skip
def test_files_of_kinds_that_run_code_are_refused_whatever_they_hold(bundle, tmp_path, name):
    (bundle / name).write_text("harmless")
    with pytest.raises(UnsafeBundleError, match="can run code when it is loaded"):
        load_bundle(bundle)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_beside_the_listed_files_is_named(bundle, tmp_path, kind):
    canary = tmp_path / "canary"
    (tmp_path / "scratch").mkdir()
    content = pickles(canary, tmp_path / "scratch")[kind]
    (bundle / "extra.json").write_bytes(content)
    with pytest.raises(UnsafeBundleError, match=r"extra\.json: is (a|not) "):
        load_bundle(bundle)
    assert not canary.exists()


def test_links_and_pipes_are_refused(bundle, tmp_path):
    outside = tmp_path / "outside.json"
    shutil.copy(bundle / "calibration.json", outside)
    (bundle / "calibration.json").unlink()
    (bundle / "calibration.json").symlink_to(outside)
    with pytest.raises(UnsafeBundleError, match=r"calibration\.json: is a link"):
        load_bundle(bundle)
    (bundle / "calibration.json").unlink()
    os.mkfifo(bundle / "calibration.json")
    with pytest.raises(UnsafeBundleError, match="is not an ordinary file"):
        load_bundle(bundle)


def test_a_linked_folder_and_a_linked_manifest_are_refused(bundle, tmp_path):
    (bundle / "base").rename(tmp_path / "elsewhere")
    (bundle / "base").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeBundleError, match="base: is a link"):
        load_bundle(bundle)
    (bundle / "manifest.json").rename(tmp_path / "manifest.json")
    (bundle / "manifest.json").symlink_to(tmp_path / "manifest.json")
    with pytest.raises(UnsafeBundleError, match=r"manifest\.json: is a link"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "..\\up.json", "C:\\x.json", "base/../../x", "base//x", ""],
)
def test_a_manifest_that_points_outside_is_refused(bundle, name):
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": "0" * 64, "size": 3}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UnsafeBundleError, match="points outside the bundle"):
        load_bundle(bundle)


def test_a_manifest_may_list_no_other_kind_of_file(bundle):
    (bundle / "extra.json").write_text("{}")
    manifest = json.loads((bundle / "manifest.json").read_text())
    digest = hashlib.sha256(b"{}").hexdigest()
    manifest["files"]["extra.json"] = {"sha256": digest, "size": 2}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"files: 'extra\.json' is extra"):
        load_bundle(bundle)


def test_a_folder_full_of_files_is_refused_without_reading_them_all(bundle):
    for i in range(MAX_ENTRIES + 100):
        (bundle / f"{i}.txt").write_text("x")
    report = verify_bundle(bundle)
    assert len(report.files) < MAX_ENTRIES + 20
    assert not report.ok


@pytest.mark.parametrize("field", ["chat_template", "auto_map", "extra_special_tokens"])
def test_a_tokenizer_config_that_could_hold_a_program_is_refused(bundle, field):
    path = bundle / "base" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: "{{ evil }}"}))
    vouch(bundle)
    with pytest.raises(UnsafeBundleError, match=f"has the field '{field}', which could hold"):
        load_bundle(bundle)


def test_a_manifest_that_cannot_be_read_says_so(bundle, tmp_path):
    (bundle / "manifest.json").write_bytes(b"\x80\x04junk")
    with pytest.raises(UnsafeBundleError, match=r"manifest\.json: is not text"):
        verify_bundle(bundle)
    (bundle / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="the manifest is not JSON"):
        verify_bundle(bundle)
    (bundle / "manifest.json").write_text("[]")
    with pytest.raises(BundleError, match="the manifest is not a JSON object"):
        verify_bundle(bundle)
    with (bundle / "manifest.json").open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    with pytest.raises(UnsafeBundleError, match="far larger than a manifest is"):
        verify_bundle(bundle)


def tensor_file(path, header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("header", "data", "length", "fault"),
    [
        ({"a": tensor()}, b"\0" * 8, None, None),
        ({"a": tensor(), "__metadata__": {"format": "pt"}}, b"\0" * 8, None, None),
        ({"a": tensor()}, b"\0" * 8, 1 << 60, "header would be longer than the file"),
        (b"not json", b"", None, "its header is not a JSON object"),
        (b"[" * 100_000, b"", None, "its header is not a JSON object"),
        ({"a": tensor("I64", (1,), (0, 8))}, b"\0" * 8, None, "number type is 'I64'"),
        ({"a": tensor("F64", (1,), (0, 8))}, b"\0" * 8, None, "number type is 'F64'"),
        ({"a": tensor(shape=(3,))}, b"\0" * 8, None, "whose shape does not fit its bytes"),
        ({"a": tensor(shape=(-2,))}, b"\0" * 8, None, "whose shape or place makes no sense"),
        ({"a": tensor(shape=(1 << 50, 1 << 50))}, b"\0" * 8, None, "makes no sense"),
        ({"a": tensor(), "b": tensor()}, b"\0" * 8, None, "overlap or leave gaps"),
        ({"a": tensor(offsets=(8, 16))}, b"\0" * 16, None, "overlap or leave gaps"),
        ({"a": tensor()}, b"\0" * 9, None, "bytes that belong to no tensor"),
        ({"a": 3}, b"", None, "which is not described as a tensor"),
        ({"a": {**tensor(), "code": "x"}}, b"\0" * 8, None, "not described as a tensor"),
    ],
)
def test_safetensors_headers(tmp_path, header, data, length, fault):
    found = safetensors_fault(tensor_file(tmp_path / "t.safetensors", header, data, length))
    assert (found is None) if fault is None else (fault in found)


def test_an_oversize_header_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "t.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 1 << 30))
        file.truncate((1 << 30) + 100)
    assert "has a header of 1073741824 bytes, over the limit" in safetensors_fault(path)


def test_weights_of_a_wrong_type_are_refused_in_a_bundle(bundle):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3, dtype=np.int64)}, bundle / "adapter_model.safetensors")
    vouch(bundle)
    with pytest.raises(UnsafeBundleError, match="number type is 'I64', not F32, F16 or BF16"):
        load_bundle(bundle)
