"""What a tiny language model learns from chosen rows, and how diverse they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dross.claims.select._degraded import Corpus

if TYPE_CHECKING:
    from dross.models.language_model import LanguageModel

Rows = npt.NDArray[np.int64]
STEPS, BATCH, CONTEXT, RATE = 300, 32, 64, 8e-3


def bits(made: Corpus, rows: Rows, seed: int, steps: int = STEPS) -> float:
    """Bits a byte, on the clean held-out text, of a model that reads these rows; the number of tokens is fixed."""
    texts = made.texts
    return learnt([texts[i] for i in rows], made, seed, steps).bits_per_byte(made.held_out)


def learnt(texts: list[str], made: Corpus, seed: int, steps: int = STEPS) -> LanguageModel:
    """A language model of one layer that reads texts; its tokens are learnt from all rows."""
    from dross.models.language_model import encoded, packed, passes, tokenizer_of, train_language_model
    from dross.models.llama import Size

    tokenizer = tokenizer_of(made.texts, 512)
    windows, _ = packed(encoded(tokenizer, texts), CONTEXT)
    plan = passes(len(windows), steps, BATCH, seed)
    size = Size(context=CONTEXT, layers=1)
    return train_language_model(windows, tokenizer, plan=plan, size=size, learning_rate=RATE, seed=seed, device="cpu")


def sizes_of(made: Corpus) -> npt.NDArray[np.float64]:
    """The bytes of each row, shape (n,)."""
    return np.array([len(text.encode()) for text in made.texts], np.float64)


def random_rows(made: Corpus, share: float, seed: int) -> Rows:
    """Random rows that hold that share of the bytes."""
    sizes = sizes_of(made)
    order = np.random.default_rng((seed, 5)).permutation(len(sizes))
    return order[: int(np.searchsorted(np.cumsum(sizes[order]), share * sizes.sum())) + 1]


def diversity(made: Corpus, rows: Rows) -> float:
    """The number of sources that the bytes of these rows come from: the exponential of the entropy of their shares."""
    share = np.bincount(made.source[rows], sizes_of(made)[rows])
    share = share[share > 0] / share.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
