"""The Studio: the whole pipeline in the browser, on this machine.

Pages only; what they show is worked out in the rooms above. Names are imported when first used:
importing this package loads no web framework.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.studio._app import make_app
    from llm4top.studio._context import StudioContext
    from llm4top.studio._serve import serve

_HOMES = {
    "StudioContext": "_context",
    "make_app": "_app",
    "serve": "_serve",
}

__all__ = ["StudioContext", "make_app", "serve"]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
