"""What JSON Schema cannot say: of two moments, the second is not before the first. See schemathesis.toml."""

from typing import Any

import schemathesis
from pydantic import ValidationError

from tasks.index.contract import Range
from tasks.task import Dates


def _contradictory(model: type[Dates | Range], value: object) -> bool:
    try:
        model.model_validate(value)
    except ValidationError as error:
        problems = error.errors()
        return [(problem["loc"], problem["type"]) for problem in problems] == [((), "value_error")]
    return False


def _possible(body: object) -> bool:
    if not isinstance(body, dict):
        return True
    return not (
        _contradictory(Dates, body.get("dates"))
        or any(_contradictory(Range, body.get(name)) for name in ("start", "due"))
    )


@schemathesis.hook
def filter_body(_context: schemathesis.HookContext, body: Any) -> bool:  # noqa: ANN401 - any JSON
    return _possible(body)


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    return _possible(case.body)
