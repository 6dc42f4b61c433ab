"""C4 quality: planted boilerplate lines are taken out, filler and code pages dropped, the sentences stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims.curate._pages import kept_by, pages, planted
from dross.core.step import Rows
from dross.curate.c4_quality import C4Quality

BOILERPLATE = (
    "Home | Products | About us | Contact",
    "Please enable JavaScript to see all of this page.",
    "This site uses cookies to give you a better service.",
    "By going on you accept our Terms of Use.",
    "Read more about what happened next...",
    "Thank you!",
    "Posted on Monday by the editor",
)


def filler(page: str, rng: np.random.Generator) -> str:
    """A paragraph that somebody forgot to replace."""
    return page + "\nLorem ipsum dolor sit amet, consectetur adipiscing elit."


def script(page: str, rng: np.random.Generator) -> str:
    """A script that was not taken out."""
    return 'function show() { alert("Hello."); document.title = "Good."\n' + page


def stub(page: str, rng: np.random.Generator) -> str:
    """Two sentences and a menu."""
    return "We have moved. Come and see us soon.\n" + "\n".join(line.rstrip(".") for line in page.split("\n"))


SPOILS = {"lorem ipsum": filler, "scripts": script, "stubs": stub}


@claim(
    method="c4-quality",
    paper="Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
    says="drops filler, code and stubs, takes boilerplate lines out of pages and leaves their sentences",
)
def boilerplate_is_taken_out_and_sentences_stay(budget: Budget) -> Evidence:
    """Real pages with seven kinds of boilerplate lines between their own, and three kinds of bad pages."""
    found = planted(C4Quality(), SPOILS, budget)
    gone, stay, whole = [], [], []
    for seed in budget.seeds:
        rng, drawn = np.random.default_rng((seed, 45)), pages(60, seed)
        texts = []
        for page in drawn:
            lines = page.split("\n")
            for line in BOILERPLATE:
                lines.insert(int(rng.integers(0, len(lines) + 1)), line)
            texts.append("\n".join(lines))
        verdict = C4Quality().judge(Rows(pa.table({"text": texts}), "text"), None)
        left = [set(text.split("\n")) for text in verdict.changed["text"].to_pylist()]
        own = [set(page.split("\n")) for page in drawn]
        gone.append(float(np.mean([line not in lines for lines in left for line in BOILERPLATE])))
        stay.append(float(np.mean([line in lines for lines, mine in zip(left, own, strict=True) for line in mine])))
        whole.append(float(kept_by(C4Quality(), texts).mean()))
    shares = {"boilerplate lines gone": gone, "lines of prose that stay": stay, "pages that stay": whole}
    measured = {**found.measured, **{name: float(np.mean(values)) for name, values in shares.items()}}
    holds = found.holds and all(np.mean(values) >= 0.95 for values in shares.values())
    return replace(found, measured=measured, holds=bool(holds))
