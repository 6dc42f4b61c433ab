"""Text form: planted malformed texts are found among ordinary sentences."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.text_form import TextForm

STEMS = ("the garden was in flower and the children played", "we have not seen the report that you sent to the office")
SPOILT = (
    "",
    " \t ",
    "404 Not Found",
    "Das ist nicht die Sprache der anderen und wird auch nicht von allen verstanden",
    "no no no no no no no no no no no no no no no no no no no no no no no no",
    "DÃ¼sseldorf liegt am Rhein, KÃ¶ln auch, und MÃ¼nchen nicht",
    "the file was read as \ufffd\ufffd\ufffd and nothing else came of it",
    "<div><p><b><i></i></b></p></div><a href='x'></a><br/><br/>",
    "............................................",
)


@claim(method="text-form", says="finds empty, garbled, foreign, repetitive and machine-made texts, and few others")
def malformed_texts_are_found(budget: Budget) -> Evidence:
    """Nine malformed texts among 1,500 English sentences; the baseline flags lengths beyond 3 standard deviations."""
    recall, false_alarms, by_length = [], [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        words = " ".join(STEMS).split()
        texts = [f"{STEMS[i % 2]} {' '.join(rng.choice(words, rng.integers(3, 12)))}." for i in range(1500)]
        where = np.sort(rng.choice(1500, len(SPOILT), replace=False))
        for row, text in zip(where.tolist(), SPOILT, strict=True):
            texts[row] = text
        data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
        found = TextForm().run(data, Signals(data))
        assert isinstance(found, Findings)
        flagged = found.rows[found.scores >= 0.5]
        recall.append(np.isin(where, flagged).mean())
        false_alarms.append((~np.isin(flagged, where)).sum() / 1500)
        lengths = np.array([len(text) for text in texts])
        odd = np.abs(lengths - lengths.mean()) > 3 * lengths.std()
        by_length.append(odd[where].mean())
    measured = {
        "recall": interval(recall),
        "share of sound texts flagged": interval(false_alarms),
        "recall by length alone": interval(by_length),
    }
    holds = min(recall) >= 0.85 and max(false_alarms) <= 0.01 and min(recall) > max(by_length)
    return Evidence(measured, holds=bool(holds), over=budget.seeds)
