"""Operations on runs: start, watch, stop, resume, retry."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from llm4top.errors import ConfigError
from llm4top.studio.api import schemas
from llm4top.studio.api.errors import responses
from llm4top.workspace.jobs import jobs
from llm4top.workspace.run_states import Run
from llm4top.workspace.runs import Runs

State = Literal["queued", "running", "stopping", "done", "failed", "interrupted"]
Action = Literal["stop", "resume", "retry"]
_LARGEST_EVENT = 2**63 - 1
_ACTIONS = {"stop": Runs.request_stop, "resume": Runs.resume, "retry": Runs.retry}


router = APIRouter(tags=["Runs"])


@router.get("/runs", responses=responses(422, 503))
def list_runs(
    workspace: schemas.OpenWorkspace,
    state: Annotated[State | None, Query(description="Only runs in this state.")] = None,
    limit: schemas.Limit = 100,
    offset: schemas.Offset = 0,
) -> schemas.Page[schemas.RunOut]:
    """Runs, newest first."""
    states = None if state is None else (state,)
    found = workspace.runs.list(states=states, limit=limit, offset=offset)
    total = workspace.runs.count(states=states)
    return schemas.page_of([run_out(run) for run in found], offset, total)


@router.post("/runs", status_code=201, responses=responses(422, 503))
def start_run(
    workspace: schemas.OpenWorkspace, request: schemas.RunIn, response: Response
) -> schemas.RunOut:
    """Queue a run. The error names every invalid setting."""
    try:
        run = jobs.submit(
            workspace, request.kind, request.settings, title=request.title, ids_only=True
        )
    except (TypeError, ValueError, OverflowError) as error:
        wrong = f"the settings of this {request.kind} run are wrong."
        raise ConfigError(wrong, [str(error)]) from error
    workspace.activity.log("run", "API", f"queued a {run.kind} run", subject=run.id)
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    return run_out(run)


@router.get("/runs/{run_id}", responses=responses(404, 422, 503))
def get_run(workspace: schemas.OpenWorkspace, run_id: schemas.ThingId) -> schemas.RunOut:
    """A run and its status."""
    return run_out(workspace.runs.get(run_id))


@router.get("/runs/{run_id}/events", responses=responses(404, 422, 503))
def run_events(
    workspace: schemas.OpenWorkspace,
    run_id: schemas.ThingId,
    after: Annotated[
        int, Query(ge=0, le=_LARGEST_EVENT, description="Only events with a higher id.")
    ] = 0,
    limit: schemas.Limit = 100,
) -> schemas.EventsOut:
    """The events of a run, oldest first."""
    found = workspace.runs.events(run_id, after, limit=limit)
    items = [schemas.EventOut(id=e.id, time=e.time, kind=e.kind, details=e.details) for e in found]
    return schemas.EventsOut(items=items, last=items[-1].id if items else after)


@router.post("/runs/{run_id}/{action}", responses=responses(404, 409, 422, 503))
def change_run(
    workspace: schemas.OpenWorkspace,
    run_id: schemas.ThingId,
    action: Annotated[
        Action,
        Path(
            description="stop: end it and keep its checkpoint. resume: continue from the last "
            "completed step. retry: restart from the beginning."
        ),
    ],
) -> schemas.RunOut:
    """Stop, resume or restart a run."""
    run = _ACTIONS[action](workspace.runs, run_id)
    workspace.activity.log(action, "API", f"{action} of a {run.kind} run", subject=run.id)
    return run_out(run)


def run_out(run: Run) -> schemas.RunOut:
    """A run as the API shows it, with its machine, without its process and folder."""
    return schemas.RunOut(
        **{name: getattr(run, name) for name in schemas.RunOut.model_fields if name != "state"},
        state=run.state.value,
    )
