"""Progress, and the estimate of the time left on recorded sequences of it."""

import random
from itertools import pairwise

import pytest

from llm4top.progress import REACH, Progress, TimeLeft


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def told(events, total):
    """The estimates for events of (seconds since the one before, stage, done): (now, estimate)."""
    clock = Clock()
    left = TimeLeft(clock)
    for wait, stage, done in events:
        clock.now += wait
        yield clock.now, left(done, total, stage)


def bursts(total, size, seconds, *, within=0.002):
    """Records in bursts: nothing for the seconds of a chunk, then each of it at once."""
    for done in range(1, total + 1):
        first = (done - 1) % size == 0
        yield (seconds((done - 1) // size) if first else within), "forecasting", done


def test_bursts_are_counted_as_whole_chunks():
    rng = random.Random(3)
    pace = [rng.uniform(7.0, 12.0) for _ in range(8)]
    found = list(told(bursts(500, 64, pace.__getitem__), 500))
    end = found[-1][0]
    # The second burst ends at record 128; before it is whole there is nothing to go by.
    assert all(estimate is None for _, estimate in found[:128])
    later = [(end - now, estimate) for now, estimate in found[129:]]
    assert all(estimate is not None for _, estimate in later)
    for truth, estimate in later:
        assert abs(estimate - truth) <= 0.35 * truth + 12, (truth, estimate)


def test_the_estimate_does_not_jump_within_a_burst():
    found = [left for _, left in told(bursts(640, 64, lambda _: 10.0), 640) if left is not None]
    steps = [abs(b - a) for a, b in pairwise(found)]
    assert max(steps) < 15


def test_the_prompts_of_a_training_say_nothing_about_its_steps():
    prompts = [(0.05, "prompts", done) for done in range(0, 1801, 10)]
    steps = [(10.0, "training", done) for done in range(114)]
    found = list(told([*prompts, *steps], 113))
    training = found[len(prompts) :]
    assert [left for _, left in training[:3]] == [None, None, None]
    end = training[-1][0]
    for now, left in training[4:]:
        assert left == pytest.approx(end - now, abs=10.1)


def test_a_slow_first_chunk_does_not_count():
    """The first step of a training compiles, loads and warms up."""
    events = [(400.0, "training", 1)] + [(2.0, "training", done) for done in range(2, 20)]
    found = [left for _, left in told(events, 100) if left is not None]
    assert max(found) < 220


def test_a_steady_flow_without_pauses_is_estimated_too():
    events = [(0.01, "reading", done) for done in range(1, 2001)]
    found = list(told(events, 2000))
    end = found[-1][0]
    known = [(end - now, left) for now, left in found if left is not None]
    assert len(known) > 1000
    for truth, left in known:
        assert left == pytest.approx(truth, abs=2.5)


def test_a_chunk_that_takes_long_is_not_counted_down_to_nothing():
    clock = Clock()
    left = TimeLeft(clock)
    for done in (10, 20, 30):
        clock.now += 10
        left(done, 50)
    clock.now += 500
    # Chunk 40 is overdue; the one after it still has to be done.
    assert left(30, 50) == pytest.approx(10.0)


def test_there_is_no_estimate_far_beyond_what_was_seen():
    events = [(1.0, "training", done) for done in range(1, 20)]
    found = [left for _, left in told(events, 100_000)]
    assert found == [None] * 19
    assert REACH * 18 < 100_000


@pytest.mark.parametrize("total", [0, -1])
def test_without_a_total_there_is_none(total):
    events = [(1.0, "reading", done) for done in range(10)]
    assert {left for _, left in told(events, total)} == {None}


def test_counting_backwards_begins_anew():
    events = [(1.0, "a", done) for done in (1, 2, 3, 4, 1, 2)]
    found = [left for _, left in told(events, 10)]
    assert found[3] is not None
    assert found[4:] == [None, None]


def test_the_last_chunk_is_never_below_nothing():
    events = [(1.0, "a", done) for done in range(1, 12)]
    assert min(left for _, left in told(events, 11) if left is not None) >= 0


def test_a_progress_knows_nothing_it_was_not_given():
    progress = Progress("training")
    assert (progress.done, progress.total, progress.detail, dict(progress.figures)) == (
        0,
        0,
        "",
        {},
    )


def test_a_progress_cannot_be_changed():
    with pytest.raises(AttributeError):
        Progress("training").done = 3
