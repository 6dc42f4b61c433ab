"""Weaver: weak verifiers, weighed by accuracies estimated without labels, pick the best answer to each query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Inferer
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.verifiers import (
    Accuracies,
    Given,
    Matrix,
    Queries,
    accuracies,
    best_of,
    cut_point,
    distil,
    graded,
    normalised,
    posterior,
)
from dross.signals.embedding import Embedding

Within = Literal["dataset", "query"]

LEAST_ROWS = 20
LEAST_SHARE = 0.02
"""A verifier that nearly always says the same is left out."""
LEAST_TIE = 0.1
"""Correlation with the unknown truth below which a verifier is left out."""


@dataclass(frozen=True)
class Weaver(Inferer):
    """The chance that each candidate answer is right, from several weak verifiers, and the best candidate per query.

    Saad-Falcon et al., "Shrinking the Generation-Verification Gap with Weak Verifiers", 2025. Rows are candidates, the
    role group names their query, the feature columns are verifiers' scores on any scale (reward models, judges, tests,
    true or false; null where one gave none). Scores are normalised by the dataset's statistics; verifiers that nearly
    always say the same, or that the others give no reason to trust, are left out; the accuracies of the rest follow
    from how they agree, without a label; the posterior picks the best candidate. Where there is text or an embedding
    beside the scores, a cheap scorer of the content is distilled from the posterior and answers for the rows that no
    verifier has scored.

    Where the paper keeps only on which side of a cut a score lies, ``levels`` above 2 keep its grade as well: what each
    level of a score is worth is told by the other verifiers (:func:`~dross.models.verifiers.graded`).

    Attributes
    ----------
    levels
        Levels of a score that are told apart; 2 is the paper's.
    within
        ``query`` takes the mean of its query from each score first: for verifiers that like some queries better than
        others, whatever the answer.
    balance
        The share of right answers, if it is known; else estimated.
    """

    paper: ClassVar = Paper("Shrinking the Generation-Verification Gap with Weak Verifiers", 2025, "2506.18203")
    needs: ClassVar = (Role.GROUP, Role.FEATURES)

    levels: int = 10
    within: Within = "dataset"
    balance: float | None = None

    def run(self, data: Dataset, signals: Signals) -> Predictions | NotApplicable:
        """The posterior of every candidate; ``summary["chosen"]`` names the row of the best of each query."""
        if self.levels < 2 or (self.balance is not None and not 0 < self.balance < 1):
            raise DrossError("levels must be 2 or more, and the balance between 0 and 1")
        queries = query_numbers(data)
        names, raw = verifier_scores(data)
        scores = normalised(raw, queries if self.within == "query" else None)
        scored = ~np.isnan(scores).all(axis=1)
        if scored.sum() < LEAST_ROWS:
            return NotApplicable(f"{int(scored.sum())} candidates have a verifier's score: {LEAST_ROWS} are least")
        there = ~np.isnan(scores)
        votes = _votes(scores, there)
        rate = votes.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        varied = np.flatnonzero((rate >= LEAST_SHARE) & (rate <= 1 - LEAST_SHARE) & (there.sum(axis=0) >= LEAST_ROWS))
        if len(varied) < 3:
            return NotApplicable(f"{len(varied)} verifiers tell answers apart: accuracies need at least 3")
        kept = _trusted(accuracies(votes[:, varied], there[:, varied], self.balance).tie, varied)
        known = accuracies(votes[:, kept], there[:, kept], self.balance)
        if len(np.unique(known.group)) < 3:
            return NotApplicable("fewer than 3 verifiers err independently: their accuracies cannot be told")
        chance = self._chance(scores[:, kept], votes[:, kept], there[:, kept], known)
        mean = np.nan_to_num(np.where(there, scores, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))
        scored = np.asarray(there[:, kept].any(axis=1))
        chance, told = _with_distilled(data, queries, chance, scored)
        chosen = best_of(queries, chance, mean)
        summary = {
            "queries": len(chosen),
            "share_right": round(known.balance, 4),
            "verifiers": _described(names, varied, kept, known),
            "chosen": chosen.tolist(),
        }
        return Predictions(
            [False, True], np.stack([1 - chance, chance], axis=1).astype(np.float32), None, summary | told
        )

    def _chance(self, scores: Matrix, votes: Given, there: Given, known: Accuracies) -> Matrix:
        if self.levels == 2:
            return posterior(votes, there, known)
        odds = np.log(known.balance / (1 - known.balance)) + graded(scores, votes, there, known, self.levels).sum(
            axis=1
        )
        chance: Matrix = 1 / (1 + np.exp(-odds))
        return chance


def query_numbers(data: Dataset) -> Queries:
    """The query of each candidate as a number from 0, shape (n,): the first column with the role group."""
    column = data.column(Role.GROUP)
    if column.null_count:
        raise DrossError(
            f"{column.null_count} candidates belong to no query",
            where=f"column {data.name_of(Role.GROUP)!r}",
            fix="name the query of every row",
        )
    encoded = pa.chunked_array(column).combine_chunks().dictionary_encode()
    encoded = pa.concat_arrays(encoded.chunks) if isinstance(encoded, pa.ChunkedArray) else encoded
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def verifier_scores(data: Dataset) -> tuple[list[str], Matrix]:
    """The names of the verifiers and their scores, (n, m), NaN where there is none."""
    names = list(data.roles[Role.FEATURES])
    columns = []
    for name in names:
        kind = data.table.column(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise DrossError(f"a verifier's scores are {kind}, not numbers", where=f"column {name!r}")
        columns.append(data.numbers(name))
    scores = np.stack(columns, axis=1)
    return names, np.where(np.isfinite(scores), scores, np.nan)


def _votes(scores: Matrix, there: Given) -> Given:
    votes = np.zeros(scores.shape, bool)
    for j in range(scores.shape[1]):
        if there[:, j].any():
            votes[:, j] = there[:, j] & (scores[:, j] > cut_point(scores[there[:, j], j]))
    return votes


def _trusted(tie: Matrix, varied: Queries) -> Queries:
    """The verifiers tied to the truth, and never fewer than the best three."""
    best = np.argsort(-tie, kind="stable")
    count = max(3, int((tie >= LEAST_TIE).sum()))
    return np.sort(varied[best[:count]])


def _described(names: list[str], varied: Queries, kept: Queries, known: Accuracies) -> list[dict[str, Any]]:
    place = {int(j): i for i, j in enumerate(kept)}
    out: list[dict[str, Any]] = []
    for j, name in enumerate(names):
        if j in place:
            i = place[j]
            out.append(
                {
                    "verifier": name,
                    "used": True,
                    "says_right_of_right": round(float(known.true_positive[i]), 4),
                    "says_right_of_wrong": round(float(known.false_positive[i]), 4),
                    "correlation_with_truth": round(float(known.tie[i]), 4),
                }
            )
        else:
            why = "the others do not support it" if j in varied else "it nearly always says the same"
            out.append({"verifier": name, "used": False, "why": why})
    return out


def _with_distilled(
    data: Dataset, queries: Queries, chance: Matrix, scored: Given
) -> tuple[Matrix, dict[str, float | int]]:
    """Chances with those of unscored rows from a distilled scorer, and how often it picks as the verifiers do."""
    roles = {role: data.roles[role] for role in (Role.EMBEDDING, Role.TEXT) if data.has(role)}
    if not roles:
        return chance, {"unscored": int((~scored).sum())}
    content = Dataset(data.table, roles, row_ids=data.row_ids)
    X = np.asarray(Signals(content)[Embedding()])
    half = np.random.default_rng(0).permutation(int(queries.max()) + 1)[queries] % 2 == 0
    told: dict[str, float | int] = {"unscored": int((~scored).sum())}
    if (half & scored).any() and (~half & scored).any():
        guess, rest = distil(X[half & scored], chance[half & scored])(X), ~half & scored
        same = np.isin(
            best_of(queries[rest], guess[rest], guess[rest]), best_of(queries[rest], chance[rest], guess[rest])
        )
        told["distilled_agrees"] = round(float(same.mean()), 4)
    if not scored.all():
        chance = np.where(scored, chance, distil(X[scored], chance[scored])(X))
    return chance, told
