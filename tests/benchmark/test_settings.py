"""What a benchmark can be asked, and how it says no."""

import pytest

from llm4top.benchmark.settings import make_settings
from llm4top.errors import ConfigError


def test_every_fault_is_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        make_settings(data=tmp_path, out=tmp_path, phases=("V",), shots=-1, cutoff="last year")
    text = str(caught.value)
    assert "the benchmark's settings are wrong." in text
    assert len(caught.value.faults) == 3
    assert {fault.partition(":")[0].partition(".")[0] for fault in caught.value.faults} == {
        "phases",
        "shots",
        "cutoff",
    }
    assert text.endswith("See: llm4top benchmark --help")


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"phases": ()}, "phases: name one or more"),
        ({"phases": ("I", "I")}, "phases: I, I names one twice"),
        ({"bases": ("a", "a")}, "bases: a, a names one twice"),
        ({"training": {"seed": 1}}, "training: seed: the benchmark sets this itself"),
    ],
)
def test_settings_that_contradict_each_other(tmp_path, values, fault):
    with pytest.raises(ConfigError) as caught:
        make_settings(data=tmp_path, out=tmp_path, **values)
    assert caught.value.faults == (fault,)
