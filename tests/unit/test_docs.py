"""The documents say what the code does."""

import json
import re
from collections.abc import Callable

import jsonschema
import pytest
from messages import wire

from lab.bench.figures import Result
from lab.bench.markdown import tables
from lab.bench.picture import svg
from lab.processes import ROOT
from lab.report import data, markdown, picture
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Guarantees
from townpost.schema import documents

README = (ROOT / "README.md").read_text()
SCHEMA = json.loads((ROOT / "docs" / "message.schema.json").read_text())


def _yes(value: bool) -> str:
    return "yes" if value else "no"


ROWS: dict[str, Callable[[Guarantees], str]] = {
    "waits for a listener that is away": lambda g: _yes(g.durable),
    "handed out again after a failure or crash": lambda g: _yes(g.redelivers),
    "who gets a message": lambda g: (
        "every listener" if g.fan_out else "one of each group" if g.groups else "one of them"
    ),
    "in the order it was sent": lambda g: _yes(g.ordered),
    "can be read again": lambda g: _yes(g.replays),
    "takes priorities and delays": lambda g: _yes(g.schedules),
    "can remember ids, so that a second copy is not handled": lambda g: _yes(g.remembers),
}


def test_the_readme_compares_the_patterns_as_they_declare_themselves() -> None:
    lines = ["| | " + " | ".join(f"`{name}`" for name in PATTERNS) + " |", "|---" * (len(PATTERNS) + 1) + "|"]
    for title, cell in ROWS.items():
        lines.append(f"| {title} | " + " | ".join(cell(p.guarantees) for p in PATTERNS.values()) + " |")

    assert "\n".join(lines) in README


def test_every_guarantee_has_a_row() -> None:
    shown_together = 1  # fan_out and groups answer one question
    assert len(ROWS) == len(Guarantees.__dataclass_fields__) - shown_together


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_a_generated_document_is_what_the_model_says(path: object) -> None:
    for file, text in documents().items():
        if file == path:
            assert file.read_text() == text, "run `make schema`"


def test_every_reference_of_the_asyncapi_document_resolves_inside_it() -> None:
    text = (ROOT / "docs" / "asyncapi.json").read_text()
    references = set(re.findall(r'"\$ref": "([^"]*)"', text))
    assert len(references) > len(PATTERNS)

    for reference in references:
        place = json.loads(text)
        start, *steps = reference.split("/")
        assert start == "#"
        for step in steps:
            assert step in place, reference
            place = place[step]


def test_the_examples_of_the_asyncapi_document_are_messages() -> None:
    document = json.loads((ROOT / "docs" / "asyncapi.json").read_text())

    for example in document["components"]["messages"]["message"]["examples"]:
        jsonschema.validate(example["payload"], SCHEMA)
        Message.model_validate_json(json.dumps(example["payload"]))


def test_what_we_write_is_valid_under_the_schema() -> None:
    message = Message.create("hi", epoch="e", priority=3, data={"a": [1, None]})

    jsonschema.validate(json.loads(message.encode()), SCHEMA)


def test_the_message_in_the_readme_can_be_read_and_is_valid() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)

    jsonschema.validate(json.loads(block), SCHEMA)
    Message.model_validate_json(block)


@pytest.mark.parametrize("change", [{"count": "5"}, {"count": 0}, {"priority": 10}, {"data": []}, {"sender": None}])
def test_the_schema_refuses_what_we_refuse(change: dict[str, object]) -> None:
    document = json.loads(wire()) | change

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_every_relative_link_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_matrix_and_its_picture_are_what_the_lab_found() -> None:
    matrix = data.loads((ROOT / "docs" / "data" / "faults.json").read_text())

    assert f"-->\n{markdown.table(matrix)}<!--" in (ROOT / "docs" / "guarantees.md").read_text()
    assert picture.draw(matrix) == (ROOT / "docs" / "data" / "faults.svg").read_text()


def test_the_figures_and_their_picture_are_what_the_bench_found() -> None:
    result = Result.from_json((ROOT / "docs" / "data" / "bench.json").read_text())

    assert f"-->\n{tables(result)}<!--" in (ROOT / "docs" / "performance.md").read_text()
    assert svg(result) == (ROOT / "docs" / "data" / "bench.svg").read_text()
