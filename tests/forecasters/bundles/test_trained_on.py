import json

import pytest

from llm4top.errors import BundleError
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.model.model_files import earlier_trials

TRAIN = [f"NCT{i:08d}" for i in range(300)]
VALID = [f"NCT{i:08d}" for i in range(300, 350)]
OTHERS = [f"NCT{i:08d}" for i in range(350, 5000)]


def test_every_trial_of_both_parts_is_recognised_and_no_other():
    learnt = TrainedOn.of(TRAIN, VALID, data_sha256="a" * 64)
    assert {learnt.part_of(i) for i in TRAIN} == {"train"}
    assert {learnt.part_of(i) for i in VALID} == {"valid"}
    assert {learnt.part_of(i) for i in OTHERS} == {None}
    assert learnt.part_of(None) is None
    assert learnt.part_of(" nct00000001 ") == "train"


def test_the_file_names_no_trial_and_reads_back_the_same(tmp_path):
    learnt = TrainedOn.of(TRAIN, VALID, data_sha256="a" * 64)
    text = json.dumps(learnt.model_dump(mode="json"))
    assert "NCT" not in text
    assert len(text) < 12 * (len(TRAIN) + len(VALID))
    (tmp_path / "learnt_from.json").write_text(text)
    assert TrainedOn.read(tmp_path) == learnt


def test_hashes_are_not_printed():
    assert len(repr(TrainedOn.of(TRAIN, VALID, data_sha256="a" * 64))) < 200


def test_the_same_trial_has_another_hash_in_another_data_set():
    one, other = (TrainedOn.of(TRAIN[:1], [], data_sha256=d * 64).sets[0] for d in "ab")
    assert one.train != other.train


def test_a_model_trained_further_knows_the_trials_before_it_too():
    before = TrainedOn.of(TRAIN[:10], TRAIN[10:20], data_sha256="a" * 64)
    learnt = TrainedOn.of(TRAIN[10:12], VALID, data_sha256="b" * 64, earlier=before)
    assert learnt.part_of(TRAIN[0]) == "train"
    # It tuned the first model and taught the second.
    assert learnt.part_of(TRAIN[10]) == "train"
    assert learnt.part_of(TRAIN[15]) == "valid"
    assert learnt.part_of(VALID[0]) == "valid"


def test_that_of_the_bundle_which_carries_a_base_model(tmp_path):
    learnt = TrainedOn.of(TRAIN, VALID, data_sha256="a" * 64)
    (tmp_path / "base").mkdir()
    (tmp_path / "manifest.json").write_text("{}")
    assert earlier_trials(tmp_path / "base") is None
    (tmp_path / "learnt_from.json").write_text(json.dumps(learnt.model_dump(mode="json")))
    assert earlier_trials(tmp_path / "base") == learnt
    assert earlier_trials(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{", "is not JSON"),
        ("{}", "is wrong in 'sets'"),
        ('{"sets": [{"salt": "x", "train": "", "valid": ""}]}', "sets.0.salt"),
        ('{"sets": [{"salt": "0123456789abcdef", "train": "abc", "valid": ""}]}', "sets.0.train"),
    ],
)
def test_another_file_is_refused_by_its_field(text, field, tmp_path):
    (tmp_path / "learnt_from.json").write_text(text)
    with pytest.raises(BundleError, match=field):
        TrainedOn.read(tmp_path)
