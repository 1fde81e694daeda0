"""What a customer sees, on each database."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from api_client import Api
from sqlalchemy import Engine

from tasks.task import Change, Task


@pytest.fixture
def api(engine: Engine) -> Iterator[Api]:
    with Api(engine) as api:
        yield api


TASK = {
    "description": "Write to the town council",
    "priority": "high",
    "dates": {"start": "2026-01-05T08:00:00Z", "due": "2026-01-31T17:00:00.123456Z"},
    "is_done": True,
    "categories": ["letters", "Größe ✉"],
    "sub_tasks": [{"description": "find the address", "is_done": True}],
}


def test_a_task_that_was_created_can_be_read(api: Api) -> None:
    response = api.http.post("/tasks", json=TASK)

    task = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/tasks/{task['id']}"
    assert TASK.items() <= task.items()
    assert api.get(response.headers["Location"]) == task


def test_what_is_left_out_has_its_default(api: Api) -> None:
    task = api.create("only this")

    assert (task["priority"], task["is_done"], task["categories"], task["sub_tasks"]) == ("none", False, [], [])
    assert task["dates"] == {"start": None, "due": None}


def test_moments_are_kept_in_utc(api: Api) -> None:
    task = api.create(dates={"due": "2026-07-01T00:30:00+02:00"})

    assert api.get(f"/tasks/{task['id']}")["dates"]["due"] == "2026-06-30T22:30:00Z"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_the_first_and_the_last_moment_can_be_kept(api: Api, moment: str) -> None:
    task = api.create(dates={"due": moment})

    assert api.get(f"/tasks/{task['id']}")["dates"]["due"] == moment


def test_replacing_writes_all_of_it_anew(api: Api) -> None:
    task = api.create("first", priority="high", categories=["a"])

    changed = api.replace(task, description="second")

    assert (changed["description"], changed["priority"], changed["categories"]) == ("second", "none", [])
    assert (changed["version"], changed["created_at"]) == (2, task["created_at"])
    assert api.get(f"/tasks/{task['id']}") == changed


def test_a_deleted_task_is_gone(api: Api) -> None:
    task = api.create()

    answer = api.delete(task)

    assert answer == {"id": task["id"], "version": 2, "change": 2, "task": None}
    for method in ("get", "delete"):
        assert api.http.request(method, f"/tasks/{task['id']}").status_code == 404
    assert api.http.put(f"/tasks/{task['id']}", json={"description": "again"}).status_code == 404


def test_what_was_refused_takes_no_number(api: Api) -> None:
    api.http.delete(f"/tasks/{uuid4()}")

    assert api.create()["change"] == 1


def test_the_list_has_every_task_once_page_by_page(api: Api) -> None:
    tasks = [api.create(f"number {n}") for n in range(7)]
    api.delete(tasks[2])
    api.replace(tasks[0])  # which does not move it

    found: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        page = api.get("/tasks", cursor=cursor, limit=2)
        found += [task["id"] for task in page["tasks"]]
        cursor = page["next"]

    assert found == [task["id"] for task in tasks if task is not tasks[2]]


def test_the_last_page_says_so_even_if_it_is_full(api: Api) -> None:
    for _ in range(4):
        api.create()

    first = api.get("/tasks", limit=2)
    second = api.get("/tasks", limit=2, cursor=first["next"])

    assert (len(second["tasks"]), second["next"]) == (2, None)


def test_the_changes_are_the_latest_of_each_task_in_order(api: Api) -> None:
    kept, changed, deleted = (api.create(text) for text in ("kept", "changed", "deleted"))
    api.delete(deleted)
    changed = api.replace(changed)

    answer = api.get("/tasks/changes")

    changes = [Change.model_validate(change) for change in answer["changes"]]
    assert [change.change for change in changes] == [1, 4, 5]
    assert [change.task for change in changes] == [Task.model_validate(kept), None, Task.model_validate(changed)]
    assert (answer["next"], answer["last"]) == (5, 5)


def test_changes_can_be_read_page_by_page(api: Api) -> None:
    for _ in range(5):
        api.create()

    answers = [api.get("/tasks/changes", after=after, limit=2) for after in (0, 2, 4, 5)]

    assert [[c["change"] for c in answer["changes"]] for answer in answers] == [[1, 2], [3, 4], [5], []]
    assert [answer["next"] for answer in answers] == [2, 4, 5, 5]
    assert {answer["last"] for answer in answers} == {5}


def test_the_next_number_passes_changes_that_were_followed_by_later_ones(api: Api) -> None:
    task = api.create()
    for _ in range(3):
        task = api.replace(task)
    api.delete(task)

    answer = api.get("/tasks/changes", after=0)

    assert ([c["change"] for c in answer["changes"]], answer["next"]) == ([5], 5)


def test_a_matching_version_lets_the_change_in(api: Api) -> None:
    created = api.http.post("/tasks", json={"description": "x"})

    for given in (created.headers["ETag"], "*", '"7", "3"'):
        answer = api.http.put(created.headers["Location"], json={"description": "y"}, headers={"If-Match": given})
        assert answer.status_code == 200, given

    assert answer.headers["ETag"] == '"4"'
    assert api.http.delete(created.headers["Location"], headers={"If-Match": '"4"'}).status_code == 200


@pytest.mark.parametrize("tag", ['"2"', 'W/"1"', "1", "", '""', '"' + "9" * 5000 + '"', '"\u0661"', "'1'"])
@pytest.mark.parametrize("method", ["put", "delete"])
def test_another_version_is_a_conflict_and_changes_nothing(api: Api, method: str, tag: str) -> None:
    task = api.create()

    body = {"description": "y"} if method == "put" else None
    answer = api.http.request(method, f"/tasks/{task['id']}", headers={b"If-Match": tag.encode()}, json=body)

    assert answer.status_code == 409
    assert "is of version 1 now" in answer.json()["detail"]
    assert api.get(f"/tasks/{task['id']}") == task


def test_search_gives_the_index_its_criteria(api: Api) -> None:
    wanted, other = api.create("buy stamps"), api.create("sell stamps")
    api.index.apply([Change.to(Task.model_validate(task)) for task in (wanted, other)])

    found = api.http.post("/search/tasks", json={"text": "buy"}).json()
    everything = api.http.post("/search/tasks", json={"limit": 1}).json()

    assert found == {"total": 1, "tasks": [wanted]}
    assert (everything["total"], len(everything["tasks"])) == (2, 1)


def test_a_search_without_an_index_is_told_so_until_it_is_back(api: Api) -> None:
    api.index.away = True

    answers = [api.http.post("/search/tasks", json={})]
    api.index.away = False
    answers.append(api.http.post("/search/tasks", json={}))

    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[0].json()["detail"] == "the index does not answer"
