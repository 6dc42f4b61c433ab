"""What a corpus is made of, and what a recipe would do to it, seen on a sample."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dross.core.signal import Progress, silent
from dross.core.statistics import wilson
from dross.corpus.curating import curate
from dross.corpus.passes import NUMBER, WHY
from dross.corpus.pieces import Piece, pieces_of
from dross.corpus.reading import RAW, Wanted, sample
from dross.corpus.recipe import Recipe
from dross.corpus.report import Report, size
from dross.signals.content_hash import hash_texts
from dross.signals.languages import LANGUAGES
from dross.signals.text_statistics import COLUMNS, measure

ROWS = 10_000
EXAMPLES = 2
_SHOWN = 160
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Drop:
    """What one reason of one step would take.

    Attributes
    ----------
    share
        Of the rows that come to the step, with its 95 % interval.
    examples
        Beginnings of some of the rows, with the number behind the reason.
    """

    step: str
    reason: str
    rows: int
    share: tuple[float, float, float]
    examples: list[tuple[str, float | None]]


@dataclass(frozen=True)
class Profile:
    """What the sample shows.

    Attributes
    ----------
    files, bytes
        The whole corpus.
    rows
        Of the sample.
    characters
        Quantiles of the length of texts, by :data:`QUANTILES`.
    languages
        Share of each language that is told by its commonest words or its script; ``unknown`` for the rest.
    copies
        Share of the sample that repeats a text of the sample: less than the share in the whole corpus.
    drops
        What a recipe would drop; empty without one.
    """

    files: int
    bytes: int
    rows: int
    columns: list[str]
    characters: list[float]
    languages: dict[str, float]
    copies: float
    empty: float
    report: Report | None
    drops: list[Drop]

    def plain(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(replace(self, report=None)) | {"report": None if self.report is None else self.report.plain()}

    def text(self) -> str:
        """For a terminal."""
        lengths = ", ".join(f"{v:,.0f}" for v in self.characters)
        spoken = ", ".join(f"{name} {share:.1%}" for name, share in list(self.languages.items())[:6])
        lines = [
            f"{self.files:,} files, {size(self.bytes)}; a sample of {self.rows:,} rows",
            f"columns     {', '.join(self.columns)}",
            f"characters  {lengths}  (1, 10, 50, 90 and 99 % of texts are shorter)",
            f"languages   {spoken}",
            f"empty       {self.empty:.1%}",
            f"copies      {self.copies:.1%} repeat a text of the sample; in the whole corpus there are more",
        ]
        if self.report is not None:
            lines += [
                "",
                f"The recipe would keep {self.report.rows_out / max(1, self.report.rows_in):.1%} of these rows.",
            ]
        for drop in self.drops:
            share, low, high = drop.share
            lines.append(f"{drop.step}: {drop.reason.replace('_', ' ')}  {share:.2%} ({low:.2%} to {high:.2%})")
            for text, value in drop.examples:
                told = "" if value is None else f"[{value:.4g}] "
                lines.append(f"    {told}{text}")
        return "\n".join(lines)


def profile(
    inputs: str | Sequence[str],
    *,
    text: str = "text",
    recipe: Recipe | str | Path | None = None,
    rows: int = ROWS,
    progress: Progress = silent,
) -> Profile:
    """Look at a sample from the beginnings of files spread over the corpus.

    Steps for which rows must meet see the sample only, so that they find fewer copies than in the whole corpus.

    Parameters
    ----------
    inputs
        As in :func:`~dross.corpus.curating.curate`.
    text
        The text column; a recipe names its own.
    recipe
        What to try on the sample.
    rows
        About how many rows to look at.
    progress
        Called with what is being done, how much of it is, and of how much.
    """
    recipe = Recipe.read(recipe) if isinstance(recipe, str | Path) else recipe
    column = text if recipe is None else recipe.text
    pieces = pieces_of([inputs] if isinstance(inputs, str) else list(inputs))
    progress("reading a sample", 0, 1)
    table = sample(pieces, Wanted(column, (), drop_broken=True), rows)
    found = pa.chunked_array([table.column(column).cast(pa.large_string()).combine_chunks()]).fill_null("")
    lengths = pc.utf8_length(found).to_numpy()
    spoken = measure(found)[:, COLUMNS.index("language")].astype(int)
    names = [*LANGUAGES, "unknown"]
    shares = {names[i]: float((spoken == i).mean()) for i in np.unique(spoken).tolist()}
    hashes = hash_texts(found)
    report, drops = (None, []) if recipe is None else _tried(recipe, table, pieces[0], progress)
    return Profile(
        files=len({piece.file for piece in pieces}),
        bytes=sum(Path(file).stat().st_size for file in {piece.file for piece in pieces}),
        rows=table.num_rows,
        columns=_columns(table),
        characters=[float(v) for v in np.quantile(lengths, QUANTILES)] if len(lengths) else [],
        languages=dict(sorted(shares.items(), key=lambda pair: -pair[1])),
        copies=1 - len(np.unique(hashes)) / max(1, len(hashes)),
        empty=float((lengths == 0).mean()) if len(lengths) else 0.0,
        report=report,
        drops=drops,
    )


def _columns(table: pa.Table) -> list[str]:
    if RAW not in table.column_names:
        return list(table.column_names)
    names: dict[str, None] = {}
    for line in table.column(RAW).slice(0, 100).to_pylist():
        names.update(dict.fromkeys(json.loads(line)))
    return list(names)


def _tried(recipe: Recipe, table: pa.Table, like: Piece, progress: Progress) -> tuple[Report, list[Drop]]:
    """Run the recipe on the sample, and read what it dropped."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / f"sample.{'jsonl' if like.format == 'jsonl' else 'parquet'}"
        if like.format == "jsonl":
            source.write_bytes(b"\n".join(table.column(RAW).to_pylist()) + b"\n")
        else:
            pq.write_table(table, source)
        out = Path(folder) / "out"
        report = curate(recipe, str(source), out, workers=1, progress=progress)
        drops = [drop for stage in report.stages for drop in _drops(out, stage.label, stage.rows_in, recipe.text)]
    return report, drops


def _drops(out: Path, label: str, rows_in: int, column: str) -> list[Drop]:
    files = sorted((out / "dropped" / label).glob("*.parquet"))
    if not files:
        return []
    table = pa.concat_tables([pq.read_table(file) for file in files], promote_options="permissive")
    counts = sorted(pc.value_counts(table.column(WHY)).to_pylist(), key=lambda pair: -pair["counts"])
    drops = []
    for pair in counts:
        some = table.filter(pc.equal(table.column(WHY), pair["values"])).slice(0, EXAMPLES)
        values = [None if value is None or np.isnan(value) else value for value in some.column(NUMBER).to_pylist()]
        shown = some.column(column).to_pylist() if column in some.column_names else [""] * len(values)
        low, high = wilson([pair["counts"]], [rows_in])
        share = (pair["counts"] / max(1, rows_in), float(low[0]), float(high[0]))
        begins = [" ".join((one or "").split())[:_SHOWN] for one in shown]
        drops.append(Drop(label, pair["values"], pair["counts"], share, list(zip(begins, values, strict=True))))
    return drops
