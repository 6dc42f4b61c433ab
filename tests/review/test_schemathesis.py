"""Requests made from the interface's own description: none makes the server fail, and every answer is as described."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from dross.review.app import create_app
from dross.review.desk import Desk
from dross.review.security import Gate, Place
from tests.review.conftest import ROWS, Browser

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

EXAMPLES = 15
"""Requests of each kind to each address."""
CHECKS = [
    getattr(schemathesis.checks, name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
]


@pytest.fixture(scope="module")
def described(audited: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    """An application on a copy of the workspace, and the headers of a session."""
    desk = Desk.open(shutil.copytree(audited, tmp_path_factory.mktemp("described") / ".dross"))
    gate = Gate(Place("127.0.0.1", 8000), "ada")
    app = create_app(desk, gate)
    browser = Browser(app)
    browser.get(gate.address.removeprefix("http://127.0.0.1:8000"))
    name, session = next(iter(browser.cookies.items()))
    yield app, {"Host": browser.host, "Origin": "http://127.0.0.1:8000", "Cookie": f"{name}={session}"}
    desk.close()


def aimed(case: Any) -> None:
    """Turn a made-up issue and row into ones that are there, so that requests get past the first check."""
    for part in (case.path_parameters, case.body):
        if not isinstance(part, dict):
            continue
        if isinstance(part.get("issue"), str):
            part["issue"] = "label"
        if isinstance(part.get("row"), int):
            part["row"] = part["row"] % ROWS
        if isinstance(part.get("rows"), list):
            part["rows"] = [row % ROWS if isinstance(row, int) else row for row in part["rows"]]


def send(operation: Any, mode: str, headers: dict[str, str], statuses: Counter[tuple[str, int]]) -> None:
    """Some requests to one address; raises what the checks find."""
    cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))

    @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(cases, st.booleans())
    def sends(case: Any, aim: bool) -> None:
        if aim:
            aimed(case)
        answer = case.call_and_validate(headers=dict(headers), checks=CHECKS)
        statuses[operation.label, answer.status_code] += 1

    try:
        sends()
    except Unsatisfiable:  # nothing can be wrong with a request that takes any text
        assert mode == "negative"
        statuses[operation.label, 0] += 1


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_makes_it_fail(described: tuple[Any, dict[str, str]], mode: str) -> None:
    app, headers = described
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=dict(headers))
    statuses: Counter[tuple[str, int]] = Counter()
    operations = [result.ok() for result in schema.get_all_operations()]
    if mode == "negative":  # what takes nothing cannot be asked wrongly
        operations = [one for one in operations if [*one.iter_parameters(), *one.body]]
    for operation in operations:
        send(operation, mode, headers, statuses)
    assert len({label for label, _ in statuses}) == len(operations) >= 13
    seen: Counter[int] = Counter()
    for (_, status), count in statuses.items():
        seen[status] += count
    assert not {401, 403} & set(seen), seen  # every request got through the guard
    assert seen[200] > 0, seen
    assert seen[404 if mode == "positive" else 422] > 50, seen
