"""Answers every error as `application/problem+json` (RFC 9457), and describes that in the OpenAPI document."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from tasks.api.database import DatabaseUnavailableError
from tasks.api.store import ConflictError, NoTaskError
from tasks.index.contract import IndexUnavailableError
from townpost import TownpostError, printable

__all__ = ["Problem", "answer_with_problems", "answers", "in_document", "response"]

_MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 20
_STATUS: Mapping[type[TownpostError], HTTPStatus] = {
    NoTaskError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    DatabaseUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    IndexUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
_MEANING = {
    400: "The body is no JSON in UTF-8",
    404: "There is no such task",
    409: "The task is of another version than If-Match says",
    413: "The body is too long",
    422: "Something given cannot be used",
    503: "A server that is needed does not answer: try again later",
}


class Place(BaseModel):
    at: Annotated[str, Field(description="Where, e.g. body.dates.due")]
    problem: str


class Problem(BaseModel):
    """RFC 9457. What `type` would say, `status` says."""

    title: str
    status: int
    detail: str
    errors: Annotated[list[Place], Field(description=f"One for each place, up to {_MOST_ERRORS}")] = []


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses` of a route: the problems it may answer with."""
    return {status: {"model": Problem, "description": _MEANING[status]} for status in sorted(statuses)}


def response(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: list[Place] | None = None
) -> JSONResponse:
    """The answer that tells of a problem."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or [])
    return JSONResponse(problem.model_dump(), status, headers, _MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Every error of every route comes out as a problem."""

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
        places = [_place(each) for each in error.errors()[:_MOST_ERRORS]]
        if isinstance(error.body, bytes):  # FastAPI has not read it
            return response(422, "body: it is to be JSON, with Content-Type: application/json", errors=places)
        return response(422, f"{places[0].at}: {places[0].problem}", errors=places)

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        detail = str(error.detail)
        if error.status_code == HTTPStatus.NOT_FOUND:
            detail = f"there is nothing at {printable(request.url.path)}: /docs tells what there is"
        headers = error.headers
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # Starlette names those of one route, not of the path
            headers = {"Allow": ", ".join(sorted(_methods(request)))}
        return response(error.status_code, detail, headers)

    async def known(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, TownpostError)  # noqa: S101 - registered for it
        status = _STATUS[type(error)]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            logging.getLogger("townpost.api").error("%s %s: %s", request.method, request.url.path, error)
        return response(status, str(error))

    async def unknown(_request: Request, _error: Exception) -> JSONResponse:
        return response(500, "this is a bug in Townpost; its log has the traceback")

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)
    for kind in _STATUS:
        app.add_exception_handler(kind, known)
    app.add_exception_handler(Exception, unknown)


def in_document(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document, where FastAPI would describe errors of its own."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= HTTPStatus.BAD_REQUEST:
                    response["description"] = _MEANING[int(status)]
                    response["content"] = {_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _methods(request: Request) -> set[str]:
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    return {
        method
        for route in routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def _place(error: Mapping[str, Any]) -> Place:
    # the path may hold names from the body, even such as are no text
    return Place(
        at=printable(".".join(map(str, error["loc"])))[:200],
        problem=printable(error["msg"].removeprefix("Value error, "))[:500],
    )
