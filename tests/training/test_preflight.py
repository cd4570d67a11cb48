"""Every reason why a run would fail, named before any weight is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm4top.data.dataset import Dataset, make_dataset
from llm4top.errors import PreflightError
from llm4top.forecasters.bundles.manifest import BundleFacts, TuningEntry
from llm4top.forecasters.bundles.paths import embedded_folder
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.methods import NoCalibration
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.device import Device
from llm4top.forecasters.model.model_files import earlier_training, resolve_base
from llm4top.prompts.prompt import PromptSpec
from llm4top.testing import make_tiny_model
from llm4top.training import preflight as _preflight
from llm4top.training.config import TrainingConfig, chosen_sections
from llm4top.training.preflight import Check, PreflightReport, preflight
from llm4top.training.pretrain import learnt_before
from llm4top.training.run_folder import RunFolder

Settings = Callable[..., TrainingConfig]
Data = Callable[..., Dataset]


def named(report: PreflightReport, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_a_run_that_can_work_passes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    def loaded(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", loaded)
    report = preflight(settings())
    report.raise_for_faults()
    assert [check.name for check in report.checks] == [
        "data",
        "base model",
        "device",
        "splits",
        "task",
        "calibration",
        "evaluations",
        "sections",
        "tokenizer",
        "prompts",
        "memory",
        "disk",
        "output folder",
    ]
    assert "94 trials, task outcome" in named(report, "data").detail
    assert "train: " in named(report, "splits").detail
    assert "training trials shortened to 192" in named(report, "prompts").detail
    assert report.memory is not None
    assert not settings().out.exists()


def test_a_base_that_was_pretrained_on_short_blocks_is_told(
    settings: Settings, tmp_path: Path
) -> None:
    base = tmp_path / "own-base"
    shutil.copytree(settings().base, base)
    account = base / "pretraining.json"
    account.write_text(json.dumps({"settings": {"context": 64}}))
    check = named(preflight(settings(base=str(base))), "prompts")
    assert check.ok
    assert check.hint == (
        "The base model was pre-trained on blocks of 64 tokens and has seen no longer text: set "
        "max_tokens to 64, or pre-train with a larger --context."
    )
    for other in (json.dumps({"settings": {"context": 4096}}), "{}", "no JSON"):
        account.write_text(other)
        assert "pre-trained" not in named(preflight(settings(base=str(base))), "prompts").hint


def test_prompts_longer_than_those_a_trained_base_has_read_are_told(
    settings: Settings, make_data: Data, tmp_path: Path
) -> None:
    base = load_base(settings().base, device="cpu")
    tuned = LanguageForecaster.from_model(base, spec=PromptSpec(128))
    save_bundle(
        tmp_path / "own",
        name="own",
        forecaster=tuned,
        calibration=NoCalibration(),
        facts=BundleFacts(),
        tuning=TuningEntry(method="full"),
    )
    carried = str(tmp_path / "own" / "base")
    data = make_data()
    trials = [replace(trial, criteria="Adults with asthma. " * 400) for trial in data.trials]
    long = make_dataset(trials, data.labels, data.nct_ids, data.splits, task="outcome", name="long")
    check = named(preflight(settings(base=carried, max_tokens=192), dataset=long), "prompts")
    assert check.hint == (
        "The base model was trained on prompts of at most 128 tokens: set max_tokens to 128."
    )
    short = named(preflight(settings(base=carried, max_tokens=128), dataset=long), "prompts")
    assert "at most 128" not in short.hint


def test_all_reasons_are_told_at_once(settings: Settings, tmp_path: Path) -> None:
    report = preflight(settings(data=tmp_path / "none", base=str(tmp_path / "no-model")))
    with pytest.raises(PreflightError) as caught:
        report.raise_for_faults()
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["data", "base model"]


def test_a_model_that_is_not_here_says_how_to_get_it(settings: Settings) -> None:
    check = named(preflight(settings(base="Qwen/Nowhere")), "base model")
    assert not check.ok
    assert check.hint == "Download it once with: llm4top download Qwen/Nowhere"


def test_a_split_without_a_label_is_named(settings: Settings, make_data: Data) -> None:
    data = make_data()
    one_sided = data.take(
        [i for i in range(len(data)) if data.splits[i] != "valid" or data.labels[i] == "success"]
    )
    check = named(preflight(settings(), dataset=one_sided), "splits")
    assert (check.ok, check.detail) == (False, "valid has no trial of label failure.")


def test_trials_in_two_splits_are_named(settings: Settings, make_data: Data) -> None:
    data = make_data()
    twice = replace(data, nct_ids=(data.nct_ids[0],) * len(data))
    check = named(preflight(settings(), dataset=twice), "splits")
    assert not check.ok
    assert data.nct_ids[0] in check.detail


def test_another_task_than_the_data_answers_is_named(settings: Settings) -> None:
    check = named(preflight(settings(task="completion")), "task")
    assert check.detail == "the settings ask for completion, the data set answers outcome."


def test_class_weights_of_other_labels_are_named(settings: Settings) -> None:
    check = named(preflight(settings(class_weights={"good": 1.0, "bad": 2.0})), "task")
    assert not check.ok
    assert "class_weights: names bad, good; the labels are failure, success" in check.detail


def test_too_few_trials_to_calibrate_on_are_counted(settings: Settings, make_data: Data) -> None:
    data = make_data(valid=12)
    check = named(preflight(settings(), dataset=data), "calibration")
    assert not check.ok
    assert "12 validation trials" in check.detail
    assert "calibration: none" in check.hint
    assert named(preflight(settings(calibration="none"), dataset=data), "calibration").ok


def test_a_tokenizer_without_the_answers_is_named(settings: Settings, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "mute", words=(), vocab=320)
    check = named(preflight(settings(base=str(folder))), "tokenizer")
    assert not check.ok
    assert "the answer" in check.detail


def test_a_budget_beyond_the_model_is_named(settings: Settings) -> None:
    check = named(preflight(settings(max_tokens=100_000)), "prompts")
    assert check.detail == "prompts may take 100000 tokens, but the model takes 4096."


def test_a_budget_that_cuts_most_texts_gets_advice(settings: Settings) -> None:
    check = named(preflight(settings(max_tokens=160)), "prompts")
    assert check.ok
    assert check.hint == "Raising max_tokens would let the model read more."


def test_a_budget_below_the_question_is_named(settings: Settings) -> None:
    check = named(preflight(settings(max_tokens=64)), "prompts")
    assert not check.ok
    assert "the question alone takes" in check.detail


def test_too_little_memory_is_named_with_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_preflight, "free_memory", lambda device: 1000)
    check = named(preflight(settings()), "memory")
    assert not check.ok
    assert "0.0 MB free on cpu" in check.detail
    assert check.hint.startswith("To need less: turn gradient_checkpointing on; halve batch_size")


def test_too_little_disk_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: full)
    check = named(preflight(settings()), "disk")
    assert (check.ok, check.hint) == (False, "Choose a folder with more room.")


def test_a_device_that_is_not_here_is_named(settings: Settings) -> None:
    report = preflight(settings(device="cuda:7"))
    check = named(report, "device")
    assert not check.ok
    assert "this machine has no device 'cuda:7'" in check.detail
    assert "memory" not in [check.name for check in report.checks]


@pytest.mark.parametrize(
    ("precision", "emulated", "warned"),
    [("bf16", True, True), ("bf16", False, False), ("auto", True, False), ("fp32", True, False)],
)
def test_a_precision_that_the_device_only_emulates_is_warned_of(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    emulated: bool,
    warned: bool,
) -> None:
    monkeypatch.setattr(_preflight, "emulates_bf16", lambda device: emulated)
    check = named(preflight(settings(precision=precision)), "device")
    assert check.ok
    assert check.hint == (
        "This device has no instructions for bfloat16: it emulates them, up to 100 times slower "
        "than float32. Set precision to auto or fp32."
        if warned
        else ""
    )


def test_a_missing_extra_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_preflight.importlib.util, "find_spec", lambda name: None)
    check = named(preflight(settings(quantize="4bit")), "device")
    assert check.hint == "Install it with: pip install 'llm4top[four-bit]'"


def test_shards_need_several_processes(settings: Settings) -> None:
    check = named(preflight(settings(shard=True)), "device")
    assert not check.ok
    assert check.detail == (
        "the model cannot be sharded: there is one process, and nothing to spread the weights over."
    )
    assert check.hint == "Start it with torchrun on several GPUs, or leave shard out."


def test_an_apple_gpu_takes_one_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(_preflight, "choose_device", lambda request: Device("mps", "mps", ""))
    check = named(preflight(settings()), "device")
    assert not check.ok
    assert check.detail == "one Apple GPU (MPS) takes one process."


def test_gpus_that_are_not_here_are_judged_by_their_number_and_size(settings: Settings) -> None:
    report = preflight(settings(shard=True), gpus="8x80")
    assert named(report, "device").detail == (
        "8 x 80.0 GB, bfloat16, as asked about; this machine's is not looked at."
    )
    memory = named(report, "memory")
    assert memory.ok
    assert " on each device (weights " in memory.detail
    assert memory.detail.endswith("; 80.0 GB free on each.")
    wrong = named(preflight(settings(), gpus="many"), "device")
    assert wrong.detail == "'many': write 8x80 for 8 of 80 GB."


def test_the_state_of_the_output_folder(settings: Settings, tmp_path: Path) -> None:
    config = settings()
    run = RunFolder(config.out)
    assert named(preflight(config), "output folder").ok
    resumed = named(preflight(config, resume=True), "output folder")
    assert resumed.detail == f"{config.out} holds no run to resume."
    run.path.mkdir()
    run.set_state("interrupted")
    run.settle_identity({}, resume=False)
    check = named(preflight(config), "output folder")
    assert check.detail == f"{config.out} holds a run already (interrupted)."
    assert named(preflight(config, resume=True), "output folder").ok
    other = tmp_path / "full"
    other.mkdir()
    (other / "thesis.doc").write_text("years of work")
    assert named(preflight(settings(out=other)), "output folder").detail == f"{other} is not empty."
    file = tmp_path / "file"
    file.write_text("")
    check = named(preflight(settings(out=file / "run")), "output folder")
    assert (check.ok, check.detail) == (False, f"{file} cannot be written to.")


def test_sections_that_hardly_any_trial_has_are_left_out(
    settings: Settings, make_data: Data
) -> None:
    data = make_data(train=300)
    trials, task = data.select("train").trials, data.task
    names = chosen_sections(settings(), trials, task)
    assert names is not None
    assert {"phase", "conditions", "criteria"} <= set(names)
    assert "keywords" not in names  # one trial in 300
    assert "smiles" not in names
    assert chosen_sections(settings(sections="all"), trials, task) is None
    assert chosen_sections(settings(sections=["criteria", "phase"]), trials, task) == (
        "phase",
        "criteria",
    )


def test_sections_that_the_question_hides_are_not_listed(
    settings: Settings, make_data: Data
) -> None:
    data = make_data(train=300)
    planned = [replace(trial, planned_enrolment=100) for trial in data.select("train").trials]
    assert "planned_enrolment" in data.task.hidden_fields
    assert "planned_enrolment" not in (chosen_sections(settings(), planned, data.task) or ())
    shown = replace(data.task, hidden_fields=())
    assert "planned_enrolment" in (chosen_sections(settings(), planned, shown) or ())


def coded(data: Dataset) -> Dataset:
    """The same trials with the codes and structures that only a data set brings."""
    trials = [replace(t, icd_codes=("I10",), smiles=("CCO",)) for t in data.trials]
    numbers = list(data.nct_ids)
    return make_dataset(trials, data.labels, numbers, data.splits, task="outcome", name="coded")


def test_inputs_that_no_record_carries_are_left_out_and_said(
    settings: Settings, make_data: Data
) -> None:
    data = coded(make_data())
    trials = data.select("train").trials
    assert not {"icd_codes", "smiles"} & set(chosen_sections(settings(), trials, data.task) or ())
    check = named(preflight(settings(), dataset=data), "sections")
    assert check.ok
    assert check.detail == (
        "phase, study_type, brief_title, conditions, interventions, keywords, "
        "intervention_details, criteria."
    )
    assert check.hint == (
        "ICD-10 codes and SMILES are left out: no registry record carries them. To include "
        "them, list them in the setting sections: [phase, study_type, brief_title, conditions, "
        "icd_codes, interventions, smiles, keywords, intervention_details, criteria]"
    )
    asked = settings(sections=["phase", "icd_codes"])
    assert named(preflight(asked, dataset=data), "sections") == Check(
        "sections", True, "phase, icd_codes."
    )


def test_evaluations_are_announced(settings: Settings) -> None:
    assert named(preflight(settings(eval_trials=20, epochs=1)), "evaluations").detail == (
        "up to 2 evaluations while training, on the same 20 of 40 validation trials; calibration "
        "and figures use all."
    )


def test_the_embedded_base_says_that_it_was_trained_already(settings: Settings) -> None:
    check = named(preflight(settings(base="embedded")), "base model")
    assert check.ok
    if earlier_training(resolve_base("embedded")) is None:
        pytest.skip("the base that the embedded model carries was not trained on labels")
    assert ", already trained on top: qwen3 " in check.detail
    assert check.hint


def test_what_a_base_has_learnt_from_is_told_by_its_trials(make_data: Data) -> None:
    manifest = read_manifest(embedded_folder())
    data = make_data()
    valid = data.select("valid").nct_ids
    seen = TrainedOn.of(valid[:3], valid[3:10], data_sha256="0" * 64)
    assert learnt_before(manifest, seen, data, "valid") == (
        "Of these 40 validation trials it was trained on 3, and selected or calibrated on 7: "
        "figures on them are optimistic."
    )
    other = TrainedOn.of(["NCT00000001"], [], data_sha256="0" * 64)
    assert learnt_before(manifest, other, data, "valid") == (
        "It was not trained on any of these validation trials."
    )
    assert learnt_before(manifest, None, data, "valid") == (
        "Its weights were already trained on the training trials of top and were selected on "
        "top's validation trials: figures on any of those trials are optimistic."
    )
