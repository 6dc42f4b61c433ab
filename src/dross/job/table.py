"""The findings of an assessment as an Arrow table: what is stored, shown and exported."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.calibrate.assessment import Assessment
from dross.core.dataset import Dataset
from dross.core.results import Issue
from dross.core.roles import Role

COLUMNS = ("row", "id", "issue", "score", "flagged", "suggestion", "method", "expected_precision")
"""The columns a user sees, in order; ``row_id`` and the evidence (columns ``evidence_…``) are stored beside them."""


def tabulate(data: Dataset, assessment: Assessment) -> pa.Table:
    """One row per finding, ordered by row position: :data:`COLUMNS`, ``row_id`` (uint64) and the evidence columns."""
    found = assessment.findings
    m = len(found)
    precision = assessment.expected_precision
    columns = {
        "row": pa.array(found.rows),
        "id": data.keys(found.rows),
        "issue": pa.array([str(assessment.issue)] * m, pa.string()).dictionary_encode(),
        "score": pa.array(found.scores),
        "flagged": pa.array(assessment.flagged),
        "suggestion": suggestion_text(data, assessment),
        "method": pa.DictionaryArray.from_arrays(
            pa.array(assessment.method), pa.array(assessment.methods, pa.string())
        ),
        "expected_precision": pa.array(precision, mask=np.isnan(precision)),
        "row_id": pa.array(data.row_ids[found.rows]),
    }
    columns |= {f"evidence_{name}": _column(values) for name, values in found.evidence.items()}
    return pa.table(columns)


def suggestion_text(data: Dataset, assessment: Assessment) -> pa.Array:
    """The suggestions as text: a label's name, a twin's row position, a number; null where there is none."""
    values = assessment.findings.suggestion
    if values is None:
        return pa.nulls(len(assessment.findings), pa.string())
    if values.dtype.kind in "UO":
        return pa.array(values.tolist(), pa.string())
    if np.issubdtype(values.dtype, np.floating):
        return pa.array([None if np.isnan(v) else f"{v:.6g}" for v in values.tolist()], pa.string())
    if assessment.issue in {Issue.LABEL, Issue.CONFLICT} and data.has(Role.LABEL):
        names = pa.array([str(value) for value in data.classes], pa.string())
        return names.take(pa.array(values, mask=values < 0))
    return pa.array(values, mask=values < 0).cast(pa.string())


def _column(values: npt.NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).reshape(len(values) * values.shape[1]))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
