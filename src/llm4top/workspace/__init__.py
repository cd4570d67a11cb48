"""The workspace: the user's folder, its database, the runs and their queue.

Names are imported when first used: what needs no database does not wait for one.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.workspace._engine import URL_VARIABLE
    from llm4top.workspace._runs import Runs
    from llm4top.workspace._states import KINDS, Process, Run, RunEvent, RunState
    from llm4top.workspace._workspace import Workspace

_HOMES = {
    "KINDS": "_states",
    "URL_VARIABLE": "_engine",
    "Process": "_states",
    "Run": "_states",
    "RunEvent": "_states",
    "RunState": "_states",
    "Runs": "_runs",
    "Workspace": "_workspace",
}
"""The file that each name comes from."""

__all__ = [
    "KINDS",
    "URL_VARIABLE",
    "Process",
    "Run",
    "RunEvent",
    "RunState",
    "Runs",
    "Workspace",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
