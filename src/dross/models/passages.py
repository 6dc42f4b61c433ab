"""Texts of files that a step compares with: benchmarks, references, examples of good and bad text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError, nearest


@dataclass(frozen=True)
class Passages:
    """Texts, and a name for each.

    Attributes
    ----------
    texts
        A large_string array without nulls and empty texts.
    names
        ``FILE#ROW``, or ``FILE#ROW COLUMN`` where several columns are read; a string array.
    """

    texts: pa.LargeStringArray
    names: pa.Array

    def write(self, place: Path) -> None:
        """Keep them in a folder."""
        table = pa.table({"text": self.texts, "name": self.names})
        with pa.ipc.new_file(str(place / "passages.arrow"), table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def read(cls, place: Path) -> Passages:
        """Read back what :meth:`write` kept."""
        with pa.OSFile(str(place / "passages.arrow")) as source:
            table = pa.ipc.open_file(source).read_all().combine_chunks()
        return cls(table.column("text").combine_chunks(), table.column("name").combine_chunks())


def passages(sources: Sequence[str], columns: Sequence[str], default: str, what: str) -> Passages:
    """The texts of all rows and named columns of files, as :func:`dross.load` reads them.

    Parameters
    ----------
    sources
        Paths or globs; all that a dataset is read from.
    columns, default
        Which columns; where none is named, ``default`` if a file has it, else all columns of text.
    what
        Whose files they are, for errors.
    """
    from dross.io.load import load

    if not sources:
        raise DrossError(f"{what} names no file to compare with", where="the recipe", fix="name one with against:")
    texts, names = [], []
    for source in sources:
        table = load(source).table
        kinds = {field.name: field.type for field in table.schema}
        found = [name for name, kind in kinds.items() if pa.types.is_string(kind) or pa.types.is_large_string(kind)]
        chosen = list(columns) or ([default] if default in found else found)
        for name in chosen:
            if name not in kinds:
                raise DrossError(f"no column {name!r}", where=source, fix=nearest(name, found))
            column = table.column(name).cast(pa.large_string()).fill_null("")
            rows = pc.binary_join_element_wise(
                pa.scalar(f"{source}#"), pa.array(range(1, table.num_rows + 1)).cast(pa.string()), ""
            )
            tail = f" {name}" if len(chosen) > 1 else ""
            filled = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0).combine_chunks()
            texts.append(column.combine_chunks().filter(filled))
            names.append(pc.binary_join_element_wise(rows, pa.scalar(tail), "").filter(filled))
    whole = pa.concat_arrays([one for part in texts for one in (part.chunks if hasattr(part, "chunks") else [part])])
    if not len(whole):
        raise DrossError(f"{what}: the files hold no text", where=", ".join(sources))
    return Passages(whole, pa.concat_arrays([name.cast(pa.string()) for name in names]))
