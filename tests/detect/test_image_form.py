from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.claims.detect.image_form import scenes
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.image_form import REASONS, ImageForm, form_scores, tail
from dross.signals.image_statistics import measure
from dross.testing import check_method

SOUND = scenes(60, np.random.default_rng(0))


def reason(odd: np.ndarray | None) -> str | None:
    scores = form_scores(np.array([measure(p) for p in [*SOUND, odd]], np.float32))
    assert (scores[:-1] < 0.5).all(), "a sound picture is flagged"
    return REASONS[scores[-1].argmax()] if scores[-1].max() >= 0.5 else None


def test_contract() -> None:
    check_method(ImageForm)


def test_what_is_wrong_with_a_picture() -> None:
    sound = scenes(1, np.random.default_rng(9))[0]
    assert reason(sound) is None
    assert reason(None) == "does not decode"
    assert reason(np.full((48, 48), 99, np.uint8)) == "is blank"
    assert reason((sound // 12).astype(np.uint8)) == "is dark"
    assert reason((255 - sound // 14).astype(np.uint8)) == "is very bright"
    assert reason(np.tile(sound, (1, 20))) == "has an odd shape"
    assert reason(np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)) == "is noise"


def test_dark_pictures_among_dark_ones_are_usual() -> None:
    dark = [(p // 12).astype(np.uint8) for p in SOUND]
    assert (form_scores(np.array([measure(p) for p in dark], np.float32)) < 0.5).all()


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.booleans())
def test_tail_is_a_score_and_spares_the_middle(values: list[float], low: bool) -> None:
    scores = tail(np.array(values), low=low, span=1.0)
    assert ((scores >= 0) & (scores < 1)).all()
    assert scores[np.argsort(values)[(len(values) - 1) // 2]] < 0.5 or len(values) < 3


def test_nothing_decodes() -> None:
    scores = form_scores(np.zeros((3, 9), np.float32))
    assert scores[:, 0].tolist() == [1, 1, 1]


def test_rows_are_named() -> None:
    pytest.importorskip("PIL")
    from dross.testing.demo import png

    cells = [png(p) for p in SOUND[:30]] + [b"broken"]
    data = Dataset(pa.table({"image": pa.array(cells, pa.binary())}), {Role.IMAGE: ["image"]})
    found = ImageForm().run(data, Signals(data))
    assert isinstance(found, Findings)
    flagged = found.scores >= 0.5
    assert found.rows[flagged].tolist() == [30]
    assert found.evidence["reason"][flagged].tolist() == ["does not decode"]
