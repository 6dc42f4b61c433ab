"""Functions of source files: every documented function of the standard library is taken out, whole."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims.curate._corpus import judged, passed
from dross.curate.code_functions import CodeFunctions


@claim(method="code-functions", says="every documented function of a source becomes a row, and its code still parses")
def every_documented_function_is_taken_out(budget: Budget) -> Evidence:
    """25 random files of the standard library, and five that do not parse."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 18))
        files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
        sources = [files[i].read_text(encoding="utf-8") for i in rng.choice(len(files), 25, replace=False)]
        expected = sum(_documented(source) for source in sources)
        rows = passed(CodeFunctions(most=4000), [*sources, *["def f(:", "x = (", "class", "\0", "if True"]])
        sound = [bool(ast.parse(code)) for code in rows.strings("code").to_pylist()]
        return {"functions found, %": 100 * len(rows) / max(1, expected), "that parse, %": 100 * float(np.mean(sound))}

    return judged(budget, one, {"functions found, %": 100.0, "that parse, %": 100.0})


def _documented(source: str) -> int:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return sum(isinstance(n, kinds) and ast.get_docstring(n) is not None for n in ast.walk(ast.parse(source)))
