from hypothesis import given
from hypothesis import strategies as st

from llm4top.prompts.prompt import fair_share

NEEDS = st.lists(st.integers(0, 500), max_size=30)


def test_the_short_stay_whole_and_the_long_share_the_rest():
    assert fair_share([5, 100, 60, 10], 75) == [5, 30, 30, 10]
    assert fair_share([5, 100], 1000) == [5, 100]
    assert fair_share([5, 100], -3) == [0, 0]
    assert fair_share([], 10) == []


@given(NEEDS, st.integers(0, 5000))
def test_all_the_room_is_used_and_nobody_gets_more_than_it_needs(needs, room):
    shares = fair_share(needs, room)
    assert sum(shares) == min(sum(needs), room)
    assert all(0 <= share <= need for share, need in zip(shares, needs, strict=True))


@given(NEEDS, st.integers(0, 5000))
def test_whoever_is_cut_has_as_much_as_anybody(needs, room):
    shares = fair_share(needs, room)
    cut = [share for share, need in zip(shares, needs, strict=True) if share < need]
    if cut:
        # Whole tokens: what does not divide evenly goes to the longest, one token each.
        assert min(cut) >= max(shares) - len(needs)
        assert max(cut) - min(cut) <= 1


@given(NEEDS, st.integers(0, 4999))
def test_more_room_takes_nothing_from_anybody(needs, room):
    before, after = fair_share(needs, room), fair_share(needs, room + 1)
    assert sum(after) - sum(before) in (0, 1)
