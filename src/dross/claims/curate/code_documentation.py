"""Documentation of code: junk is told from the documentation of the standard library."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims.curate._corpus import judged, passed
from dross.claims.curate.code2doc import JUNK, _pairs
from dross.curate.code_documentation import CodeDocumentation


@claim(
    method="code-documentation",
    paper="Code2Doc: A Quality-First Curated Dataset for Code Documentation",
    says="empty talk, placeholders and what a language model wrote are told from real documentation",
)
def junk_documentation_goes(budget: Budget) -> Evidence:
    """300 documented functions of the standard library, 100 of them with junk, or their own name, for words."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 19))
        pool = [pair for pair in _pairs() if 8 <= len(pair["documentation"].split()) <= 200]
        pairs = [dict(pool[i]) for i in rng.choice(len(pool), 300, replace=False)]
        for i in range(100):
            name = " ".join(pairs[i]["function"].split("_"))
            pairs[i]["documentation"] = JUNK[i % 8] if i % 8 < 7 else f"{name} the {name} of the {name}"
        columns = {name: [pair[name] for pair in pairs] for name in ("code", "documentation", "function")}
        rows = passed(CodeDocumentation(), [""] * 300, **columns, branches=pa.array([p["branches"] for p in pairs]))
        kept = np.isin(np.arange(300), rows.addresses.astype(int))
        return {"junk dropped, %": float(100 - kept[:100].sum()), "others kept, %": 100 * float(kept[100:].mean())}

    return judged(budget, one, {"junk dropped, %": 95.0, "others kept, %": 95.0})
