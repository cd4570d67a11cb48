"""The workspace: the user's folder, its database, the runs and their queue.

Names are imported when first used: what needs no database does not wait for one.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.workspace._activity import Activity, ActivityEntry
    from llm4top.workspace._batches import Batch, Batches
    from llm4top.workspace._bundles import Bundles, WorkspaceBundle
    from llm4top.workspace._datasets import Datasets, StoredDataset
    from llm4top.workspace._engine import URL_VARIABLE
    from llm4top.workspace._forecast_request import ForecastProgress, ForecastResult, UploadedFile
    from llm4top.workspace._forecast_service import ForecastService
    from llm4top.workspace._forecasts import Forecasts, StoredForecast
    from llm4top.workspace._parsing import ParsingLimits, Refusal, UploadReader
    from llm4top.workspace._runs import Runs
    from llm4top.workspace._service_limits import ServiceLimits
    from llm4top.workspace._states import KINDS, Process, Run, RunEvent, RunState
    from llm4top.workspace._uploads import Upload, UploadLimits, Uploads
    from llm4top.workspace._workspace import Workspace

_HOMES = {
    "KINDS": "_states",
    "URL_VARIABLE": "_engine",
    "Activity": "_activity",
    "ActivityEntry": "_activity",
    "Batch": "_batches",
    "Batches": "_batches",
    "Bundles": "_bundles",
    "Datasets": "_datasets",
    "ForecastProgress": "_forecast_request",
    "ForecastResult": "_forecast_request",
    "ForecastService": "_forecast_service",
    "Forecasts": "_forecasts",
    "ParsingLimits": "_parsing",
    "Process": "_states",
    "Refusal": "_parsing",
    "Run": "_states",
    "RunEvent": "_states",
    "RunState": "_states",
    "Runs": "_runs",
    "ServiceLimits": "_service_limits",
    "StoredDataset": "_datasets",
    "StoredForecast": "_forecasts",
    "Upload": "_uploads",
    "UploadLimits": "_uploads",
    "UploadReader": "_parsing",
    "UploadedFile": "_forecast_request",
    "Uploads": "_uploads",
    "Workspace": "_workspace",
    "WorkspaceBundle": "_bundles",
}
"""The file that each name comes from."""

__all__ = [
    "KINDS",
    "URL_VARIABLE",
    "Activity",
    "ActivityEntry",
    "Batch",
    "Batches",
    "Bundles",
    "Datasets",
    "ForecastProgress",
    "ForecastResult",
    "ForecastService",
    "Forecasts",
    "ParsingLimits",
    "Process",
    "Refusal",
    "Run",
    "RunEvent",
    "RunState",
    "Runs",
    "ServiceLimits",
    "StoredDataset",
    "StoredForecast",
    "Upload",
    "UploadLimits",
    "UploadReader",
    "UploadedFile",
    "Uploads",
    "Workspace",
    "WorkspaceBundle",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
