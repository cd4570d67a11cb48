"""Rows of terms are those of scikit-learn's vectorisers."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from llm4top.errors import BundleError
from llm4top.forecasters.baselines.features import all_text, new_vectoriser
from llm4top.forecasters.baselines.terms import Terms
from llm4top.registry.reader import read_records

LEARNT = [
    "Adults with asthma, FEV1 of 60 % or more; no beta-agonists: no BETA-agonists",
    "Größe über 1.50 m, naïve to β-agonists\n- age 18 to 65\n\n- ECOG 0 or 1",
    "phase_phase_1_phase_2 icd_J45_9 placebo placebo",
]
ASKED = [*LEARNT, "", "a b c", "nothing that was learnt", "asthma asthma ASTHMA with asthma of 60"]
KINDS: dict[str, Any] = {
    "weights": lambda: new_vectoriser(len(LEARNT), min_count=1, most=1000),
    "presence": lambda: CountVectorizer(binary=True, dtype=np.uint8),
    "presence of pairs": lambda: CountVectorizer(binary=True, ngram_range=(1, 2)),
}


def check(vectoriser: CountVectorizer, learnt: list[str], asked: list[str]) -> Terms:
    vectoriser.fit(learnt)
    terms = Terms.of(vectoriser)
    found, expected = terms.transform(asked), vectoriser.transform(asked).tocsr()
    assert found.shape == expected.shape
    assert np.array_equal(found.columns, expected.indices)
    assert np.array_equal(found.starts, expected.indptr)
    np.testing.assert_allclose(found.values, expected.data, rtol=0, atol=1e-12)
    dense = np.random.default_rng(0).normal(size=(len(terms.terms), 3))
    np.testing.assert_allclose(found @ dense, expected @ dense, rtol=0, atol=1e-9)
    return terms


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_scikit_learn(kind: str) -> None:
    terms = check(KINDS[kind](), LEARNT, ASKED)
    rows = terms.transform(ASKED)
    assert np.array_equal(rows.toarray(), rows.tocsr().toarray())
    assert np.array_equal(rows[2:5].toarray(), rows.toarray()[2:5])
    assert rows[:0].shape == (0, len(terms.terms)) == terms.transform([]).shape
    again = Terms.checked(terms.terms, terms.weights, pairs=terms.pairs)
    assert np.array_equal(again.transform(ASKED).toarray(), rows.toarray())


@pytest.mark.slow
def test_rows_of_real_records_are_those_of_scikit_learn(test_data: Path) -> None:
    sample = test_data / "registry" / "AllPublicXML-sample.zip"
    texts = [all_text(record.trial) for record in islice(read_records(sample), 200)]
    check(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), texts[:100], texts)


def test_a_row_does_not_depend_on_the_others() -> None:
    vectoriser = new_vectoriser(len(LEARNT), min_count=1, most=1000).fit(LEARNT)
    terms, dense = Terms.of(vectoriser), np.random.default_rng(0).normal(size=(60, 2))
    dense = np.resize(dense, (len(terms.terms), 2))
    together = terms.transform(ASKED) @ dense
    alone = [(terms.transform([text]) @ dense)[0] for text in ASKED]
    assert np.array_equal(together, np.array(alone))


@pytest.mark.parametrize(
    ("terms", "weights", "problem"),
    [
        ([], None, "holds terms that are not different words"),
        (["a", "a"], None, "holds terms that are not different words"),
        (["ab", "ab"], np.ones(2), "holds terms that do not fit their weights"),
        (["ab", "cd"], np.ones(3), "holds terms that do not fit their weights"),
    ],
)
def test_terms_that_do_not_fit_are_refused(terms: list[str], weights: Any, problem: str) -> None:
    with pytest.raises(BundleError, match=problem):
        Terms.checked(terms, weights, pairs=True)
