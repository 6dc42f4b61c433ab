"""Datasets some of whose labels are hidden, so that no model learns from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.roles import Role


def without_labels(data: Dataset, gone: npt.NDArray[np.bool_]) -> Dataset:
    """The same rows and ids; the labels of the rows marked in ``gone`` (n,) are missing.

    >>> data = Dataset(pa.table({"y": ["a", "b"]}), {Role.LABEL: ["y"]})
    >>> without_labels(data, np.array([True, False])).codes.tolist()
    [-1, 0]
    """
    column = data.column(Role.LABEL)
    column = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    return data.with_column(data.name_of(Role.LABEL), pc.if_else(pa.array(gone), pa.scalar(None, column.type), column))
