"""Language: the built-in list keeps English text and drops planted foreign sentences."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import BOTH, judged, passed, told_apart
from dross.curate.language import Language

FOREIGN = {
    "german": "Der kleine Vogel sitzt auf dem Dach und singt, weil die Sonne nach dem langen Regen wieder scheint",
    "french": "Le petit oiseau est sur le toit et il chante parce que le soleil brille de nouveau après la pluie",
    "spanish": "El pájaro está en el techo y canta porque el sol brilla otra vez después de la larga lluvia",
    "russian": "Маленькая птица сидит на крыше и поёт, потому что после долгого дождя снова светит солнце",
    "japanese": "小さな鳥が屋根の上で歌っているのは、長い雨のあとでまた太陽が輝いているからです",
    "polish": "Mały ptak siedzi na dachu i śpiewa, ponieważ po długim deszczu znowu świeci słońce",
}


@claim(method="language", says="texts in other languages than the one asked for are dropped, and texts in it stay")
def foreign_sentences_go(budget: Budget) -> Evidence:
    """300 paragraphs of English prose and 60 sentences in six other languages, cut in two at random and turned round.

    Paragraphs that are mostly code or lists of values are in no language; how many of them stay is told beside.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 12))
        paragraphs = drawn(400, seed)
        prose = np.array([_prose(text) for text in paragraphs])
        texts = [paragraphs[i] for i in np.flatnonzero(prose)[:300]]
        sentences = list(FOREIGN.values())
        for i in range(60):
            words = sentences[i % 6].split()
            cut = int(rng.integers(1, max(2, len(words) - 1)))
            texts.append(" ".join([*words[cut:], *words[:cut]]))
        step = Language(keep=("english",))
        kept = np.isin(np.arange(len(prose)), passed(step, paragraphs).addresses.astype(np.int64))
        return {
            **told_apart(step, texts, np.arange(len(texts)) >= len(texts) - 60),
            "paragraphs of code and lists kept, %": 100 * float(kept[~prose].mean()),
            "paragraphs of any kind kept, %": 100 * float(kept.mean()),
        }

    note = (
        "Prose: 85 % of the characters are letters and spaces. On SIB-200, whose languages the built-in list mostly "
        "does not know, a reference is needed: see the benchmarks."
    )
    return judged(budget, one, BOTH, note)


def _prose(text: str) -> bool:
    """Whether a paragraph is words, not code or a list of values."""
    return sum(c.isalpha() or c == " " for c in text) >= 0.85 * len(text)
