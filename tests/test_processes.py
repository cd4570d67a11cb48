"""Which of ``torchrun``'s processes this one is."""

import platform

from llm4top.processes import (
    is_main_process,
    process_count,
    process_rank,
    this_process,
    was_restarted,
)


def test_a_process_knows_its_place_by_the_environment_that_torchrun_sets(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert (process_count(), process_rank(), is_main_process()) == (1, 0, True)
    assert this_process() == ""
    assert not was_restarted()
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert (process_count(), process_rank(), is_main_process()) == (8, 3, False)
    assert this_process() == f"process 3 of 8 on {platform.node()}"
    assert was_restarted()
