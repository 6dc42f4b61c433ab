"""Perplexity: what is kept by a limit and by a share, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.core.step import Rows
from dross.curate.perplexity import Perplexity
from dross.testing import check_method


def test_contract() -> None:
    check_method(Perplexity)


def test_limits_and_shares(tmp_path: Path) -> None:
    good = [
        f"the {a} sat on the {b} and looked at the sea" for a in ("cat", "dog", "hen") for b in ("mat", "hill", "roof")
    ]
    (tmp_path / "ref.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in good))
    bad = [" ".join(good[i].split()[::-1]) for i in range(9)]
    rows = Rows(pa.table({"text": [*good, *bad, ""]}), "text")
    step = Perplexity(reference=(str(tmp_path / "ref.jsonl"),), share=0.45)
    step.prepare(tmp_path)
    step.learn(rows, tmp_path)
    verdict = step.judge(rows, step.ready(tmp_path))
    assert verdict.kept[:9].all()
    assert not verdict.kept[9:18].any()
    value = verdict.value
    assert value is not None
    limit = Perplexity(
        reference=step.reference, most=float(value[9:18].min()) - 1, least=float(np.nanmax(value)) * 0 + 1
    )
    limit.learn(rows, tmp_path)
    assert np.array_equal(limit.judge(rows, limit.ready(tmp_path)).kept[:18], verdict.kept[:18])


def test_relative_perplexity_looks_at_the_order_of_words_and_not_at_how_rare_they_are(tmp_path: Path) -> None:
    often = ["the cat sat on the mat", "the dog sat on the mat"] * 20
    (tmp_path / "ref.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in [*often, "zebras graze idly"]))
    rows = Rows(
        pa.table({"text": pa.array(["zebras graze idly", "mat the on sat cat the"], pa.large_string())}), "text"
    )
    told = {}
    for relative in (False, True):
        place = tmp_path / str(relative)
        place.mkdir()
        step = Perplexity(reference=(str(tmp_path / "ref.jsonl"),), most=1.0, relative=relative)
        step.prepare(place)
        step.learn(rows, place)
        verdict = step.judge(rows, step.ready(place))
        told[relative] = verdict.kept.tolist()
    assert told == {False: [False, False], True: [True, False]}


def test_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(DrossError, match="names no file"):
        Perplexity().prepare(tmp_path)
    with pytest.raises(DrossError, match="share is 2"):
        Perplexity(share=2.0)
