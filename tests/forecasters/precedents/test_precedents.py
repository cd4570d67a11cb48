"""Which earlier trials are found, and what is said of them."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llm4top
from llm4top.data.dataset import load_dataset
from llm4top.errors import BundleError, DatasetError, TamperedBundleError
from llm4top.forecasters.forecaster import as_forecaster
from llm4top.forecasters.precedents.dates import first_day, last_day
from llm4top.forecasters.precedents.precedents import NOT_ALIKE, NOTHING_EARLIER, Precedents
from llm4top.registry.trial import Intervention, Trial
from tests.forecasters.precedents.kit import dataset, nct, record, trial, years
from tests.profiles import examples


@pytest.fixture(scope="module")
def sixty(tmp_path_factory):
    """An index by words of sixty trials, completed a month after another from 2000 on."""
    folder = tmp_path_factory.mktemp("precedents") / "sixty"
    return Precedents.build(dataset(years(60)), folder, model=None)


@pytest.fixture(scope="module")
def with_model(tmp_path_factory, tiny_model):
    """The same with a tiny language model; and that model."""
    forecaster = llm4top.load_forecaster(tiny_model, task="outcome")
    folder = tmp_path_factory.mktemp("precedents") / "both"
    return Precedents.build(dataset(years(60)), folder, model=forecaster), forecaster


DATES = st.dates(date(1999, 1, 1), date(2006, 12, 31)).flatmap(
    lambda day: st.sampled_from([day.isoformat()[:n] for n in (4, 7, 10)])
)


@examples(30)
@given(
    completed=st.lists(st.none() | DATES, min_size=1, max_size=12).filter(any),
    start=DATES,
    k=st.integers(1, 15),
)
def test_only_trials_completed_before_the_start_are_found(tmp_path_factory, completed, start, k):
    folder = tmp_path_factory.mktemp("rule") / "index"
    index = Precedents.build(dataset(completed), folder, model=None)
    found = index.find(record(99, start=start), k)
    allowed = {
        nct(i)
        for i, text in enumerate(completed)
        if text is not None and last_day(text) < first_day(start)
    }
    chosen = {item.nct_id for item in found.neighbours}
    assert chosen <= allowed
    assert found.earlier == len(allowed)
    assert found.later == sum(text is not None for text in completed) - len(allowed)
    # All of one condition share words with the query: the rule never starves the result.
    alike = {name for name in allowed if int(name[3:]) % 4 == 99 % 4}
    assert len(chosen & alike) == min(k, len(alike)) or chosen >= alike
    assert index.card.left_out.get("without a completion date", 0) == completed.count(None)


def test_the_model_view_keeps_to_the_date_rule(with_model):
    index, forecaster = with_model
    for start in ("2000-03", "2001-06-15", "2004"):
        found = index.find(record(99, start=start), 30, forecaster=forecaster)
        assert found.neighbours
        assert all(last_day(i.completion_date) < first_day(start) for i in found.neighbours)
        assert all(item.model is not None for item in found.neighbours)
        assert len(found.neighbours) == min(30, found.earlier)


def test_the_same_trial_is_the_nearest_by_the_model(with_model):
    index, forecaster = with_model
    found = index.find(replace(trial(17)), 1, before="2010", forecaster=forecaster)
    assert found.neighbours[0].nct_id == nct(17)
    assert found.neighbours[0].model == pytest.approx(1, abs=1e-4)
    assert found.neighbours[0].words == pytest.approx(1, abs=1e-4)


def test_another_model_leaves_the_words_and_says_so(with_model, sixty):
    index, forecaster = with_model
    other = replace(forecaster, identity="another-0123")
    found = index.find(record(99), 3, forecaster=other)
    assert found.notes[0].startswith("Compared by words alone: the index was built with ")
    assert "another-0123" in found.notes[0]
    assert all(item.model is None for item in found.neighbours)
    by_words = sixty.find(record(99), 3)
    assert [i.nct_id for i in found.neighbours] == [i.nct_id for i in by_words.neighbours]


def test_what_is_said_of_a_neighbour(sixty):
    first = sixty.find(record(41, start="2003-05"), 5).neighbours[0]
    assert first.title == f"Study {int(first.nct_id[3:])} of malaria"
    assert first.link == f"https://clinicaltrials.gov/study/{first.nct_id}"
    assert first.outcome == "success"
    assert first.rank == 1
    assert first.start_date == "1990-01"


def test_the_record_itself_is_never_its_own_precedent(sixty):
    found = sixty.find(record(5, start="2004-12"), 60)
    assert nct(5) not in {item.nct_id for item in found.neighbours}
    assert len(found.neighbours) > 10


def test_the_share_has_an_interval_and_a_base_rate(sixty):
    found = sixty.find(record(41, start="2004"), 10)
    assert [share.label for share in found.shares] == ["failure", "success"]
    event = found.event
    assert event.count == sum(item.outcome == "success" for item in found.neighbours)
    assert event.share == event.count / 10
    assert event.lower < event.share <= event.upper <= 1
    assert found.base_phase == "Phase 3"
    # 12 of 48 earlier trials are of the phase, half succeeded: (6 + 20 * 0.5) / (12 + 20).
    assert found.base_n == 12
    assert event.base_rate == pytest.approx(0.5)


def test_wilsons_interval_is_the_published_one(sixty):
    shares = sixty._shares(np.arange(1, 21, 2), (0.5, 0.5))
    # Newcombe (1998), table I: 10 of 10 has the Wilson interval 0.7225 to 1.
    assert (shares[1].count, shares[1].upper) == (10, 1.0)
    assert shares[1].lower == pytest.approx(0.7225, abs=5e-5)


def test_the_start_is_planned_else_real_else_today(sixty):
    planned = sixty.find(record(99, planned="2001-02", start="2003"))
    assert (planned.before, planned.before_is) == ("2001-02-01", "planned start")
    real = sixty.find(record(99, start="2003"))
    assert (real.before, real.before_is) == ("2003-01-01", "start date")
    given_date = sixty.find(record(99, start="2003"), before="2000-07")
    assert (given_date.before, given_date.before_is) == ("2000-07-01", "given")
    assert sixty.find(trial(99)).before_is == "today"
    assert sixty.find(trial(99)).earlier == 60


def test_a_trial_before_all_others_has_no_precedents(sixty):
    found = sixty.find(record(99, start="2000-01"))
    assert found.neighbours == ()
    assert found.shares == ()
    assert found.event is None
    assert found.notes == (NOTHING_EARLIER,)
    assert found.later == 60


def test_the_label_side_moves_nothing_that_is_compared(tmp_path):
    one = dataset(years(24))
    other = dataset(years(24), ["success"] * 24)
    stopped = replace(other, statuses=("Terminated",) * 24, why_stopped=("no money",) * 24)
    found = [
        Precedents.build(data, tmp_path / str(i), model=None).find(record(30), 8)
        for i, data in enumerate((one, stopped))
    ]
    pairs = zip(found[0].neighbours, found[1].neighbours, strict=True)
    assert all((a.nct_id, a.words) == (b.nct_id, b.words) for a, b in pairs)


def test_fields_that_both_state_and_differ_in_are_named(sixty):
    query = replace(
        trial(40), masking="Triple", interventions=(Intervention("DRUG4"), Intervention("placebo"))
    )
    first = next(item for item in sixty.find(query, 60).neighbours if item.nct_id == nct(4))
    found = {item.field: item for item in first.differences}
    assert set(found) == {"phase", "interventions", "masking"}
    assert (found["masking"].here, found["masking"].there) == (("Triple",), ("Double",))
    assert found["interventions"].shared == ("DRUG4",)
    assert found["interventions"].here == ("placebo",)


def test_json_and_csv_hold_it_all(sixty):
    found = sixty.find(record(41, start="2004"), 4)
    values = json.loads(json.dumps(found.to_dict()))
    assert values["n"] == 4
    assert [item["link"] for item in values["neighbours"]] == [i.link for i in found.neighbours]
    rows = list(found.rows())
    assert len(rows) == 4
    assert rows[0][0] == nct(41)
    assert rows[3][2] == 4


def test_the_test_split_and_what_is_to_come_stay_out(tmp_path):
    splits = ["train", "valid", "test", "train"]
    made = dataset(["2001", "2002", "2003", "2999-01"], splits=splits)
    card = Precedents.build(made, tmp_path / "index", model=None).card
    assert card.trials == 2
    assert card.left_out == {
        "in the test split, whose outcomes stay sealed": 1,
        "with a completion date that is still to come": 1,
    }


def test_without_completion_dates_nothing_is_built(tmp_path):
    with pytest.raises(DatasetError, match="no trial can be a precedent: 3 without a completion"):
        Precedents.build(dataset([None] * 3), tmp_path / "index", model=None)
    assert not (tmp_path / "index").exists()


def test_a_data_set_on_disk_keeps_the_dates(tmp_path):
    made = dataset(["2001-05", None, "2003"])
    made.save(tmp_path / "set")
    loaded = load_dataset(tmp_path / "set")
    assert loaded.completion_dates == ("2001-05", None, "2003")
    # They are no part of its identity: nothing that is learned depends on them.
    assert loaded.sha256 == dataset([None] * 3).sha256
    assert len(Precedents.build(tmp_path / "set", tmp_path / "index", model=None)) == 2


def test_an_index_is_not_written_over_something_else(tmp_path):
    made = dataset(years(3))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="exists and is not an index of precedents"):
        Precedents.build(made, tmp_path, model=None)
    Precedents.build(made, tmp_path / "index", model=None)
    with pytest.raises(BundleError, match="already holds an index"):
        Precedents.build(made, tmp_path / "index", model=None)
    again = Precedents.build(dataset(years(5)), tmp_path / "index", model=None, replace=True)
    assert len(again) == 5


def test_a_changed_index_is_refused(tmp_path):
    Precedents.build(dataset(years(5)), tmp_path / "index", model=None)
    words = tmp_path / "index" / "words.safetensors"
    words.write_bytes(words.read_bytes()[:-1] + b"\1")
    with pytest.raises(TamperedBundleError, match=r"words\.safetensors: was changed since it was"):
        Precedents.load(tmp_path / "index")
    words.unlink()
    with pytest.raises(BundleError):
        Precedents.load(tmp_path / "index")


def test_no_index_says_how_to_build_one(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path))
    with pytest.raises(BundleError, match="Build one: `llm4top precedents build"):
        Precedents.load()


def test_a_forecaster_without_a_language_model_compares_no_states(tmp_path):
    made = dataset(years(12))
    baseline = llm4top.make_baseline("base-rate").fit(list(made.trials), list(made.labels))
    with pytest.raises(BundleError, match="has no language model, so no hidden states"):
        Precedents.build(made, tmp_path / "index", model=as_forecaster(baseline))


def test_a_record_without_words_has_the_words_of_none(sixty):
    assert sixty.find(Trial(phase="Phase 1")).neighbours == ()
    with pytest.raises(ValueError, match="k must be 1 or more"):
        sixty.find(trial(1), 0)


def test_it_says_where_no_earlier_trial_is_alike(sixty):
    assert 0 < sixty.card.by_chance < 1
    assert sixty.find(trial(61)).notes == ()
    other = Trial(conditions=("psoriasis vulgaris",), criteria="Signed consent of adults")
    assert sixty.find(other).notes == (NOT_ALIKE,)
