"""Drafts are kept as they are, changed, listed and deleted for good."""

from __future__ import annotations

import pytest

from llm4top.errors import NotFoundError
from llm4top.registry.draft import Draft
from llm4top.registry.trial import Trial

TRIAL = Trial(brief_title="Exemplamab in asthma", phase="Phase 2", conditions=("Asthma",))


def test_a_draft_is_kept_and_changed(workspace):
    kept = workspace.drafts.add(Draft.of(TRIAL))
    assert kept.name == "Exemplamab in asthma"
    assert workspace.drafts.get(kept.id) == kept
    assert kept.draft.trial == TRIAL
    changed = workspace.drafts.change(kept.id, kept.draft.with_texts({"phase": ""}))
    assert changed.changed > kept.changed
    assert workspace.drafts.get(kept.id).draft.trial.phase is None


def test_an_empty_draft_is_kept(workspace):
    kept = workspace.drafts.add(Draft.of(Trial()))
    assert (kept.name, kept.draft.trial) == ("Draft", Trial())


def test_the_one_changed_last_comes_first(workspace):
    first, second = (workspace.drafts.add(Draft.of(TRIAL)) for _ in range(2))
    workspace.drafts.change(first.id, first.draft)
    assert [item.id for item in workspace.drafts.list()] == [first.id, second.id]
    assert workspace.drafts.count() == 2


def test_a_deleted_draft_is_gone(workspace):
    kept = workspace.drafts.add(Draft.of(TRIAL))
    workspace.drafts.delete(kept.id)
    for act in (workspace.drafts.get, workspace.drafts.delete):
        with pytest.raises(NotFoundError, match="there is no draft"):
            act(kept.id)
