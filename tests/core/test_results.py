from __future__ import annotations

import numpy as np
import pytest

from dross.core.errors import DrossError, MissingExtra
from dross.core.results import Findings, Issue


def found(rows: list[int], scores: list[float], **more: object) -> Findings:
    return Findings(Issue.LABEL, np.array(rows, np.int64), np.array(scores, np.float32), **more)  # type: ignore[arg-type]


def test_findings_refuse_what_breaks_their_contract() -> None:
    with pytest.raises(DrossError, match="ascending"):
        found([2, 1], [0.1, 0.2])
    with pytest.raises(DrossError, match="ascending"):
        found([1, 1], [0.1, 0.2])
    with pytest.raises(DrossError, match=r"\[0, 1\]"):
        found([1], [1.5])
    with pytest.raises(DrossError, match=r"\[0, 1\]"):
        found([1], [float("nan")])
    with pytest.raises(DrossError, match="suggestion has 2 entries for 1 rows"):
        found([1], [0.5], suggestion=np.array([1, 2]))
    assert len(Findings.none(Issue.DRIFT, p=0.5)) == 0


def test_every_issue_has_a_meaning() -> None:
    assert all(issue.meaning for issue in Issue)


def test_missing_extras_say_how_to_get_them() -> None:
    assert 'pip install "dross[images]"' in str(MissingExtra.of("PIL", "images"))
