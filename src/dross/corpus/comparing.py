"""Which recipe keeps the better text: a language model trained on what each keeps, at equal tokens, tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from dross.core.errors import DrossError
from dross.core.signal import Progress, silent
from dross.core.statistics import interval
from dross.corpus.curating import curate
from dross.corpus.pieces import pieces_of
from dross.corpus.reading import Wanted, blocks
from dross.corpus.recipe import Recipe

if TYPE_CHECKING:
    from dross.models.language_model import LanguageModel, Windows

BATCH, CONTEXT = 16, 64
_CHARACTERS = 16
"""Characters of kept text that are read for each token asked for, at most: more than a tokenizer makes a token of."""
_FOR_TOKENS, _JUDGED = 1 << 22, 1 << 20
"""Characters that the tokenizer is learnt from, and of the held-out text that are read."""


@dataclass(frozen=True)
class Standing:
    """How one recipe did.

    Attributes
    ----------
    bits
        Bits for each byte of the held-out text, one for each seed: lower is better.
    gain
        How many bits fewer than the first recipe, with its 95 % interval over seeds; None for the first.
    passes
        How often the tokens went over the text it kept.
    """

    recipe: str
    rows: int
    characters: int
    passes: float
    bits: list[float]
    gain: tuple[float, float, float] | None = None

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.bits))


@dataclass(frozen=True)
class Contest:
    """The recipes in the order they were given."""

    standings: list[Standing]
    tokens: int
    model: str

    @property
    def winner(self) -> Standing | None:
        """The recipe that surely beats the first one and has the lowest mean; None when none does."""
        better = [one for one in self.standings if one.gain is not None and one.gain[1] > 0]
        return min(better, key=lambda one: one.mean, default=None)

    def plain(self) -> dict[str, Any]:
        """Plain values."""
        winner = self.winner.recipe if self.winner is not None else None
        return {
            "tokens": self.tokens,
            "model": self.model,
            "winner": winner,
            "recipes": [asdict(s) for s in self.standings],
        }

    def text(self) -> str:
        """A table and a sentence."""
        wide = max(len(one.recipe) for one in self.standings)
        lines = [f"{'recipe':<{wide}}  {'rows kept':>12}  {'passes':>7}  {'bits/byte':>9}  gain over the first (95 %)"]
        for one in self.standings:
            gain = "" if one.gain is None else f"{one.gain[0]:+.4f} ({one.gain[1]:+.4f} to {one.gain[2]:+.4f})"
            lines.append(f"{one.recipe:<{wide}}  {one.rows:>12,}  {one.passes:>7.2f}  {one.mean:>9.4f}  {gain}")
        told = "No recipe is surely better than the first." if self.winner is None else f"{self.winner.recipe} wins."
        return "\n".join(
            [*lines, "", f"{told} {len(self.standings[0].bits)} models each, {self.tokens:,} tokens a model."]
        )


def compare(
    recipes: Sequence[str | Path],
    inputs: Sequence[str] | str,
    held_out: str,
    *,
    tokens: int = 1_000_000,
    seeds: int = 3,
    model: str = "small",
    workers: int | None = None,
    progress: Progress = silent,
) -> Contest:
    """Train on what each recipe keeps and read the held-out text.

    Every model reads as many tokens, made by one tokenizer learnt from the raw corpus; seeds are paired, so that models
    of one seed begin with the same weights. A recipe that keeps little goes over it several times.

    Parameters
    ----------
    recipes
        YAML files; the first is what the others are compared with.
    inputs, workers, progress
        As in :func:`~dross.corpus.curating.curate`.
    held_out
        Text to do well on, with the text column of the recipes; no recipe sees it.
    tokens, seeds
        What each model reads, and how many models are trained for each recipe (at least 2).
    model
        ``small``, or ``hf:FOLDER`` for a causal model on disk that is trained further; that wants a GPU.
    """
    if seeds < 2:
        raise DrossError("an interval needs at least two seeds", fix="give --seeds 3")
    if len(recipes) < 2:
        raise DrossError("only one recipe was given", fix="give two or more")
    read = [(str(path), Recipe.read(path)) for path in recipes]
    judge = texts(held_out, read[0][1].text, _JUDGED)
    if not judge:
        raise DrossError("the held-out text is empty", where=held_out)
    proxy = _Proxy(model, texts(inputs, read[0][1].text, _FOR_TOKENS), tokens)
    kept = [_kept(one, inputs, tokens, workers, progress) for one in read]
    passes = [proxy.read(own) for _, own in kept]
    scores: list[list[float]] = []
    for i, (name, _) in enumerate(read):
        progress(f"training on {name}", i * seeds, len(read) * seeds)
        scores.append([proxy.score(i, judge, seed) for seed in range(seeds)])
    standings = [
        Standing(
            name,
            rows=kept[i][0],
            characters=sum(map(len, kept[i][1])),
            passes=passes[i],
            bits=scores[i],
            gain=None if i == 0 else interval(np.subtract(scores[0], scores[i])),
        )
        for i, (name, _) in enumerate(read)
    ]
    return Contest(standings, tokens, model)


def _kept(
    one: tuple[str, Recipe], inputs: Sequence[str] | str, tokens: int, workers: int | None, progress: Progress
) -> tuple[int, list[str]]:
    """How many rows a recipe keeps, and their text as far as the training reads it."""
    name, recipe = one
    with TemporaryDirectory() as folder:
        report = curate(recipe, inputs, Path(folder) / "out", workers=workers, progress=progress)
        own = texts(str(Path(folder) / "out"), recipe.text, _CHARACTERS * tokens) if report.rows_out else []
    if not own:
        raise DrossError(
            f"the recipe keeps {report.rows_out:,} rows and no text", where=name, fix="loosen its thresholds"
        )
    return report.rows_out, own


def texts(source: str | Sequence[str], column: str, characters: int) -> list[str]:
    """Texts of a corpus from its beginning on, until they have so many characters."""
    out: list[str] = []
    for piece in pieces_of([source] if isinstance(source, str) else list(source)):
        for block in blocks(piece, Wanted(column)):
            for text in block.table.column(column).to_pylist():
                if text:
                    out.append(text)
                    characters -= len(text)
                if characters <= 0:
                    return out
    return out


class _Proxy:
    """Trains models on what a recipe keeps: small ones from scratch, or one from a folder further."""

    def __init__(self, model: str, raw: list[str], tokens: int) -> None:
        from dross.models.language_model import tokenizer_of

        self.start: LanguageModel | None = None
        self.rate = 3e-3
        if model.startswith("hf:"):
            from dross.models.causal import from_folder

            self.start, self.rate = from_folder(model[3:]), 3e-5
        elif model != "small":
            raise DrossError(f"there is no model {model!r}", fix="give small, or hf:FOLDER")
        self.tokenizer = tokenizer_of(raw, 1024) if self.start is None else self.start.tokenizer
        self.steps = max(1, tokens // (BATCH * CONTEXT))
        self.cut: list[Windows] = []

    def read(self, own: list[str]) -> float:
        """Cut the text of the next recipe into windows; how often the training goes over them."""
        from dross.models.language_model import END, encoded, packed

        end = END if self.start is None else self.start.net.end
        self.cut.append(packed(encoded(self.tokenizer, own), CONTEXT, end)[0])
        return self.steps * BATCH / len(self.cut[-1])

    def score(self, recipe: int, judge: list[str], seed: int) -> float:
        """Bits for each byte of the held-out text after training on one recipe's windows."""
        from dross.models.language_model import passes, train_language_model
        from dross.models.llama import Size

        windows = self.cut[recipe]
        plan = passes(len(windows), self.steps, BATCH, seed)
        size = Size(context=CONTEXT)
        trained = train_language_model(
            windows, self.tokenizer, plan=plan, size=size, start=self.start, learning_rate=self.rate, seed=seed
        )
        return trained.bits_per_byte(judge)
