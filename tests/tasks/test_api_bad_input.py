"""Whatever is sent, the answer is a problem in the one shape, and names the place."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from api_client import Api
from own_postgres import Postgres
from sqlalchemy import Engine

from tasks.api.database import ready
from tasks.settings import TasksSettings


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One for all of them: nothing that is refused leaves a trace."""
    engine = ready(TasksSettings.read(database_url=f"sqlite:///{tmp_path_factory.mktemp('api')}/tasks.db"))
    with Api(engine) as api:
        yield api
    engine.dispose()


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    return problem


BAD = {
    "empty description": ({"description": ""}, "body.description"),
    "too long": ({"description": "x" * 10_001}, "body.description"),
    "no text": ({"description": 5}, "body.description"),
    "NUL": ({"description": "a\x00b"}, "body.description"),
    "no description": ({}, "body.description"),
    "unknown field": ({"description": "x", "colour": "red"}, "body.colour"),
    "unknown priority": ({"description": "x", "priority": "urgent"}, "body.priority"),
    "a number for a truth": ({"description": "x", "is_done": 1}, "body.is_done"),
    "a word for a truth": ({"description": "x", "is_done": "true"}, "body.is_done"),
    "due before start": (
        {"description": "x", "dates": {"start": "2026-01-02T00:00:00Z", "due": "2026-01-01T23:00:00Z"}},
        "body.dates",
    ),
    "no offset": ({"description": "x", "dates": {"due": "2026-01-01T00:00:00"}}, "body.dates.due"),
    "a day": ({"description": "x", "dates": {"due": "2026-01-01"}}, "body.dates.due"),
    "seconds": ({"description": "x", "dates": {"due": 1_700_000_000}}, "body.dates.due"),
    "seconds as text": ({"description": "x", "dates": {"due": "1700000000"}}, "body.dates.due"),
    "before the first moment": ({"description": "x", "dates": {"due": "0001-01-01T00:00:00+01:00"}}, "body.dates.due"),
    "an unknown date": ({"description": "x", "dates": {"end": None}}, "body.dates.end"),
    "an empty category": ({"description": "x", "categories": [""]}, "body.categories.0"),
    "too many categories": ({"description": "x", "categories": ["a"] * 51}, "body.categories"),
    "too many sub-tasks": ({"description": "x", "sub_tasks": [{"description": "y"}] * 101}, "body.sub_tasks"),
    "a list": ([], "body"),
    "null": (None, "body"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_task_is_refused_with_its_place(api: Api, name: str) -> None:
    body, place = BAD[name]

    response = api.http.post("/tasks", content=json.dumps(body), headers={"Content-Type": "application/json"})

    problem = problem_of(response, 422)
    assert place in [error["at"] for error in problem["errors"]]
    assert problem["detail"].startswith(place)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"description": "x"} and more',
        b'{"description": "\xff"}',
        b"[" * 100_000,
        b'{"description": ' + b"9" * 5000 + b"}",
        b'{"description": NaN}',
        b'{"description": "\\ud800"}',
        b'{"\\ud800": 1, "description": "x"}',
    ],
    ids=lambda body: body[:12],
)
def test_what_is_no_json_is_refused(api: Api, body: bytes) -> None:
    response = api.http.post("/tasks", content=body, headers={"Content-Type": "application/json"})

    assert problem_of(response, response.status_code)["status"] in (400, 422)


def test_a_body_of_another_type_is_told_what_to_send(api: Api) -> None:
    response = api.http.post("/tasks", content=b'{"description": "x"}')

    assert "Content-Type: application/json" in problem_of(response, 422)["detail"]


def test_ten_megabytes_are_refused(api: Api) -> None:
    response = api.http.post("/tasks", json={"description": "x" * 10_485_760})

    assert "longer than 1,048,576 bytes" in problem_of(response, 413)["detail"]


def test_ten_megabytes_that_nobody_announced_are_refused(api: Api) -> None:
    chunks = (b"x" * 1_048_576 for _ in range(10))

    response = api.http.post("/tasks", content=chunks, headers={"Content-Type": "application/json"})

    problem_of(response, 413)


def test_who_never_ends_is_cut_off(api: Api) -> None:
    # Given a body that never ends
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'{"description": "'
        while sent < 1_000_000_000:
            sent += 65_536
            yield b"x" * 65_536

    # When it is sent in chunks
    try:
        response = api.http.post("/tasks", content=endless(), headers={"Content-Type": "application/json"})
    except httpx.WriteError:  # the server may hang up while we are still writing
        pass
    else:
        problem_of(response, 413)

    # Then the end comes soon
    assert sent < 50_000_000


@pytest.mark.parametrize("method", ["get", "put", "delete"])
@pytest.mark.parametrize("name", ["1", "nobody", "%00", "../etc", "x" * 5000, "'; DROP TABLE tasks; --"])
def test_an_id_that_is_none_is_not_found(api: Api, method: str, name: str) -> None:
    response = api.http.request(method, f"/tasks/{name}", json=None if method != "put" else {"description": "x"})

    problem_of(response, 404)


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_an_unknown_task_is_not_found(api: Api, method: str) -> None:
    task_id = uuid4()

    response = api.http.request(method, f"/tasks/{task_id}", json=None if method != "put" else {"description": "x"})

    assert str(task_id) in problem_of(response, 404)["detail"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "cursor=-1", f"cursor={2**63}", "cursor=", "page=2"]
)
def test_a_bad_page_is_refused(api: Api, query: str) -> None:
    problem = problem_of(api.http.get(f"/tasks?{query}"), 422)

    assert problem["errors"][0]["at"] == f"query.{query.partition('=')[0]}"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=-1", "since=1"])
def test_bad_changes_are_refused(api: Api, query: str) -> None:
    problem_of(api.http.get(f"/tasks/changes?{query}"), 422)


@pytest.mark.parametrize(
    "criteria",
    [
        {"priority": "urgent"},
        {"is_done": "yes"},
        {"words": "x"},
        {"limit": 0},
        {"limit": True},
        {"offset": 9_901},
        {"text": "\x00"},
        {"text": "x" * 1_001},
        {"due": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}},
    ],
    ids=str,
)
def test_bad_criteria_are_refused(api: Api, criteria: dict[str, object]) -> None:
    problem_of(api.http.post("/search/tasks", json=criteria), 422)


def test_a_thousand_faults_are_told_in_a_short_answer(api: Api) -> None:
    response = api.http.post("/tasks", json={f"field-{n}": "x" * 100 for n in range(1000)})

    assert len(problem_of(response, 422)["errors"]) == 20
    assert len(response.content) < 4000


def test_another_method_is_told_which_there_are(api: Api) -> None:
    answers = [api.http.patch(path) for path in ("/tasks", f"/tasks/{uuid4()}", "/tasks/changes")]

    for answer in answers:
        problem_of(answer, 405)
    assert [answer.headers["Allow"] for answer in answers] == ["GET, POST", "DELETE, GET, PUT", "GET"]


def test_text_that_would_be_dangerous_elsewhere_is_only_text(api: Api) -> None:
    text = "'; DROP TABLE tasks; -- \x1b[31m\u202e %s {} \r\n Ω 🎉"

    task = api.create(text, categories=[text])

    assert api.get(f"/tasks/{task['id']}")["description"] == text


def test_a_database_that_is_away_is_told_and_works_again_when_it_is_back(postgres: Postgres) -> None:
    # Given a task in PostgreSQL
    url = postgres.make_database()
    engine: Engine = ready(TasksSettings.read(database_url=url))
    with Api(engine) as api:
        task = api.create()

        # When PostgreSQL crashes
        postgres.stop()
        away = [api.http.get("/tasks"), api.http.post("/tasks", json={"description": "x"})]
        postgres.start()

        # Then it is told, and forgotten when it is back
        for response in away:
            assert "the database does not answer" in problem_of(response, 503)["detail"]
        assert api.get("/tasks")["tasks"] == [task]
        assert api.create()["change"] == 2
    engine.dispose()
    postgres.drop(url)
