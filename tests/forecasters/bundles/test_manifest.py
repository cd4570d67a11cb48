import json

import pytest
from pydantic import ValidationError

from llm4top.errors import BundleError, UnsafeBundleError
from llm4top.forecasters.bundles.figures import Ablation
from llm4top.forecasters.bundles.language_files import plain_settings
from llm4top.forecasters.bundles.manifest import (
    SCHEMA_VERSION,
    AnswerEntry,
    BaseEntry,
    BundleFacts,
    FileEntry,
    LanguageEntry,
    Manifest,
    PromptEntry,
    TuningEntry,
)
from llm4top.forecasters.bundles.paths import is_plain_name
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.builtin import OUTCOME
from tests.forecasters.bundle_kit import EVALUATION, facts, tuning

FILES = ("MODEL_CARD.md", "calibration.json", "adapter_config.json", "adapter_model.safetensors")


LANGUAGE = {
    "tuning": tuning("lora"),
    "base": BaseEntry(id="Qwen/Qwen3-8B", revision="abc", sha256="1" * 64),
    "tokenizer_sha256": "2" * 64,
    "prompt": PromptEntry(spec=PromptSpec(512, ("phase", "criteria")), fingerprint="3" * 64),
    "answers": (
        AnswerEntry(label="failure", word="No", token_id=3),
        AnswerEntry(label="success", word="Yes", token_id=4),
    ),
}


def manifest(language=None, **changes):
    values = {
        **dict(facts()),
        "kind": "language",
        "name": "tiny-outcome",
        "created": "2031-05-14",
        "task": OUTCOME,
        "language": LanguageEntry(**{**LANGUAGE, **(language or {})}),
        "calibration": "venn-abers",
        "versions": {"llm4top": "0.1.0"},
        "files": {name: FileEntry(sha256="4" * 64, size=9) for name in FILES},
    }
    return Manifest(**{**values, **changes})


def as_json(language=None, **changes):
    values = json.loads(manifest().to_json())
    values["language"] |= language or {}
    return json.dumps({**values, **changes})


def test_a_manifest_survives_json_with_its_identity():
    before = manifest()
    after = Manifest.from_json(before.to_json(), where="m")
    assert after == before
    assert after.identity == before.identity
    assert after.task == OUTCOME
    assert after.language.prompt.spec == PromptSpec(512, ("phase", "criteria"))
    assert after.to_json() == before.to_json()


def test_the_identity_is_the_name_and_twelve_digits_that_any_change_changes():
    first = manifest().identity
    assert first.startswith("tiny-outcome-")
    assert len(first) == len("tiny-outcome-") + 12
    assert manifest(seed=8).identity != first
    changed = {name: FileEntry(sha256="5" * 64, size=9) for name in FILES}
    assert manifest(files=changed).identity != first
    turned = dict(reversed(manifest().files.items()))
    assert manifest(files=turned).identity == first


def test_what_later_versions_added_leaves_older_bundles_their_identity():
    stored = json.loads(manifest().to_json())
    assert not {"final_fit", "ablation", "tables"} & set(stored)
    ablation = Ablation(split="valid", n=9, draws=9, seed=0, without={})
    assert json.loads(manifest(ablation=ablation).to_json())["ablation"]["n"] == 9


def test_figures_keep_their_order_with_the_bundle_first():
    kept = Manifest.from_json(manifest().to_json(), where="m")
    assert list(kept.evaluations[0].forecasters) == list(EVALUATION["forecasters"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surprise": 1}, "wrong in 'surprise': Extra inputs are not permitted"),
        ({"name": "../up"}, "wrong in 'name'"),
        ({"name": "a\nb"}, "wrong in 'name'"),
        ({"created": "yesterday"}, "wrong in 'created'"),
        ({"language": {"tokenizer_sha256": "xyz"}}, "wrong in 'language.tokenizer_sha256'"),
        ({"calibration": "magic"}, "wrong in 'calibration'"),
        ({"language": {"answers": []}}, "answers: are not those of the task"),
        ({"base_rates": {"all": {"n": 3, "shares": [1.0]}}}, "need one share for each label"),
        ({"base_rates": {"all": {"n": 3, "shares": [-1, 2]}}}, r"wrong in 'base_rates\.all"),
        (
            {"language": {"tuning": {"method": "full"}}},
            "a fully tuned model is carried in the bundle",
        ),
        ({"files": {}}, "'MODEL_CARD.md' is missing"),
        ({"kind": "blend"}, "blend: is missing, and the bundle's kind is blend"),
        ({"kind": "oracle"}, "wrong in 'kind'"),
        (
            {"language": {"prompt": {"spec": {"max_tokens": 9, "x": 1}, "fingerprint": "3" * 64}}},
            "prompt.spec.x",
        ),
    ],
)
def test_a_wrong_manifest_names_the_field(changes, message):
    with pytest.raises(BundleError, match=message) as refusal:
        Manifest.from_json(as_json(**changes), where="tiny/manifest.json")
    assert str(refusal.value).startswith("tiny/manifest.json: the manifest is wrong")


def test_a_later_schema_asks_for_an_upgrade():
    with pytest.raises(
        BundleError, match="schema version 3; this LLM4TOP reads versions 1 to 2"
    ) as refusal:
        Manifest.from_json(as_json(schema_version=3, new_field=True), where="m")
    assert "Upgrade LLM4TOP" in str(refusal.value)
    assert SCHEMA_VERSION == 2


def test_contradicting_tasks_and_sections_are_refused_as_bundle_errors():
    task = {**json.loads(manifest().to_json())["task"], "labels": ["one"]}
    with pytest.raises(BundleError, match="needs two or more different labels"):
        Manifest.from_json(as_json(task=task), where="m")
    spec = {"spec": {"max_tokens": 9, "sections": ["gossip"]}, "fingerprint": "3" * 64}
    with pytest.raises(BundleError, match="no prompt section gossip"):
        Manifest.from_json(as_json({"prompt": spec}), where="m")


@pytest.mark.parametrize("text", ["NaN", '{"a": ' * 5000])
def test_numbers_that_are_none_and_bottomless_nesting_are_refused(text):
    with pytest.raises(BundleError):
        Manifest.from_json(text, where="m")


def test_a_path_that_leads_outside_is_refused_as_unsafe():
    with pytest.raises(UnsafeBundleError, match=r"'\.\./x' points outside the bundle"):
        Manifest.from_json(as_json(files={"../x": {"sha256": "4" * 64, "size": 1}}), where="m")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.json", True), ("base/a.json", True), ("", False), ("/a", False), ("../a", False),
        ("a/../b", False), ("a//b", False), ("./a", False), ("a\\b", False), ("c:a", False),
        ("a\0b", False), ("a/", False),
    ],
)  # fmt: skip
def test_which_names_stay_inside(name, plain):
    assert is_plain_name(name) is plain


def test_settings_that_are_no_plain_json_are_left_out():
    plain = plain_settings({"a": 1, "b": None, "c": ["x", "y"], "d": {"e": 1}, "f": object()})
    assert plain == {"a": 1, "b": None, "c": ("x", "y")}
    assert TuningEntry(method="lora", settings=plain).settings["c"] == ("x", "y")


def test_facts_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        BundleFacts(tuning=TuningEntry(method="lora"), folder="/home/somebody")
    with pytest.raises(ValidationError):
        BundleFacts(tuning=TuningEntry(method="lora", settings={"a": float("nan")}))
