"""From exceptions to problem documents, whoever raised them."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from api import problems
from api.context import REQUEST_ID
from vpcctl.model.problems import NotFound, Problem

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def install(app: FastAPI) -> None:
    """Make *app* answer every exception that it knows with a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)


def _instance(request: Request) -> str:
    return request.scope.get(REQUEST_ID, "")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for that class
    return problems.response(error, instance=_instance(request))


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for that class
    problem = problems.validation(error.errors(), skip=1)
    return problems.response(problem, instance=_instance(request))


async def _on_http(request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for that class
    headers: dict[str, str] = {}
    problem: Problem
    if error.status_code == 404:
        problem = NotFound("there is nothing at this path", accepted="a path of /openapi.json")
    elif error.status_code == 405:
        allowed = ", ".join(_allowed(request.app.routes, request.scope))
        headers["Allow"] = allowed
        problem = problems.MethodNotAllowed("this path has other methods", accepted=allowed)
    else:
        problem = problems.Malformed(str(error.detail))
    return problems.response(problem, instance=_instance(request), headers=headers)


def _allowed(routes: Sequence[BaseRoute], scope: Any) -> list[str]:
    """Return the methods that the path of *scope* has."""
    return [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
