from llm4top.data.dataset import make_dataset
from llm4top.registry.trial import Trial


def dataset(trials, labels, splits, task="outcome"):
    ids = [f"NCT{n}" for n in range(len(trials))]
    return make_dataset(trials, labels, ids, splits, task=task)


def test_the_card_counts_by_split_phase_and_label():
    made = dataset(
        [Trial(phase="Phase 1"), Trial(phase="Phase 1"), Trial()],
        ["success", "failure", "success"],
        ["train", "train", "valid"],
    )
    assert made.card.rows == 3
    assert made.card.balance == {
        "train": {"failure": 1, "success": 1},
        "valid": {"failure": 0, "success": 1},
    }
    assert made.card.balance_by_phase == {
        "Phase 1": {"train": {"failure": 1, "success": 1}},
        "unknown": {"valid": {"success": 1}},
    }
    assert made.card.presence == {"phase": {"failure": 1.0, "success": 0.5}}
    assert made.card.warnings == (
        "The valid split has no row with label failure.",
        "The test split is empty.",
    )


def test_lengths_and_time_span():
    made = make_dataset(
        [Trial(brief_title="abc", criteria="x" * n or None) for n in range(101)],
        ["success"] * 101,
        [f"NCT{n}" for n in range(101)],
        ["train"] * 101,
        task="outcome",
        start_dates=["2001-02", "1999", None, *["2000"] * 98],
    )
    lengths = made.card.text_lengths
    assert lengths["criteria"] == {"p5": 7, "median": 52, "p95": 97, "max": 102}  # with "- "
    assert lengths["trial"]["max"] == 105
    span = made.card.time_span["train"]
    assert (span.first, span.last, span.unknown) == ("1999", "2001-02", 1)


def test_a_field_whose_presence_tells_the_label_is_pointed_out():
    told = [Trial(has_dmc=True)] * 60 + [Trial()] * 60
    labels = ["success"] * 60 + ["failure"] * 60
    made = dataset(told, labels, ["train"] * 120)
    assert (
        "The mere presence of a field may reveal the label: has_dmc (0\u00a0% of failure, "
        "100\u00a0% of success)."
    ) in made.card.warnings[-1]
    few = dataset(told[50:70], labels[50:70], ["train"] * 20)
    assert "may reveal" not in " ".join(few.card.warnings)


def test_a_hidden_field_tells_nothing():
    told = [Trial(planned_enrolment=9)] * 60 + [Trial()] * 60
    made = dataset(told, ["success"] * 60 + ["failure"] * 60, ["train"] * 120)
    assert made.card.presence["planned_enrolment"] == {"failure": 0.0, "success": 1.0}
    assert "may reveal" not in " ".join(made.card.warnings)
