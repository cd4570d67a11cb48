"""Names of a package that are imported when first used, so that importing it costs nothing."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose names come from its modules.

    ``homes`` maps each public name to the module (below ``package``) that defines it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with quick_imports():
            value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import large packages without looking for garbage meanwhile.

    Of what an import makes nearly all stays, and looking through it again and again takes about a
    fifth of the time that torch and transformers need (``benchmarks/start.py``).
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def hush_optional_kernels() -> None:
    """Keep two messages of bitsandbytes off the screen, which tell nobody anything.

    Whatever imports transformers' Trainer imports it where it is installed. On CPUs that compute
    in bfloat16 it then looks for a faster kernel on the network, and says that it found none. In
    8 bits each layer says that it rounds what it reads.
    """
    for name in ("bitsandbytes.backends.cpu.ops", "bitsandbytes.autograd._functions"):
        logger = logging.getLogger(name)
        if _not_about_kernels not in logger.filters:
            logger.addFilter(_not_about_kernels)


def _not_about_kernels(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    return "Failed to load CPU gemm_4bit_forward" not in said and "MatMul8bitLt" not in said
