"""What can be told of the quality of prompts with responses without a person: lengths, diversity, likelihoods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.language_rows import Written
from dross.signals.neighbours import Neighbours
from dross.signals.word_places import Words, folded_words

if TYPE_CHECKING:
    from dross.models.language_model import LanguageModel, Windows

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
INDICATORS = (
    "prompt_length", "response_length", "diversity", "known_words", "perplexity", "naturalness", "coherence",
    "distance",
)  # fmt: skip
"""The columns of :func:`indicators_of`."""
NEAREST = 6
"""The neighbour that the distance is taken to."""
LEAST_RATIO = 0.72
"""The share of distinct words at which a run of words ends (McCarthy and Jarvis, 2010)."""


# ---- words -------------------------------------------------------------------------------------------------------


@kernel()
def factors(codes: Any, first: int, last: int, step: int, seen: Any, mark: int, least: float) -> float:
    """How often the share of distinct words of a run falls to ``least``, from ``first`` on by ``step`` to ``last``.

    ``seen`` holds, for each word, the last run it stood in; runs are numbered from ``mark`` on. The run at the end
    counts in part.
    """
    total, words, kinds, ratio = 0.0, 0, 0, 1.0
    i = first
    while i != last:
        words += 1
        if seen[codes[i]] != mark:
            seen[codes[i]] = mark
            kinds += 1
        ratio = kinds / words
        if ratio <= least:
            total += 1.0
            mark += 1
            words, kinds, ratio = 0, 0, 1.0
        i += step
    return total + (1.0 - ratio) / (1.0 - least)


@kernel()
def measure_diversity(codes: Any, offsets: Any, kinds: int, least: float, out: Any, start: int, stop: int) -> None:
    """Fill in the lexical diversity of the texts from ``start`` to ``stop``."""
    seen = np.zeros(kinds, np.int64)
    mark = 1
    for i in range(start, stop):
        first, last = offsets[i], offsets[i + 1]
        n = last - first
        if n == 0:
            continue
        forward = factors(codes, first, last, 1, seen, mark, least)
        mark += n + 1
        backward = factors(codes, last - 1, first - 1, -1, seen, mark, least)
        mark += n + 1
        both = (n / forward if forward > 0 else n) + (n / backward if backward > 0 else n)
        out[i] = both / 2


def lexical_diversity(words: Words) -> Values:
    """The mean length of runs of words that stay diverse, MTLD, shape (n,): higher is more diverse; 0 without words.

    The text is cut where the share of distinct words of the run falls to 0.72, once from the front and once from the
    back; the mean of both is taken (McCarthy and Jarvis, "MTLD, vocd-D, and HD-D", 2010). A text that never falls so
    low counts as one run of its own length. O(words).

    >>> lexical_diversity(folded_words(pa.array(["a a a a", "one two three four"], pa.large_string()))).tolist()
    [2.0, 4.0]
    """
    codes = np.unique(words.hashes, return_inverse=True)[1].astype(np.int64)
    n = len(words.offsets) - 1
    out = np.zeros(n)
    kinds, offsets = int(codes.max(initial=0)) + 1, words.offsets
    over_rows(lambda a, b: measure_diversity(codes, offsets, kinds, LEAST_RATIO, out, a, b), n, least=512)
    return out


def known_words(words: Words, trusted: npt.NDArray[np.uint64]) -> Values:
    """The share of each text's words that stand in ``trusted``, hashes in order, shape (n,) in [0, 1]; 1 without words.

    >>> words = folded_words(pa.array(["a cat", "a xqz"], pa.large_string()))
    >>> known_words(words, np.unique(words.hashes[:2])).tolist()
    [1.0, 0.5]
    """
    sizes = np.diff(words.offsets)
    known = np.concatenate([[0], np.cumsum(np.isin(words.hashes, trusted, kind="sort"))])
    return np.where(sizes > 0, (known[words.offsets[1:]] - known[words.offsets[:-1]]) / np.maximum(sizes, 1), 1.0)


# ---- likelihoods -------------------------------------------------------------------------------------------------


def mean_losses(model: LanguageModel, windows: Windows) -> Values:
    """The mean cross-entropy of each window's targets, in nats, shape (n,); 0 where there are none."""
    nats, counts = model.losses(windows)
    return nats / np.maximum(counts, 1)


def spoiled(text: str, rng: np.random.Generator) -> str:
    """The text with a defect, as the negative examples of naturalness raters are made: by a rule, of three.

    A stretch of words is said again, words are left out, or words change places.

    >>> spoiled("one two three four", np.random.default_rng(0)) != "one two three four"
    True
    """
    words = text.split()
    if len(words) < 3:
        return f"{text} {text}"
    rule, start = int(rng.integers(3)), int(rng.integers(len(words) - 1))
    if rule == 0:
        stop = start + 1 + int(rng.integers(max(1, len(words) // 3)))
        return " ".join([*words[:stop], *words[start:stop], *words[start:]])
    if rule == 1:
        kept = [word for word in words if rng.random() > 0.3]
        return " ".join(kept if 0 < len(kept) < len(words) else words[1:])
    return " ".join(words[i] for i in np.argsort(np.arange(len(words)) + rng.normal(0, 3, len(words))))


# ---- all of them -------------------------------------------------------------------------------------------------


def indicators_of(
    model: LanguageModel, rows: Written, which: Rows, trusted: npt.NDArray[np.uint64], signals: Signals, seed: int
) -> Values:
    """The indicators of some rows, shape (n, 8), columns as in :data:`INDICATORS`.

    Lengths are logarithms of counts of words; ``perplexity`` is the mean cross-entropy of the response, in nats a
    token; ``naturalness`` how much likelier the response is than with a defect made by a rule; ``coherence`` how much
    likelier it is after its own prompt than after the next row's; ``distance`` that to the sixth nearest row.

    Parameters
    ----------
    model
        What tells likelihoods.
    rows, which
        The rows, and the positions of those asked for.
    trusted
        The hashes of the words that count as known, in order.
    signals
        Told of progress.
    seed
        Of the defects.
    """
    prompts, responses = ([part[i] for i in which.tolist()] for part in (rows.prompts, rows.responses))
    said = [folded_words(pa.array(part, pa.large_string())) for part in (prompts, responses)]
    rng = np.random.default_rng((seed, 29))
    told = rows.windows(model.tokenizer, which, model.size.context)
    spoilt, crossed = (
        Written(asked, answered, which, which).windows(model.tokenizer, np.arange(len(which)), model.size.context)
        for asked, answered in (
            (prompts, [spoiled(text, rng) for text in responses]),
            ([*prompts[1:], *prompts[:1]], responses),
        )
    )
    own = mean_losses(model, told)
    columns = {
        "prompt_length": np.log1p(np.diff(said[0].offsets)),
        "response_length": np.log1p(np.diff(said[1].offsets)),
        "diversity": lexical_diversity(said[1]),
        "known_words": known_words(said[1], trusted),
        "perplexity": own,
        "naturalness": mean_losses(model, spoilt) - own,
        "coherence": mean_losses(model, crossed) - own,
        "distance": _distances(rows.texts(which), signals),
    }
    return np.stack([columns[name] for name in INDICATORS], axis=1).astype(np.float64)


def _distances(texts: list[str], signals: Signals) -> Values:
    """The distance of each text to the sixth nearest other one, or to the farthest of fewer; 0 where it is alone."""
    alone = Signals(Dataset(pa.table({"text": pa.array(texts, pa.large_string())}), {Role.TEXT: ["text"]}))
    alone.progress = signals.progress
    found = alone[Neighbours(k=NEAREST)].distances.astype(np.float64)
    return np.asarray(np.where(np.isfinite(found), found, 0.0).max(axis=1, initial=0.0))
