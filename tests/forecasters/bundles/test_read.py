import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from llm4top.errors import BundleError, ModelNotFoundError, TamperedBundleError, UnsafeBundleError
from llm4top.forecasters.bundles.language_files import round_weights
from llm4top.forecasters.bundles.paths import bundle_name, checked_name, resolve_bundle
from llm4top.forecasters.bundles.read import confirm_reload, load_bundle
from llm4top.forecasters.bundles.verify import verify_bundle
from llm4top.forecasters.calibration.methods import NoCalibration
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.model.adapter import load_adapter
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.download import download_model
from llm4top.registry.trial import Record, RegistryOutcome, Source
from llm4top.testing import make_tiny_model
from tests.forecasters.bundle_kit import GRADES, TRIALS, edit_json, facts, make, tuning, vouch


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module", params=["lora", "full", "none"])
def any_made(request, tiny_model_folder):
    return make(tiny_model_folder, request.param)


@pytest.fixture(scope="module")
def lora(tiny_model_folder):
    return make(tiny_model_folder, "lora")


@pytest.fixture(scope="module")
def lora_bundle(lora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "lora"
    lora.save(folder)
    return folder


@pytest.fixture
def copied(lora_bundle, tmp_path):
    return shutil.copytree(lora_bundle, tmp_path / "copied")


def test_a_reloaded_bundle_gives_the_same_probabilities(any_made, tmp_path):
    manifest = any_made.save(tmp_path / "b")
    loaded = load_bundle(tmp_path / "b", device="cpu")
    assert np.abs(loaded.predict_proba(TRIALS) - any_made.probabilities()).max() <= 1e-6
    assert np.abs(loaded.logits(TRIALS) - any_made.logits).max() <= 1e-5
    before, after = any_made.calibration.predict(any_made.logits), loaded.calibrated(TRIALS)
    np.testing.assert_allclose(before.lower, after.lower, atol=1e-6)
    np.testing.assert_allclose(before.upper, after.upper, atol=1e-6)
    assert loaded.identity == manifest.identity
    assert loaded.manifest == manifest


@pytest.mark.parametrize("method", ["lora", "full"])
def test_three_labels_and_platt_survive_too(method, tmp_path):
    base = make_tiny_model(tmp_path / "base", words=("Yes", "No", "a"))
    made = make(base, method, task=GRADES, calibration="platt")
    made.save(tmp_path / "b", facts=facts(GRADES))
    loaded = load_bundle(tmp_path / "b", device="cpu")
    assert loaded.task == GRADES
    assert loaded.predict_proba(TRIALS).shape == (len(TRIALS), 3)
    assert np.abs(loaded.predict_proba(TRIALS) - made.probabilities()).max() <= 1e-6


def test_an_adapter_over_a_downloaded_base_is_found_by_name(tiny_model_folder, tmp_path):
    download_model(str(tiny_model_folder), save_as="tiny-base")
    made = make("tiny-base", "lora")
    manifest = made.save(tmp_path / "b")
    assert not manifest.language.base.carried
    assert manifest.language.base.id == "tiny-base"
    assert not (tmp_path / "b" / "base").exists()
    loaded = load_bundle(tmp_path / "b", device="cpu")
    assert np.abs(loaded.predict_proba(TRIALS) - made.probabilities()).max() <= 1e-6


def test_an_absent_base_is_named_with_the_command_that_fetches_it(lora, tmp_path):
    lora.save(tmp_path / "b", carry_base=False)
    edit = json.loads((tmp_path / "b" / "manifest.json").read_text())["language"]["base"]
    edit_json(tmp_path / "b" / "adapter_config.json", base_model_name_or_path="Qwen/Qwen3-8B")
    base = {**edit, "id": "Qwen/Qwen3-8B", "revision": "abc123"}
    vouch(tmp_path / "b", language={"base": base})
    with pytest.raises(ModelNotFoundError) as refusal:
        load_bundle(tmp_path / "b")
    assert str(refusal.value) == (
        "b: its base model Qwen/Qwen3-8B is not on this machine. "
        "Download it once with: llm4top download Qwen/Qwen3-8B --revision abc123"
    )


def test_another_base_is_refused_and_the_right_one_taken(lora, tiny_model_folder, tmp_path):
    lora.save(tmp_path / "b", carry_base=False)
    other = make_tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(BundleError, match=r"is not the tiny that the bundle was made with \(its"):
        load_bundle(tmp_path / "b", base=other)
    loaded = load_bundle(tmp_path / "b", base=tiny_model_folder, device="cpu")
    assert np.abs(loaded.predict_proba(TRIALS) - lora.probabilities()).max() <= 1e-6


def test_a_bundle_that_carries_its_base_takes_no_other(lora_bundle, tiny_model_folder):
    with pytest.raises(BundleError, match="carries its base model; it takes no other"):
        load_bundle(lora_bundle, base=tiny_model_folder)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_plain_peft_loads_the_adapter(lora, lora_bundle, tiny_model_folder):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    model = PeftModel.from_pretrained(plain, str(lora_bundle)).eval()
    ids = torch.tensor([[5, 9, 23, 40]])
    with torch.inference_mode():
        found = model(ids).logits
        expected = lora.forecaster.scorer.model(ids).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_transformers_loads_the_base_it_carries(any_made, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    any_made.save(tmp_path / "b")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "b" / "base")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "b" / "base")
    ids = tokenizer("Yes", add_special_tokens=False)["input_ids"]
    assert ids == [any_made.forecaster.scorer.answer_ids[1]]
    assert model.config.model_type == "qwen3"


def test_no_file_names_a_place_on_this_machine(any_made, tmp_path, tiny_model_folder):
    any_made.save(tmp_path / "b")
    for path in (tmp_path / "b").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(tmp_path).encode() not in content, path
            assert str(tiny_model_folder.parent).encode() not in content, path


def test_a_bundle_tuned_from_a_bundle_names_it(any_made, tmp_path):
    first = any_made.save(tmp_path / "first")
    second = make(tmp_path / "first" / "base", "lora").save(tmp_path / "second")
    assert second.language.base.id == first.identity
    assert load_bundle(tmp_path / "second", device="cpu").task.name == "outcome"


def test_weights_are_stored_smaller_only_where_that_changes_nothing(tiny_model_folder, tmp_path):
    made = make(tiny_model_folder, "full")
    with pytest.raises(BundleError, match="as bfloat16 would change it") as refusal:
        made.save(tmp_path / "b", storage="bfloat16")
    assert "round_weights" in str(refusal.value)
    assert not (tmp_path / "b").exists()
    with pytest.raises(BundleError, match="no number type 'int8'"):
        made.save(tmp_path / "b", storage="int8")
    round_weights(made.forecaster.scorer.model, "bfloat16")
    logits = made.forecaster.answer_logits(TRIALS)
    made.save(tmp_path / "b", storage="bfloat16")
    made.save(tmp_path / "full")
    small, large = (
        (tmp_path / name / "base" / "model.safetensors").stat().st_size for name in ("b", "full")
    )
    assert small < 0.6 * large
    loaded = load_bundle(tmp_path / "b", device="cpu")
    assert np.abs(loaded.forecaster.answer_logits(TRIALS) - logits).max() <= 1e-5


def test_the_folder_appears_whole_or_not_at_all(lora, tmp_path, monkeypatch):
    import llm4top.forecasters.bundles.write as writing

    def broken(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(writing, "write_manifest", broken)
    with pytest.raises(OSError, match="no space left"):
        lora.save(tmp_path / "out" / "b")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_there_is_not_overwritten(lora, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        lora.save(tmp_path / "notes", replace=True)
    lora.save(tmp_path / "b")
    with pytest.raises(BundleError, match="already holds a bundle"):
        lora.save(tmp_path / "b")
    lora.save(tmp_path / "b", replace=True, name="second")
    assert load_bundle(tmp_path / "b", device="cpu").identity.startswith("second-")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "notes"]


@pytest.mark.parametrize("method", ["full", "none"])
def test_tuning_must_go_with_the_model(lora, tmp_path, method):
    with pytest.raises(BundleError, match=f"has an adapter, which does not go with .*{method}"):
        lora.save(tmp_path / "b", tuning=tuning(method))


def test_a_confirmed_reload_is_noted_and_gives_the_final_identity(lora, tmp_path):
    manifest = lora.save(tmp_path / "b")
    assert manifest.reload_check is None
    loaded = confirm_reload(
        tmp_path / "b", TRIALS, lora.logits, lora.calibration, tolerance=1e-6, device="cpu"
    )
    check = loaded.manifest.reload_check
    assert check.n == len(TRIALS)
    assert check.max_difference <= 1e-6
    assert loaded.identity != manifest.identity
    assert load_bundle(tmp_path / "b", device="cpu").identity == loaded.identity
    verify_bundle(tmp_path / "b").raise_for_problems()


def test_a_kill_while_the_reload_is_noted_leaves_the_bundle_whole(lora, tmp_path, monkeypatch):
    manifest = lora.save(tmp_path / "b")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        confirm_reload(tmp_path / "b", TRIALS, lora.logits, lora.calibration, device="cpu")
    assert load_bundle(tmp_path / "b", device="cpu").manifest == manifest


def test_a_reload_that_differs_is_refused(lora, copied):
    with pytest.raises(BundleError, match="the reloaded bundle gives other probabilities"):
        confirm_reload(copied, TRIALS, lora.logits * 1.1, lora.calibration, device="cpu")
    with pytest.raises(BundleError, match="gives other probabilities"):
        confirm_reload(copied, TRIALS, lora.logits, NoCalibration(), device="cpu")
    assert load_bundle(copied, device="cpu").manifest.reload_check is None


def record(trial):
    source = Source("invented.xml", None, "legacy-xml", None, "0" * 64)
    return Record("NCT09999999", trial, RegistryOutcome(), (), source)


def test_a_loaded_bundle_forecasts_records(lora, lora_bundle):
    loaded = load_bundle(lora_bundle, device="cpu")
    forecasts = list(loaded.forecast(record(trial) for trial in TRIALS[:4]))
    expected = lora.calibration.predict(lora.logits[:4])
    for row, forecast in enumerate(forecasts):
        # Other batches than when it was calibrated.
        assert forecast.probability == pytest.approx(expected.probabilities[row, 1], abs=1e-4)
        assert forecast.lower <= forecast.probability <= forecast.upper
        assert forecast.bundle == loaded.identity
        assert forecast.base_rate == loaded.base_rate_of(forecast.phase)[1][1]
        assert not any("not calibrated" in warning for warning in forecast.warnings)


def test_a_loaded_bundle_prints_its_identity(lora_bundle):
    loaded = load_bundle(lora_bundle, device="cpu")
    assert repr(loaded) == f"<Forecaster {loaded.identity!r}, task 'outcome'>"


def test_a_bundle_without_calibration_warns_and_has_no_interval(tiny_model_folder, tmp_path):
    made = make(tiny_model_folder, "lora", calibration="none")
    made.save(tmp_path / "b")
    loaded = load_forecaster(tmp_path / "b", device="cpu")
    (forecast,) = loaded.forecast([record(TRIALS[0])])
    assert forecast.lower is None
    assert forecast.upper is None
    assert "not calibrated: the model's own probability" in forecast.warnings


def test_a_base_model_is_asked_untrained(tiny_model_folder):
    loaded = load_forecaster(tiny_model_folder, device="cpu")
    assert loaded.identity.startswith("tiny-untrained-")
    assert loaded.manifest is None
    (forecast,) = loaded.forecast([record(TRIALS[0])])
    assert forecast.base_rate is None
    assert forecast.task == "outcome"
    assert load_forecaster(tiny_model_folder, task="completion").task.name == "completion"


def test_a_bundle_answers_its_own_question_only(lora_bundle):
    assert load_forecaster(lora_bundle, task="outcome").task.name == "outcome"
    with pytest.raises(BundleError, match=r"it answers 'outcome' \(.*\), not 'completion'"):
        load_forecaster(lora_bundle, task="completion")


def test_names_that_lead_nowhere(tmp_path):
    with pytest.raises(BundleError, match="'nothing' is neither a bundle nor a base model"):
        load_forecaster("nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="this folder is not a bundle"):
        load_forecaster(tmp_path / "empty")
    with pytest.raises(BundleError, match=r"no bundle '\.\./\.\./nowhere'"):
        resolve_bundle("../../nowhere")


def test_the_folder_of_a_run_stands_for_its_bundle(lora, tmp_path):
    lora.save(tmp_path / "run" / "bundle")
    assert resolve_bundle(tmp_path / "run") == tmp_path / "run" / "bundle"


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A", ".hidden", "x" * 65, "embedded", "a."])
def test_names_that_are_none_are_refused(lora, tmp_path, name):
    with pytest.raises(BundleError, match="cannot name a bundle"):
        lora.save(tmp_path / "b", name=name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Qwen3 8B, TOP!", "qwen3-8b-top"),
        ("  ", "bundle"),
        ("../../x", "x"),
        ("embedded", "bundle"),
    ],
)
def test_a_name_is_made_from_any_text(text, name):
    assert bundle_name(text) == name
    assert checked_name(bundle_name(text)) == name


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("r", 513, "its rank 513 is not in 1 to 512"),
        ("auto_mapping", {"base_model_class": "os"}, "asks for auto_mapping"),
        ("modules_to_save", ["lm_head"], "asks for modules_to_save"),
        ("custom_loader", "evil.module", "asks for custom_loader"),
        ("peft_type", "ADALORA", "'ADALORA' is not an adapter that LLM4TOP reads"),
    ],
)
def test_adapters_that_are_more_than_plain_lora_are_refused(copied, field, value, message):
    edit_json(copied / "adapter_config.json", **{field: value})
    vouch(copied)
    with pytest.raises(UnsafeBundleError, match=message):
        load_bundle(copied)


def test_an_adapter_for_another_base_is_refused(copied):
    edit_json(copied / "adapter_config.json", base_model_name_or_path="/srv/models/other")
    vouch(copied)
    with pytest.raises(TamperedBundleError, match="names the base model '/srv/models/other'"):
        load_bundle(copied)


def test_extra_and_misshapen_tensors_are_refused(copied):
    from safetensors.torch import load_file, save_file

    path = copied / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "base_model.extra": torch.zeros(3)}, path)
    vouch(copied)
    with pytest.raises(
        UnsafeBundleError, match=r"base_model\.extra has the shape \(3,\), not None"
    ):
        load_bundle(copied)
    first = sorted(tensors)[0]
    save_file({**tensors, first: torch.zeros(9, 9)}, path)
    vouch(copied)
    with pytest.raises(UnsafeBundleError, match=r"has the shape \(9, 9\)"):
        load_bundle(copied)


def test_a_base_that_brings_code_is_refused(copied):
    edit_json(copied / "base" / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})
    vouch(copied)
    with pytest.raises(UnsafeBundleError, match="'auto_map' would make the model bring code"):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (
            {"labels": ["failure", "success"], "calibrator": {"method": "magic"}},
            "method is 'magic'",
        ),
        ({"labels": ["a", "b"], "calibrator": {"method": "none"}}, "about other labels"),
        ({"labels": ["failure", "success"], "calibrator": {"method": "none"}}, "another method"),
        ({"labels": ["failure", "success"]}, "is not a calibration as LLM4TOP writes it"),
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(copied, stored, message):
    (copied / "calibration.json").write_text(json.dumps(stored))
    vouch(copied)
    with pytest.raises(BundleError, match=message):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tokenizer_sha256", "0" * 64, "its tokenizer is another one than when it was made"),
        ("prompt", {"spec": {"max_tokens": 256, "sections": None}, "fingerprint": "0" * 64},
         "this version of LLM4TOP writes its prompts in other words"),
        ("answers", [{"label": "failure", "word": "No", "token_id": 1},
                     {"label": "success", "word": "Yes", "token_id": 2}],
         "its answers are other tokens"),
    ],
)  # fmt: skip
def test_a_model_is_asked_only_as_it_has_learnt_to_be_asked(copied, field, value, message):
    vouch(copied, language={field: value})
    with pytest.raises(BundleError, match=message):
        load_bundle(copied, device="cpu")


def test_our_own_reader_takes_the_adapter_over_the_plain_base(lora, lora_bundle, tiny_model_folder):
    base = load_base(tiny_model_folder, device="cpu")
    base.model = load_adapter(base, lora_bundle)
    scorer = type(lora.forecaster).from_model(base, spec=lora.forecaster.scorer.writer.spec)
    assert np.abs(scorer.answer_logits(TRIALS) - lora.logits).max() <= 1e-5
