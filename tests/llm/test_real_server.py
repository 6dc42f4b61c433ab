"""The whole way against ``transformers serve`` with a model trained here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.llm_annotation import LlmAnnotation
from dross.llm.asking import Models
from dross.llm.transport import Server
from tests.llm.tiny import TEMPLATE, message, train, transformers_serve


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch and transformers
def test_a_model_trained_from_scratch_labels_through_a_real_server(tmp_path: Path) -> None:
    for library in ("torch", "transformers", "fastapi", "uvicorn"):
        pytest.importorskip(library)
    model = tmp_path / "model"
    model.mkdir()
    train(model)
    rng = np.random.default_rng(1)
    rows = [message(rng) for _ in range(60)]
    table = pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    data = Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]})
    with transformers_serve(model) as url:
        server = Server(url, str(model), key_variable="", concurrency=2, timeout=60)
        method = LlmAnnotation(Models(servers=(server,)), classes=("ham", "spam"), templates=(TEMPLATE,))
        found = method.run(data, Signals(data, tmp_path / "store"))
        assert isinstance(found, Labels)
    assert found.summary["measured"]["accuracy"] > 0.9
    assert found.summary["requests_sent"] >= len(set(table["text"].to_pylist()))
    again = method.run(data, Signals(data, tmp_path / "store"))  # the server is gone; what it said is kept
    assert isinstance(again, Labels)
    assert np.array_equal(again.probs, found.probs)
    assert again.summary["requests_sent"] == 0
