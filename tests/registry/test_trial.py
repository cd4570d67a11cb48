import copy
import dataclasses
import pickle

import pytest

from llm4top.registry.limits import Limits
from llm4top.registry.xml_record import read_xml
from tests.registry.builders import xml


def record():
    return read_xml(xml("  <why_stopped>Slow</why_stopped>\n"), "a.xml", None, Limits())


def test_copies_of_a_record_hold_its_account_in_words():
    for made in (pickle.loads(pickle.dumps(record())), copy.copy(record())):
        assert made == record()
        assert {w.field for w in made.withheld} == {"id_info/nct_id", "why_stopped"}
    assert dataclasses.replace(record(), nct_id=None).withheld == record().withheld
    assert "Slow" in repr(record())


def test_a_record_has_no_other_attributes():
    with pytest.raises(AttributeError, match="a record has no label"):
        _ = record().label
