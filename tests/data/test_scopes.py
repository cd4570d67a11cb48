import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.data.dataset import make_dataset
from llm4top.data.ingest import ingest
from llm4top.data.scopes import newest_check, of_phases, phases_in, scope
from llm4top.errors import DatasetError, SplitError, TooFewRowsError
from llm4top.registry.trial import Trial


def rows(*, starts, phases=None, splits=None):
    count = len(starts)
    phases = phases or ["Phase 2"] * count
    return make_dataset(
        [Trial(phase=phase, brief_title=str(n)) for n, phase in enumerate(phases)],
        ["success", "failure"] * (count // 2) + ["success"] * (count % 2),
        [f"NCT{n:08d}" for n in range(count)],
        splits or ["train"] * count,
        task="outcome",
        start_dates=starts,
    )


def test_a_phase_holds_every_trial_of_it():
    phases = ["Phase 1", "Early Phase 1", "Phase 1/Phase 2", "Phase 4", "N/A", None]
    made = rows(starts=[None] * 6, phases=phases)
    assert scope(made, "I").nct_ids == ("NCT00000000", "NCT00000001", "NCT00000002")
    assert scope(made, "II").nct_ids == ("NCT00000002",)
    assert len(scope(made, "III")) == 0
    assert scope(made, "pooled") is made
    assert phases_in(made) == ("I", "II", "IV")
    with pytest.raises(DatasetError, match=r"'V': no phase. Phases are I, II, III, IV"):
        scope(made, "V")


def test_several_phases_hold_each_trial_once():
    phases = ["Phase 1", "Phase 1/Phase 2", "Phase 2", "Phase 3", None]
    data = rows(starts=[None] * 5, phases=phases)
    assert of_phases(data, ("I", "II")).nct_ids == data.nct_ids[:3]
    assert of_phases(data, ["III"]).nct_ids == data.nct_ids[3:4]
    assert of_phases(data, None) is data
    with pytest.raises(DatasetError, match="no trial is of phase IV") as caught:
        of_phases(data, ("IV",))
    assert caught.value.hint == "The data set has trials of these phases: I, II, III."
    with pytest.raises(DatasetError, match="V"):
        of_phases(data, ("V",))


def test_phases_are_read_from_disk_without_decoding(tmp_path, monkeypatch):
    from llm4top.data.dataset import load_dataset

    phases = ["Phase 1", "Phase 2/Phase 3"]
    rows(starts=["2001", "2002"], phases=phases).save(tmp_path / "set")
    loaded = load_dataset(tmp_path / "set")
    monkeypatch.setattr("llm4top.data.parquet.decode_trial", None)
    assert phases_in(loaded) == ("I", "II", "III")
    assert scope(loaded, "III").take([0]).nct_ids == ("NCT00000001",)
    assert scope(scope(loaded, "III"), "I").nct_ids == ()


def test_tops_rows_belong_to_the_phase_of_their_file(test_data, tmp_path):
    made = ingest(test_data / "top", tmp_path / "top")
    assert phases_in(made) == ("I", "II", "III")
    sizes = {
        phase: tuple(len(scope(made, phase).select(split)) for split in ("train", "valid"))
        for phase in ("I", "II", "III", "pooled")
    }
    assert sizes == {"I": (1012, 117), "II": (803, 446), "III": (373, 344), "pooled": (1797, 901)}
    for name in ("phase_I_valid.csv", "phase_II_train.csv"):
        phase, split = name.removesuffix(".csv").split("_")[1:]
        by_name = [n for n, f in zip(made.nct_ids, made.files, strict=True) if name in f]
        assert list(scope(made, phase).select(split).nct_ids) == by_name
    checked = newest_check(scope(made, "III"))
    assert checked.counts().keys() == {"train", "valid"}
    assert 0.18 < len(checked.select("valid")) / len(checked) < 0.22


def test_the_newest_rows_are_the_check():
    made = rows(
        starts=["2004", "2001", "2003", "2002", "2005"],
        splits=["train", "valid", "train", "train", "test"],
    )
    checked = newest_check(made, share=0.25)
    assert dict(zip(checked.nct_ids, checked.splits, strict=True)) == {
        "NCT00000000": "valid",
        "NCT00000001": "train",
        "NCT00000002": "train",
        "NCT00000003": "train",
    }


def test_a_few_undated_rows_are_learnt_from():
    starts = [f"{2000 + n}" for n in range(19)] + [None]
    assert newest_check(rows(starts=starts)).splits == ("train",) * 15 + ("valid",) * 4 + ("train",)


def test_where_dates_are_missing_the_nct_number_stands_for_them():
    starts = ["2009"] * 5 + [None] * 5
    assert newest_check(rows(starts=starts)).splits == ("train",) * 8 + ("valid",) * 2


@pytest.mark.parametrize("starts", [[], ["2001"], ["2001"] * 10])
def test_a_check_needs_rows_of_several_dates(starts):
    with pytest.raises(TooFewRowsError, match=r"separated from the rest by date. It takes"):
        newest_check(rows(starts=starts))


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_is_none(share):
    with pytest.raises(SplitError, match="is not between 0 and 1"):
        newest_check(rows(starts=["2001", "2002"]), share=share)


@given(st.lists(st.dates().map(str), min_size=2, max_size=60), st.floats(0.05, 0.9))
def test_every_row_learnt_from_is_older_than_the_check(starts, share):
    try:
        checked = newest_check(rows(starts=starts), share=share)
    except TooFewRowsError:
        return
    dates = {s: checked.select(s).start_dates for s in ("train", "valid")}
    assert max(dates["train"]) < min(dates["valid"])
