"""What a person looks at, taken away: filtered, with what was left out."""

import csv
import io

from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.views.export_batch import EXPORT_NAMES, export_batch
from llm4top.workspace.views.listing import ListQuery
from tests.workspace.views.test_listing import kept, line


def test_an_export_holds_the_trials_that_are_shown_and_all_that_was_left_out(local):
    trials = [line(0.2, sha="1", title="One"), line(0.9, sha="2", title="Two", nct_id="NCT2")]
    listing = kept(local, trials, [Refusal("x.xml", "EmptyError", "is empty")])
    query = ListQuery(words="two")
    content = export_batch("csv").write(local, listing, query, {})
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["title"] or row["record"] for row in rows] == ["Two", "x.xml"]
    named = {"tiny-0123456789ab": "Mine"}
    page = export_batch("html").write(local, listing, query, named, ["Question: why?"]).decode()
    for words in ("Model: Mine", "Filtered: 1 of 2 trials", "Question: why?", "Is empty."):
        assert words in page
    for kind in EXPORT_NAMES:
        assert export_batch(kind).name == f"forecasts.{kind}"
        assert export_batch(kind).write(local, listing, ListQuery(), {})
