"""How a list is looked at, as an address: it comes back as it was, whatever it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from llm4top.studio.components.list_state import VIEWS, ListState

words = st.text(st.characters(codec="utf-8"), max_size=20)
chosen = st.dictionaries(
    st.sampled_from(["phases", "areas", "sponsors"]),
    st.frozensets(words.filter(bool), min_size=1, max_size=3),
)


@given(
    st.builds(
        ListState,
        batch=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
        view=st.sampled_from(VIEWS),
        sort=words.filter(bool),
        words=words,
        model=words,
        page=st.integers(1, 999_999),
        chosen=chosen,
        included=st.frozensets(st.sampled_from(["learnt", "scope"])),
    )
)
def test_an_address_brings_the_same_list_back(state):
    path, _, query = state.address.partition("?")
    assert path == "/"
    assert ListState.from_query(QueryParams(query)) == state


@pytest.mark.parametrize(
    "query", ["", "view=nothing&page=-1", "page=x", "page=99999999", "view=&sort=&page="]
)
def test_what_makes_no_sense_is_left_out(query):
    assert ListState.from_query(QueryParams(query)) == ListState()


def test_a_list_as_usual_has_a_short_address():
    assert ListState().address == "/"
    assert ListState(run="r").address == "/?run=r"
    state = ListState(batch="b", view="Table", words="a b", page=2)
    assert state.address == "/?batch=b&view=table&q=a+b&page=2"
    assert state.trial("t") == "/trials/t?batch=b&view=table&q=a+b&page=2"
    assert (state.id, ListState(run="r").id) == ("b", "r")
