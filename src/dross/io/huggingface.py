"""Hugging Face datasets, as objects and as folders written by ``save_to_disk``, read without their library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from dross.core.errors import DrossError
from dross.io import columnar
from dross.io.canonical import HUGGINGFACE, canonical
from dross.io.paths import reading
from dross.io.shards import check_same, unify


def is_dataset(source: Any) -> bool:
    """Whether the object behaves like a ``datasets.Dataset``."""
    return hasattr(source, "features") and hasattr(source, "with_format") and hasattr(source, "num_rows")


def table_of(dataset: Any) -> pa.Table:
    """The rows of a ``datasets.Dataset`` in their (perhaps shuffled or selected) order, class names known."""
    table = dataset.with_format("arrow")[:]
    classes = {
        name: {"names": list(feature.names), "_type": "ClassLabel"}
        for name, feature in dataset.features.items()
        if hasattr(feature, "names")
    }
    metadata = dict(table.schema.metadata or {})
    if classes and HUGGINGFACE not in metadata:
        metadata[HUGGINGFACE] = json.dumps({"info": {"features": classes}}).encode()
    return table.replace_schema_metadata(metadata)


def read(folder: Path) -> pa.Table:
    """A saved dataset, or a saved dictionary of datasets with the names of its parts in the column ``split``."""
    if not (folder / "dataset_dict.json").exists():
        return _saved(folder)
    splits = _json(folder / "dataset_dict.json").get("splits")
    if not isinstance(splits, list) or not splits:
        raise DrossError("no splits are named", where=str(folder / "dataset_dict.json"), fix="save the dataset again")
    return join({str(split): _saved(folder / str(split)) for split in splits})


def join(parts: Mapping[str, pa.Table]) -> pa.Table:
    """The rows of all parts, one after the other, and the name of each row's part in the column ``split``."""
    files = [Path(name) for name in parts]
    tables = [canonical(table) for table in parts.values()]
    for table, file in zip(tables, files, strict=True):
        check_same(tables[0].column_names, table.column_names, files[0], file)
    whole = unify(tables, files)
    if "split" in whole.column_names:
        return whole
    names = [pa.repeat(pa.scalar(name, pa.large_string()), table.num_rows) for name, table in parts.items()]
    return whole.append_column("split", pa.chunked_array(names))


def _saved(folder: Path) -> pa.Table:
    state, info = _json(folder / "state.json"), _json(folder / "dataset_info.json")
    files = [folder / str(entry["filename"]) for entry in state.get("_data_files") or [] if "filename" in entry]
    if not files:
        raise DrossError("no data files are named", where=str(folder / "state.json"), fix="save the dataset again")
    if state.get("_indices_data_files"):
        raise DrossError(
            "the dataset was saved with a selection of rows by an old version of its library",
            where=str(folder),
            fix="load it there, call .flatten_indices() and save it again",
        )
    return columnar.read(files, "arrow", _metadata(info))


def _metadata(info: Mapping[str, Any]) -> dict[bytes, bytes] | None:
    features = info.get("features")
    return {HUGGINGFACE: json.dumps({"info": {"features": features}}).encode()} if features else None


def _json(file: Path) -> dict[str, Any]:
    with reading(file):
        value = json.loads(file.read_text("utf-8"))
    if not isinstance(value, dict):
        raise DrossError("the file is not a JSON object", where=str(file), fix="save the dataset again")
    return value
