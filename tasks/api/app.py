"""The REST API: what each route takes and answers. The document is at /openapi.json, and to be read at /docs."""

from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Body, FastAPI, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from tasks.api.limited import Limited
from tasks.api.observed import Observed
from tasks.api.outbox import Waiting
from tasks.api.problems import answer_with_problems, answers, in_document
from tasks.api.search import Search
from tasks.api.store import Store
from tasks.index.contract import Criteria
from tasks.task import LARGEST_EVENT_BYTES, Change, Task, TaskIn

__all__ = ["make"]

_LARGEST_NUMBER = 2**63 - 1
_ONE_TASK = "/tasks/{task_id:uuid}"
_EXAMPLE = {
    "description": "Write to the town council",
    "priority": "high",
    "dates": {"start": "2026-01-05T08:00:00Z", "due": "2026-01-31T17:00:00Z"},
    "categories": ["letters"],
    "sub_tasks": [{"description": "find the address", "is_done": True}],
}


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Page(_Closed):
    cursor: Annotated[int, Field(ge=0, le=_LARGEST_NUMBER, description="As `next` of the page before says it")] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class Since(_Closed):
    after: Annotated[int, Field(ge=0, le=_LARGEST_NUMBER, description="The last change that is known")] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


class TaskList(BaseModel):
    tasks: list[Task]
    next: Annotated[int | None, Field(description="The next page's cursor; null: this is the last")]


class ChangeList(BaseModel):
    changes: Annotated[list[Change], Field(description="The latest state of each task; without a task: deleted")]
    next: Annotated[int, Field(description="Ask for what comes after it: up to here nothing is missing")]
    last: Annotated[int, Field(description="The newest change there is; `next` reaches it with the last page")]


class HitList(BaseModel):
    total: Annotated[int, Field(description="Of all that match")]
    tasks: list[Task]


class Events(BaseModel):
    """Those that Redis has not acknowledged yet."""

    pending: int
    oldest_seconds: float


class Health(BaseModel):
    status: Literal["ok", "events wait"]
    events: Events


_Page = Annotated[Page, Query()]
_Since = Annotated[Since, Query()]
_Given = Annotated[TaskIn, Body(openapi_examples={"letter": {"value": _EXAMPLE}})]
_Match = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='The version it must have, as ETag gave it, e.g. `"3"`; several separated by commas; `*` is any. '
        "Another version: 409. Without this header the last write wins.",
    ),
]
_ETAG = {"ETag": {"description": "The task's version, for If-Match", "schema": {"type": "string"}}}
_TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": _ETAG}}
_MADE: dict[int | str, dict[str, Any]] = {
    201: {"headers": _ETAG | {"Location": {"description": "The task's path", "schema": {"type": "string"}}}}
}
_BODY = (400, 413, 422, 503)
_WAITS_SECONDS = 10.0
_DIGITS = 18
"""A number of no more digits fits into 64 bits."""


def make(store: Store, search: Search, waiting: Callable[[], Waiting]) -> FastAPI:
    """The application; handlers run in threads, as the database's drivers wait."""
    app = FastAPI(
        title="Townpost tasks",
        version="1.0.0",
        description="Every change of a task is published as an event; a search index follows these events, a moment "
        "behind. Errors are `application/problem+json`.",
        openapi_url="/openapi.json",
        redoc_url=None,
        telemetry={"metrics": False, "logs": False, "operation_spans": False},  # a span for each request
    )
    answer_with_problems(app)
    app.add_middleware(Limited, most_bytes=LARGEST_EVENT_BYTES)
    app.add_middleware(Observed)

    @app.post("/tasks", status_code=201, responses=_MADE | answers(*_BODY), tags=["tasks"])
    def create_task(given: _Given, response: Response) -> Task:
        """Published as `tasks.event.created`."""
        task = store.create(given)
        response.headers["Location"] = f"/tasks/{task.id}"
        return _tagged(task, response)

    @app.get("/tasks", responses=answers(422, 503), tags=["tasks"])
    def list_tasks(page: _Page) -> TaskList:
        """Oldest creation first."""
        found = store.list(page.cursor, page.limit)
        return TaskList(tasks=list(found.tasks), next=found.next)

    @app.get("/tasks/changes", responses=answers(422, 503), tags=["tasks"])
    def list_changes(since: _Since) -> ChangeList:
        """What an index needs to heal: everything that has changed since, deletions included."""
        found = store.changes(since.after, since.limit)
        return ChangeList(changes=list(found.changes), next=found.next, last=found.last)

    @app.get(_ONE_TASK, responses=_TAGGED | answers(404, 503), tags=["tasks"])
    def get_task(task_id: UUID, response: Response) -> Task:
        return _tagged(store.get(task_id), response)

    @app.put(_ONE_TASK, responses=_TAGGED | answers(404, 409, *_BODY), tags=["tasks"])
    def replace_task(task_id: UUID, given: _Given, response: Response, if_match: _Match = None) -> Task:
        """What is left out gets its default. Published as `tasks.event.updated`."""
        return _tagged(store.replace(task_id, given, _versions(if_match)), response)

    @app.delete(_ONE_TASK, responses=answers(404, 409, 503), tags=["tasks"])
    def delete_task(task_id: UUID, if_match: _Match = None) -> Change:
        """Published as `tasks.event.deleted`."""
        return store.delete(task_id, _versions(if_match))

    @app.post("/search/tasks", responses=answers(*_BODY), tags=["search"])
    def search_tasks(criteria: Criteria) -> HitList:
        """All criteria must hold; without any, every task is found."""
        hits = search.find(criteria)
        return HitList(total=hits.total, tasks=list(hits.tasks))

    @app.get("/healthz", responses=answers(503), tags=["operation"])
    def tell_health() -> Health:
        """200 while requests can be served, with or without Redis; the answer says what waits for Redis."""
        now = waiting()
        late = now.oldest_seconds > _WAITS_SECONDS
        events = Events(pending=now.count, oldest_seconds=round(now.oldest_seconds, 1))
        return Health(status="events wait" if late else "ok", events=events)

    document = in_document(app.openapi())
    app.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


def _tagged(task: Task, response: Response) -> Task:
    response.headers["ETag"] = f'"{task.version}"'
    return task


def _versions(if_match: str | None) -> Collection[int] | None:
    """The versions that If-Match allows; None for any. A tag that was never ours allows none."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (tag.strip() for tag in if_match.split(","))
    numbers = (tag[1:-1] for tag in tags if tag.startswith('"') and tag.endswith('"'))
    return {int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) <= _DIGITS}
