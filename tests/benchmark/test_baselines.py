"""The benchmark's baselines: which of them are told dates, and what the report says of it."""

import numpy as np
import pytest

from llm4top.benchmark.baselines import baseline_work, date_notes
from llm4top.benchmark.context import Context
from llm4top.benchmark.rows import Rows
from llm4top.data.dataset import make_dataset
from llm4top.registry.trial import Trial
from tests.benchmark.conftest import quick_settings

N, FIRST = 40, 5


def context(folder, completed, started):
    """The first five trials succeeded; the others are nearer to the last ten, the measured."""
    data = make_dataset(
        [Trial(conditions=("gout",) if i < FIRST else ("gout", "tophus")) for i in range(N)],
        ["success" if i < FIRST else "failure" for i in range(N)],
        [f"NCT{i:08d}" for i in range(N)],
        ["train"] * (N - 10) + ["valid"] * 10,
        task="outcome",
        start_dates=started,
        completion_dates=completed,
    )
    settings = quick_settings(folder, folder / "out", baselines=("nearest",), phases=("pooled",))
    return Context.of(Rows(data, test=False, newest=False), settings)


def chances(made):
    (work,) = baseline_work(made)
    (found,) = work.run()
    return np.asarray(found.probabilities)[:, 1]


def test_the_nearest_trials_keep_to_the_date_rule(tmp_path):
    completed = [f"{2000 + i}" for i in range(N)]
    early, late = ["2005-06"] * N, ["2099"] * N
    # By 2005 those that succeeded were completed alone; by 2099 all were.
    alone = chances(context(tmp_path / "a", completed, early))
    every = chances(context(tmp_path / "b", completed, late))
    undated = chances(context(tmp_path / "c", [None] * N, early))
    assert every == pytest.approx(undated)
    assert alone.min() > every.max() + 0.02
    # Other dates are other work: nothing of a finished benchmark is taken for it.
    (one,) = baseline_work(context(tmp_path / "a", completed, early))
    (other,) = baseline_work(context(tmp_path / "a", completed, late))
    assert one.done()
    assert not other.done()


def test_a_trial_without_a_start_is_held_against_all(tmp_path):
    completed = [f"{2000 + i}" for i in range(N)]
    started = ["2005-06"] * (N - 1) + [None]
    found = chances(context(tmp_path, completed, started))
    assert found[-1] < found[0]


def test_the_report_says_where_the_date_rule_cannot_hold(tmp_path):
    none = date_notes(context(tmp_path, [None] * N, ["2005"] * N))
    assert none[0].endswith("since the data set has no completion dates.")
    assert date_notes(context(tmp_path, ["2005"] * N, [None] * N))[0].endswith("no start dates.")
    completed = ["2001", *[None] * (N - 1)]
    (some,) = date_notes(context(tmp_path, completed, ["2005"] * (N - 1) + [None]))
    assert "1 of 30 training trials have a completion date, and 9 of 10 measured trials" in some
    made = context(tmp_path, completed, completed)
    others = made.settings.model_copy(update={"baselines": ("tfidf",)})
    assert date_notes(Context.of(made.rows, others)) == ()
