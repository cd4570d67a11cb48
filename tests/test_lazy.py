"""Names that are imported when first used."""

import gc

import pytest

from llm4top.lazy import lazy_names, quick_imports


def test_a_name_is_found_in_its_module_and_kept():
    get, names = lazy_names("llm4top", {"LLM4TOPError": "errors"})
    assert get("LLM4TOPError").__module__ == "llm4top.errors"
    assert "LLM4TOPError" in names()
    with pytest.raises(AttributeError, match="module 'llm4top' has no attribute 'nothing'"):
        get("nothing")


def test_garbage_is_collected_again_after_an_import_even_one_that_fails():
    def broken():
        with quick_imports():
            assert not gc.isenabled()
            with quick_imports():
                pass
            assert not gc.isenabled()
            raise ImportError

    assert gc.isenabled()
    with pytest.raises(ImportError):
        broken()
    assert gc.isenabled()


def test_who_has_switched_it_off_keeps_it_off():
    gc.disable()
    try:
        with quick_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
