import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from llm4top.data.audit.audit import audit
from llm4top.data.dataset import load_dataset
from llm4top.data.ingest import ingest
from llm4top.errors import EmptyClassError, SplitError, TooFewRowsError
from llm4top.progress import Progress
from llm4top.registry.trial import TRIAL_FIELDS, Trial
from llm4top.tasks.task import Task
from tests.data.audits import CODES, TEXT_FIELDS, found, honest, made_of, planted
from tests.profiles import examples

HONEST = honest()


def test_every_text_field_of_a_trial_is_planted_in():
    no_text = {"study_type", "sex", "minimum_age", "maximum_age", "planned_start"}
    no_text |= {"number_of_arms", "healthy_volunteers", "has_dmc", "planned_enrolment"}
    assert set(TEXT_FIELDS) == set(TRIAL_FIELDS) - no_text


def test_an_honest_data_set_passes():
    report = audit(HONEST)
    assert report.passed
    assert report.verdict == "pass"
    assert report.fields == ()
    assert {line.check for line in report.lines} == {
        "shared ids",
        "labels in each split",
        "time overlap",
        "copies across splits",
        "sentences that reveal the outcome",
        "status words",
        "label side in the text",
        "label from one word",
        "label from a field's presence",
        "label from one field",
    }
    assert report.rows == 240
    assert report.rows_read_closely == 180


@pytest.mark.parametrize("seed", range(1, 6))
def test_chance_alone_fails_no_data_set(seed):
    assert audit(honest(seed=seed, signal=0.0)).passed


def test_the_same_seed_gives_the_same_report():
    assert audit(HONEST, seed=3).to_dict() == audit(HONEST, seed=3).to_dict()


def test_the_report_is_plain_json(tmp_path):
    report = audit(HONEST)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["passed"] is True
    assert values["sha256"] == HONEST.sha256
    assert values["findings"][0]["check"] == "shared ids"


def test_a_saved_data_set_is_audited_alike(tmp_path):
    HONEST.save(tmp_path / "set")
    assert audit(load_dataset(tmp_path / "set")).lines == audit(HONEST).lines


@pytest.mark.slow
@examples(12, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(
    field=st.sampled_from(TEXT_FIELDS),
    share=st.sampled_from([0.4, 0.7, 1.0]),
    form=st.sampled_from(["terminated", "Status: Terminated", "now TERMINATED.", "(terminated)"]),
    known=st.booleans(),
    seed=st.integers(0, 3),
)
def test_a_planted_status_word_is_always_named(field, share, form, known, seed):
    rng = np.random.default_rng(100 + seed)
    texts = [
        form if status == "Terminated" and rng.random() < share else None
        for status in HONEST.statuses
    ]
    leaky = planted(HONEST, field, texts)
    if not known:
        nothing = (None,) * len(leaky)
        leaky = replace(leaky, statuses=nothing, why_stopped=nothing)
    report = audit(leaky)
    assert not report.passed
    assert report.fields == (field,)


@pytest.mark.parametrize("field", ["brief_title", "criteria", "keywords", "arms"])
def test_a_planted_reason_for_stopping_is_named(field):
    report = audit(planted(HONEST, field, HONEST.why_stopped))
    assert not report.passed
    assert report.fields == (field,)


def honest_reasons(count=240):
    """Reasons for stopping that differ from trial to trial."""
    return [f"sponsor {n} ran out of compound {n}" for n in range(count)]


def test_different_reasons_are_told_from_chance():
    reasons = iter(honest_reasons())
    why = tuple(next(reasons) if s == "Terminated" else None for s in HONEST.statuses)
    dataset = replace(HONEST, why_stopped=why)
    assert audit(dataset).passed
    rng = np.random.default_rng(9)
    report = audit(planted(dataset, "criteria", [w if rng.random() < 0.3 else None for w in why]))
    assert ("fail", "criteria") in found(report, "label side in the text")
    assert "criteria repeats the reason for stopping in " in str(report)


def test_a_status_of_a_few_rows_is_enough():
    left = iter(range(20))
    texts = [
        "terminated" if s == "Terminated" and next(left, None) is not None else None
        for s in HONEST.statuses
    ]
    report = audit(planted(HONEST, "criteria", texts))
    assert found(report, "label side in the text") == [("fail", "criteria")]
    stopped = HONEST.select("train").labels.count("failure")
    text = str(report)
    assert (
        f"“terminated” is in criteria of 20 of the {stopped} rows whose status it is (NCT" in text
    )
    assert " and 17 more), and of 0 of the " in text


def test_a_word_without_meaning_is_named_with_its_counts_and_its_jump():
    texts = ["zyx" if label == "failure" else None for label in HONEST.labels]
    report = audit(planted(HONEST, "brief_summary", texts))
    assert found(report, "label from one word") == [("fail", "brief_summary")]
    assert found(report, "label from a field's presence") == [("fail", "brief_summary")]
    assert found(report, "label from one field") == [("fail", "brief_summary")]
    failures = HONEST.select("train").labels.count("failure")
    text = str(report)
    assert f"“zyx” is in brief_summary of {failures} rows, {failures} of them failure" in text
    (line,) = [line for line in report.lines if line.check == "label from one field"]
    assert line.figures["alone"] == 1.0
    assert line.figures["with"] - line.figures["without"] == line.figures["jump"] > 0.2


def test_a_hidden_field_is_passed_over():
    task = replace(HONEST.task, hidden_fields=("brief_summary",))
    texts = ["terminated" if label == "failure" else None for label in HONEST.labels]
    leaky = planted(HONEST, "brief_summary", texts)
    assert not audit(leaky).passed
    assert audit(replace(leaky, task=task)).passed


def test_labels_of_valid_rows_are_not_read():
    valid = [s == "valid" for s in HONEST.splits]
    texts = [
        "zyx" if v and label == "failure" else None
        for v, label in zip(valid, HONEST.labels, strict=True)
    ]
    assert audit(planted(HONEST, "criteria", texts)).passed


@pytest.mark.parametrize("many", [3, 240])
def test_sentences_that_tell_the_outcome(many):
    texts = ["The study was terminated early." if n < many else None for n in range(240)]
    report = audit(planted(HONEST, "detailed_description", texts))
    verdict = "fail" if many == 240 else "warn"
    told = found(report, "sentences that reveal the outcome")
    assert (verdict, "detailed_description") in told
    assert "says that the trial was stopped" in str(report)


def test_an_identifier_in_the_text_warns():
    texts = ["see NCT01234567"] * 240
    report = audit(planted(HONEST, "criteria", texts))
    assert found(report, "sentences that reveal the outcome") == [("warn", "criteria")]


def test_a_patient_status_is_no_trial_status():
    texts = ["Performance status: 0-1. HIV status: unknown. Vaccination status: completed"] * 240
    assert audit(planted(HONEST, "criteria", texts)).verdict == "pass"
    report = audit(planted(HONEST, "criteria", ["Study status: completed"] * 240))
    assert ("fail", "criteria") in found(report, "sentences that reveal the outcome")


@pytest.mark.parametrize("rows", [1, 3, 30])
@pytest.mark.parametrize("field", ["brief_title", "criteria", "arms", "keywords"])
def test_a_status_word_is_listed_with_its_rows_however_few(field, rows):
    which = [n for n, s in enumerate(HONEST.statuses) if s == "Completed"][:rows]
    texts = ["consent was withdrawn" if n in which else None for n in range(240)]
    report = audit(planted(HONEST, field, texts))
    (line,) = [line for line in report.lines if line.check == "status words"]
    assert (line.verdict, line.field) == ("pass", field)
    assert line.finding.startswith(f"{field}: “withdrawn” is in {rows} row")
    assert HONEST.nct_ids[which[0]] in line.finding
    assert (" more)" in line.finding) is (rows > 3)


def test_status_words_in_the_rows_whose_status_it_is_warn():
    stopped = [n for n, s in enumerate(HONEST.statuses) if s == "Terminated"][:9]
    texts = ["a pregnancy terminated at home" if n in stopped else None for n in range(240)]
    report = audit(planted(HONEST, "criteria", texts))
    assert found(report, "status words") == [("warn", "criteria")]
    assert "9 of them among the " in str(report)


@pytest.mark.parametrize("form", ["(TERMINATED)", "Study closed to accrual.", "Withdrawn"])
@pytest.mark.parametrize("field", ["brief_title", "keywords"])
def test_a_stated_status_of_a_single_row_is_named(field, form):
    texts = [form if n == 7 else None for n in range(240)]
    report = audit(planted(HONEST, field, texts))
    assert ("warn", field) in found(report, "sentences that reveal the outcome")
    assert f"(1 of 240 rows: {HONEST.nct_ids[7]})" in str(report)


@pytest.mark.parametrize(("copies", "verdict"), [(1, "warn"), (60, "fail")])
def test_copies_across_splits(copies, verdict):
    trials = list(HONEST.trials)
    for n in range(copies):
        trials[180 + n] = replace(trials[n], phase="Phase 4")
    report = audit(replace(HONEST, trials=tuple(trials)))
    (line,) = [line for line in report.lines if line.check == "copies across splits"]
    assert line.verdict == verdict
    # Likeness is estimated from sketches.
    assert 0.9 * copies <= line.figures["rows"] <= copies
    if copies == 1:
        assert "NCT00000180 and NCT00000000" in line.finding


def test_short_texts_are_no_copies():
    trials = [Trial(phase="Phase 2", criteria="Adults.")] * 240
    report = audit(replace(HONEST, trials=tuple(trials)))
    assert found(report, "copies across splits") == [("pass", "")]


def test_time_overlap_warns_that_valid_is_optimistic():
    rng = np.random.default_rng(9)
    mixed = replace(HONEST, splits=tuple(rng.choice(["train", "valid"], 240, p=[0.8, 0.2])))
    report = audit(mixed)
    assert report.passed
    assert report.verdict == "warn"
    (line,) = [line for line in report.lines if line.check == "time overlap"]
    assert "valid and train overlap in time" in line.finding
    assert "Figures on valid are optimistic" in line.finding


def test_without_dates_the_nct_numbers_tell_time():
    dateless = replace(HONEST, start_dates=(None,) * 240)
    (line,) = [line for line in audit(dateless).lines if line.check == "time overlap"]
    assert line.verdict == "pass"
    assert "by NCT number, as dates are missing" in line.finding


def test_a_trial_in_several_rows_of_one_split_warns():
    ids = ("NCT00000001", *HONEST.nct_ids[1:])
    report = audit(replace(HONEST, nct_ids=ids))
    assert found(report, "shared ids") == [("warn", "")]


def test_progress_goes_to_its_end():
    seen = []
    audit(HONEST, on_progress=seen.append)
    assert seen[-1] == Progress("done", seen[-1].total, seen[-1].total)
    done = [step.done for step in seen]
    assert done == list(range(len(done)))


def test_a_duplicate_id_across_splits_is_refused():
    ids = (HONEST.nct_ids[-1], *HONEST.nct_ids[1:])
    with pytest.raises(SplitError, match="1 trials are in more than one split: NCT00000239"):
        audit(replace(HONEST, nct_ids=ids))


def test_an_empty_class_is_refused():
    for split in ("train", "valid"):
        labels = [
            "success" if s == split else label
            for s, label in zip(HONEST.splits, HONEST.labels, strict=True)
        ]
        with pytest.raises(EmptyClassError, match=f"the {split} split has no row with .*'failure'"):
            audit(replace(HONEST, labels=tuple(labels)))


def test_a_single_row_split_is_refused():
    splits = ("train",) * 239 + ("valid",)
    with pytest.raises(TooFewRowsError, match=r"the valid split has one row\. Split again"):
        audit(replace(HONEST, splits=splits))


def test_too_few_train_rows_are_refused():
    with pytest.raises(TooFewRowsError, match="the train split is empty"):
        audit(replace(HONEST, splits=("valid",) * 240))
    few = HONEST.take(range(12))
    with pytest.raises(TooFewRowsError, match=r"too few rows to audit: . failure, . success"):
        audit(few)


SEVERAL = Task("why", "multiclass", "Why?", ("a", "b", "c", "d"), ("A", "B", "C", "D"))


def test_several_labels():
    rng = np.random.default_rng(0)
    trials = honest(300).trials
    labels = rng.choice(["a", "b", "c"], 300)
    rare = [*labels[:-80], "d", "d", *labels[-78:]]
    dataset = made_of(trials, [True] * 300, labels=rare, task=SEVERAL)
    report = audit(dataset)
    assert report.passed
    assert found(report, "labels in each split") == [("warn", "")]
    texts = ["zyx" if label == "b" else None for label in dataset.labels]
    report = audit(planted(dataset, "keywords", texts))
    assert report.fields == ("keywords",)
    assert any("of them b (100\u00a0%" in line.finding for line in report.lines)


def test_a_large_data_set_is_sampled(monkeypatch):
    from llm4top.data.audit import terms as _audit_rows
    from llm4top.data.audit.findings import AuditLimits

    monkeypatch.setattr(_audit_rows, "LIMITS", AuditLimits(rows=100))
    report = audit(HONEST)
    assert report.rows == 240
    assert 99 <= report.rows_read_closely <= 101


def test_codes_and_flags_are_looked_at():
    trials = [
        replace(trial, healthy_volunteers=label == "success", number_of_arms=2)
        for trial, label in zip(HONEST.trials, HONEST.labels, strict=True)
    ]
    report = audit(replace(HONEST, trials=tuple(trials)))
    assert report.fields == ("healthy_volunteers",)
    assert "phase" in CODES


@pytest.mark.slow
def test_top_passes_and_fails_with_its_status_in_the_text(test_data, tmp_path):
    top = ingest(test_data / "top", tmp_path / "top")
    report = audit(top)
    assert report.passed, str(report)
    assert report.verdict == "warn"
    statuses = [f"Status: {s.lower()}" if s else None for s in top.statuses]
    leaky = planted(top, "criteria", statuses)
    report = audit(leaky)
    assert report.fields == ("criteria",)
    assert ("fail", "criteria") in found(report, "label from one field")
