"""Runs in MLflow: where they are kept, and how they are written. mlflow is imported when used."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from llm4top import __version__
from llm4top.errors import MissingExtraError, TrackingError
from llm4top.files import locked
from llm4top.forecasters.model.completion_server import is_this_machine
from llm4top.paths import home_folder

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

URI_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT = "llm4top"
"""The experiment of all runs, where MLFLOW_EXPERIMENT_NAME names no other."""

_FORM = "Give mlflow, or mlflow:URI with a folder, sqlite:///FILE or http(s)://HOST:PORT."
_SETTINGS = {
    # A server that is away is asked again later; the work must not wait for it.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
}
_NO_ANSWER = re.compile(r"API request to .+ failed with exception")
"""How MLflow begins the errors of a server that is away."""
_QUIET = ("mlflow", "alembic", "urllib3.connectionpool")
# MLflow's limits: of one request, and of one value.
_MOST_METRICS, _MOST_AT_ONCE = 1000, 100
_LONGEST_PARAM, _LONGEST_TAG, _LONGEST_DIGEST = 6000, 5000, 36

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, slots=True)
class MlflowTarget:
    """Where runs are logged: MLflow's tracking URI, and the server's host where it is one.

    ``folder`` holds the store of this machine that nobody had to name.
    """

    uri: str
    host: str | None = None
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str, *, allow_remote: bool = False) -> Self:
        """The target of ``--log-to``: "mlflow" or "mlflow:URI".

        Without a URI it is that of MLFLOW_TRACKING_URI, or SQLite in the home folder.

        Raises:
            TrackingError: It is none of these, or a server on another machine that was not allowed.
            MissingExtraError: mlflow is not installed.
        """
        word, colon, uri = text.partition(":")
        if word != "mlflow" or (colon and not uri):
            raise TrackingError(f"{text!r:.100} is no place to log to.", hint=_FORM)
        if find_spec("mlflow") is None:
            raise MissingExtraError(
                "MLflow needs a package that is not installed.",
                hint='Install it with: pip install "llm4top[mlflow]"',
            )
        uri = uri or os.environ.get(URI_VARIABLE, "").strip()
        if not uri:
            folder = home_folder() / "mlflow"
            return cls(f"sqlite:///{(folder / 'mlflow.db').absolute()}", folder=folder)
        found = cls(*_checked(uri))
        if not found.is_local and not allow_remote:
            raise TrackingError(
                f"{found.host} is another machine. {found.privacy}",
                where=found.uri,
                hint="If that is what you want, add --allow-remote.",
            )
        return found

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine."""
        return self.host is None or is_this_machine(self.host)

    @property
    def privacy(self) -> str:
        """What whoever logs to another machine must have read."""
        return (
            f"Settings, figures and the names of runs, models and data sets leave this machine: "
            f"they are sent to {self.host}. No record's text and no path is among them."
        )


def _checked(uri: str) -> tuple[str, str | None]:
    """The URI and its host; ``TrackingError`` where LLM4TOP does not log there."""
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise TrackingError("the address of MLflow is not a URL.", hint=_FORM) from None
    if parts.scheme in ("http", "https") and host:
        if parts.username is not None or parts.password is not None:
            # Addresses are printed and stored.
            raise TrackingError(
                "MLflow's address must not have a user or a password.",
                where=host,
                hint="Put them into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or a "
                "token into MLFLOW_TRACKING_TOKEN.",
            )
        return uri.rstrip("/"), host
    is_file = parts.scheme == "file" and not parts.netloc
    plain = not parts.scheme and uri != "databricks"
    if is_file or plain:
        path = parts.path if is_file else uri
        return Path(path).expanduser().absolute().as_uri(), None
    if parts.scheme == "sqlite" and parts.path.strip("/"):  # without a file it is in memory
        return uri, None
    raise TrackingError(f"{uri.partition('@')[2] or uri:.100} is no place to log to.", hint=_FORM)


def open_client(target: MlflowTarget) -> MlflowClient:
    """MLflow's client, with its telemetry, retries and chatter off; raises what MLflow raises."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if target.uri.startswith("file:"):
        # Newer versions of MLflow keep folders only for those who ask for them, as it was here.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    if target.host is not None and target.is_local:
        # No proxy may carry to another machine what is for this one.
        around = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
        os.environ["NO_PROXY"] = ",".join(filter(None, (around, target.host)))
    from mlflow.tracking import MlflowClient

    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    if target.folder is not None:
        target.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two processes must not make the tables of one new store.
    with locked(target.folder / ".lock") if target.folder else nullcontext():
        return MlflowClient(tracking_uri=target.uri)


def _experiment(client: MlflowClient, target: MlflowTarget) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    with locked(target.folder / ".lock") if target.folder else nullcontext():
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # SQLite says nothing of where files go; MLflow would put them into the current folder.
        place = (target.folder / "artifacts").absolute().as_uri() if target.folder else None
        return str(client.create_experiment(name, artifact_location=place))


class MlflowRun:
    """One run in MLflow, new or continued. Every method raises what MLflow raises."""

    def __init__(self, client: MlflowClient, run_id: str):
        self.client = client
        self.run_id = run_id

    @classmethod
    def begin(
        cls,
        client: MlflowClient,
        target: MlflowTarget,
        name: str,
        *,
        command: str,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        data: tuple[str, str] | None = None,
        parent: MlflowRun | None = None,
    ) -> Self:
        """Make a run.

        Args:
            client: From ``open_client``.
            target: Where the client writes.
            name: The run's name.
            command: What makes it: "train".
            params: Settings; they can never change.
            tags: What else is known about it.
            data: The name and the sha256 of the data set.
            parent: The run that it is part of.
        """
        known = {
            "mlflow.source.name": f"llm4top {command}",
            "mlflow.source.type": "LOCAL",
            "llm4top.version": __version__,
            **({"mlflow.parentRunId": parent.run_id} if parent else {}),
            **({"llm4top.data_sha256": data[1]} if data else {}),
            **(tags or {}),
        }
        made = client.create_run(_experiment(client, target), tags=known, run_name=name)
        run = cls(client, made.info.run_id)
        if data is not None:
            run._add_data(*data)
        run.log(params=params or {})
        return run

    def log(
        self,
        *,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add figures that belong to no step, settings and tags."""
        now = int(time.time() * 1000)
        self.log_points([(name, value, now, 0) for name, value in (metrics or {}).items()])
        from mlflow.entities import Param, RunTag

        every = [Param(_key(n), str(v)[:_LONGEST_PARAM]) for n, v in (params or {}).items()]
        for part in _parts(every, _MOST_AT_ONCE):
            self.client.log_batch(self.run_id, params=part)
        marks = [RunTag(_key(n), str(v)[:_LONGEST_TAG]) for n, v in (tags or {}).items()]
        for part in _parts(marks, _MOST_AT_ONCE):
            self.client.log_batch(self.run_id, tags=part)

    def log_points(self, points: list[tuple[str, float, int, int]]) -> None:
        """Add figures, each with its name, value, time (milliseconds since 1970) and step."""
        from mlflow.entities import Metric

        every = [Metric(_key(name), float(value), when, step) for name, value, when, step in points]
        for part in _parts(every, _MOST_METRICS):
            self.client.log_batch(self.run_id, metrics=part)

    def end(self, status: Status) -> None:
        """Set the run's status; "RUNNING" takes it up again."""
        # set_terminated would print the run's address to standard output.
        self.client.update_run(self.run_id, status=status)

    def _add_data(self, name: str, sha256: str) -> None:
        from mlflow.entities import Dataset, DatasetInput

        data = Dataset(name[:500], sha256[:_LONGEST_DIGEST], "llm4top", f"sha256 {sha256}")
        self.client.log_inputs(self.run_id, datasets=[DatasetInput(data, [])])


def slug(text: str) -> str:
    """A part of a metric's name: "this model, calibrated" gives "this-model-calibrated"."""
    return re.sub(r"[^\w.]+", "-", text, flags=re.ASCII).strip("-.").lower() or "unnamed"


def figure_metrics(
    prefix: str, figures: Mapping[str, Mapping[str, float | None]]
) -> dict[str, float]:
    """``{"PREFIX/NAME": value, "PREFIX/NAME_lower": ..., "PREFIX/NAME_upper": ...}``.

    ``figures`` maps a name to "value", "lower" and "upper"; what is None is left out.
    """
    ends = {"value": "", "lower": "_lower", "upper": "_upper"}
    return {
        f"{prefix}/{slug(name)}{end}": value
        for name, figure in figures.items()
        for bound, end in ends.items()
        if (value := figure.get(bound)) is not None
    }


def _key(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w.\- /]", "-", name, flags=re.ASCII).strip("/")[:250]


def _parts(values: list[Any], size: int) -> Iterator[list[Any]]:
    for first in range(0, len(values), size):
        yield values[first : first + size]


@contextmanager
def unless_it_fails() -> Iterator[list[str]]:
    """Run a block that must end no work: any error of it becomes one line in the list."""
    from llm4top.text import one_line

    problems: list[str] = []
    try:
        yield problems
    except Exception as error:  # MLflow, SQLAlchemy, requests: each has its own
        words = one_line(str(error), 200) or type(error).__name__
        problems.append("it gives no answer" if _NO_ANSWER.match(words) else words.rstrip("."))
