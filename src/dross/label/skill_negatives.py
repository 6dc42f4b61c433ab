"""Skill negatives: which skills a sentence asks for, also where none is named, learnt from sentences that name them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.mentions import Lexicon, words_of
from dross.signals.embedding import Embedding
from dross.signals.ngrams import texts_of

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]
Taxonomy = dict[str, dict[str, list[str]]]
"""Group, skill, other names of the skill."""

STRATEGIES = ("related", "similar", "random")
CHUNK = 512


# ---- the mathematics ---------------------------------------------------------------------------------------------


def related_pool(matches: Flags, groups: Ints, skill: int) -> Ints:
    """Sentences that name a skill of the same group but not the skill, ascending; ``matches`` is (n, k), groups (k,).

    >>> matches = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], bool)
    >>> related_pool(matches, np.array([0, 0, 1]), 0).tolist()
    [1]
    """
    kin = np.flatnonzero((groups == groups[skill]) & (np.arange(len(groups)) != skill))
    return np.flatnonzero(matches[:, kin].any(axis=1) & ~matches[:, skill])


def similar_pool(vectors: Vectors, own: Ints, other: Ints, each: int) -> Ints:
    """The ``each`` rows of ``other`` nearest to each row of ``own`` by cosine, together, ascending. O(own · other · d).

    ``vectors``, shape (n, d), are of unit length.

    >>> vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], np.float32)
    >>> similar_pool(vectors, np.array([0]), np.array([1, 2]), 1).tolist()
    [1]
    """
    each = min(each, len(other))
    if not each or not len(own):
        return np.empty(0, np.int64)
    found = []
    for at in range(0, len(own), CHUNK):
        alike = vectors[own[at : at + CHUNK]] @ vectors[other].T
        found.append(np.unique(np.argpartition(-alike, each - 1, axis=1)[:, :each]))
    return other[np.unique(np.concatenate(found))]


def drawn(pools: list[Ints], spare: Ints, count: int, rng: np.random.Generator) -> Ints:
    """``count`` different negatives, ascending: as many from each pool, what a pool lacks from ``spare``.

    >>> rng = np.random.default_rng(0)
    >>> drawn([np.array([1, 2, 3]), np.array([7])], np.array([1, 2, 3, 7, 8]), 4, rng).tolist()[-2:]
    [7, 8]
    """
    taken = np.empty(0, np.int64)
    for i, pool in enumerate(pools):
        share = count * (i + 1) // len(pools) - count * i // len(pools)
        left = np.setdiff1d(pool, taken)
        taken = np.concatenate([taken, rng.permutation(left)[:share]])
    left = np.setdiff1d(spare, taken)
    return np.sort(np.concatenate([taken, rng.permutation(left)[: max(0, count - len(taken))]]))


def rp_at(probs: npt.NDArray[Any], truth: Flags, k: int = 5) -> npt.NDArray[np.float64]:
    """R-precision at k of each row, shape (n,): right ones among the k likeliest, over the smaller of k and all right.

    ``probs`` and ``truth``, shape (n, s); every row of ``truth`` has a right one.

    >>> rp_at(np.array([[0.9, 0.5, 0.1]]), np.array([[True, False, True]]), 2).tolist()
    [0.5]
    """
    top = np.argsort(-np.nan_to_num(probs, nan=-1.0), axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(truth, top, 1).sum(axis=1)
    return np.asarray(hits / np.minimum(truth.sum(axis=1), k), np.float64)


# ---- the labeler -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SkillNegatives(Labeler):
    """Which skills (topics, products, ...) of a taxonomy each sentence is about, also where their names do not stand.

    Decorte, Van Hautte, Deleu, Develder, Demeester, "Design of Negative Sampling Strategies for Distantly Supervised
    Skill Extraction", 2022. Sentences that name a skill are its positives; a classifier for each skill is fitted on
    sentence embeddings against negatives of three kinds: sentences that name a related skill (of the same group of the
    taxonomy), sentences most similar to the positives that do not name it, and random ones. Random negatives alone
    teach the topic; the others teach what sets a skill apart within it.

    A row that names skills gets those, in equal shares; another the odds of all classifiers, scaled to add up to 1; it
    abstains where no skill reaches ``least``. The paper trains on frozen RoBERTa; the embedding here is any.

    Attributes
    ----------
    taxonomy
        Triples of a group, a skill and its other names.
    file
        The same as a JSON file: ``{"group": {"skill": ["other name", ...]}}``.
    strategies
        Which kinds of negatives: ``related``, ``similar``, ``random``; of each as many.
    per_positive
        Negatives for each positive.
    most
        Positives of one skill, at most.
    fewest
        Positives a classifier needs; a skill with fewer is found by its names only.
    least
        The chance that the likeliest skill of a row must reach.
    model
        Of :class:`~dross.signals.embedding.Embedding`.
    strength
        The inverse of the regularisation of the classifiers.
    hide
        Whether the names are taken out of the texts that teach, so that what stands around them is learnt.
    """

    paper: ClassVar = Paper(
        "Design of Negative Sampling Strategies for Distantly Supervised Skill Extraction", 2022, "2209.05987"
    )
    needs: ClassVar = (Role.TEXT,)

    taxonomy: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    file: str = ""
    strategies: tuple[str, ...] = STRATEGIES
    per_positive: int = 20
    most: int = 500
    fewest: int = 5
    least: float = 0.0
    model: str = "auto"
    strength: float = 1.0
    hide: bool = True
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Find the names, fit the classifiers, label all rows."""
        self._check()
        known = self._taxonomy()
        if sum(len(skills) for skills in known.values()) < 2:
            return NotApplicable("needs a taxonomy of two skills or more: taxonomy=(...) or file=FILE")
        missing = self.applies(data)
        if missing is not None:
            return missing
        lexicon = Lexicon.of({skill: names for skills in known.values() for skill, names in skills.items()})
        place = {skill: g for g, skills in enumerate(known.values()) for skill in skills}
        groups = np.array([place[skill] for skill in lexicon.entities])
        matches = named(texts_of(data), lexicon)
        taught = np.flatnonzero(matches.sum(axis=0) >= self.fewest)
        if not len(taught):
            return NotApplicable(f"no skill is named by {self.fewest} rows or more")
        vectors = self._vectors(data, lexicon, signals)
        chances, counts = self._chances(vectors, matches, groups, taught, signals)
        return self._labels(lexicon, matches, chances, {**counts, "skills": len(groups), "classifiers": len(taught)})

    def _vectors(self, data: Dataset, lexicon: Lexicon, signals: Signals) -> Vectors:
        """The embedding of the texts, with the names of skills taken out where they are hidden."""
        texts = texts_of(data)
        if self.hide:
            texts = pa.array([unnamed(text, lexicon) for text in texts.to_pylist()], pa.large_string())
        read = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]}, row_ids=data.row_ids)
        found: Vectors = np.asarray(Signals(read, signals.store, signals.progress)[Embedding(self.model)])
        return found

    def _chances(
        self, vectors: Vectors, matches: Flags, groups: Ints, taught: Ints, signals: Signals
    ) -> tuple[npt.NDArray[np.float32], dict[str, int]]:
        """The chance of each skill on each row, shape (n, k), 0 where it has no classifier; and what taught them."""
        from sklearn.linear_model import LogisticRegression

        out = np.zeros(matches.shape, np.float32)
        counts = {"positives": 0, "negatives": 0}
        for done, skill in enumerate(taught.tolist()):
            rng = np.random.default_rng((self.seed, skill))
            own = np.sort(rng.permutation(np.flatnonzero(matches[:, skill]))[: self.most])
            other = np.flatnonzero(~matches[:, skill])
            if not len(other):
                out[:, skill] = 1
                continue
            pools = {
                "related": related_pool(matches, groups, skill) if "related" in self.strategies else other,
                "similar": similar_pool(vectors, own, other, self.per_positive)
                if "similar" in self.strategies
                else other,
                "random": other,
            }
            negatives = drawn([pools[name] for name in self.strategies], other, self.per_positive * len(own), rng)
            rows = np.concatenate([own, negatives])
            truth: Flags = np.isin(rows, own)
            fitted = LogisticRegression(C=self.strength, max_iter=500).fit(vectors[rows], truth)
            out[:, skill] = fitted.predict_proba(vectors)[:, 1]
            counts["positives"] += len(own)
            counts["negatives"] += len(negatives)
            signals.progress("skills", done + 1, len(taught))
        return out, counts

    def _labels(
        self, lexicon: Lexicon, matches: Flags, chances: npt.NDArray[np.float32], summary: dict[str, Any]
    ) -> Labels:
        literal = np.asarray(matches.any(axis=1), bool)
        chance = np.clip(chances, 0, 1 - 1e-6)
        odds = np.asarray(np.where(literal[:, None], matches, chance / (1 - chance)), np.float64)
        unsure = np.asarray(~literal & (chances.max(axis=1) < self.least), bool)
        odds[unsure] = np.nan
        total = odds.sum(axis=1, keepdims=True)
        probs = (odds / np.where(total > 0, total, np.nan)).astype(np.float32)
        origin = np.where(np.isnan(probs).any(axis=1), -1, np.where(literal, 0, 1)).astype(np.int32)
        summary["rows_that_name_a_skill"] = int(literal.sum())
        return Labels(list(lexicon.entities), probs, origin, ("its name", "classifier"), summary)

    def _check(self) -> None:
        for name in self.strategies:
            if name not in STRATEGIES:
                raise DrossError(f"no strategy is called {name!r}", fix=nearest(name, list(STRATEGIES)))
        if not self.strategies:
            raise DrossError("no strategy is named", fix="name one or more of: " + ", ".join(STRATEGIES))
        for name in ("per_positive", "most", "fewest"):
            if getattr(self, name) < 1:
                raise DrossError(f"{name} is {getattr(self, name)}", fix="give 1 or more")
        if not self.strength > 0:
            raise DrossError(f"strength is {self.strength}", fix="give a number above 0")

    def _taxonomy(self) -> Taxonomy:
        found: Taxonomy = {}
        for group, skill, names in self.taxonomy:
            found.setdefault(group, {})[skill] = list(names)
        if self.file:
            for group, skills in _read(self.file).items():
                found.setdefault(group, {}).update(skills)
        several = [skill for skills in found.values() for skill in skills]
        twice = next((skill for skill in several if several.count(skill) > 1), None)
        if twice is not None:
            raise DrossError(f"the skill {twice!r} stands in two groups", fix="give each skill one group")
        return found


def named(texts: pa.LargeStringArray, lexicon: Lexicon) -> Flags:
    """Which skills each text names, shape (n, k), by whole words, whatever their case; the longest name at each place.

    >>> named(pa.array(["SQL joins", "a sequel"], pa.large_string()), Lexicon.of({"sql": [], "python": []})).tolist()
    [[False, True], [False, False]]
    """
    out = np.zeros((len(texts), len(lexicon.entities)), bool)
    for row, text in enumerate(texts.to_pylist()):
        for _, _, skills in lexicon.find(words_of(text)):
            out[row, list(skills)] = True
    return out


def unnamed(text: str, lexicon: Lexicon) -> str:
    """The words of a text without those that name a skill.

    >>> unnamed("We write SQL and Python.", Lexicon.of({"sql": [], "python": []}))
    'we write and'
    """
    words = words_of(text)
    gone = {i for first, stop, _ in lexicon.find(words) for i in range(first, stop)}
    return " ".join(word for i, word in enumerate(words) if i not in gone)


def _read(path: str) -> Taxonomy:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DrossError("the taxonomy cannot be read", where=path, fix="give a JSON file") from error
    shape = isinstance(found, Mapping) and all(
        isinstance(skills, Mapping)
        and all(isinstance(n, list) and all(isinstance(one, str) for one in n) for n in skills.values())
        for skills in found.values()
    )
    if not shape:
        raise DrossError("the taxonomy has another form", where=path, fix='write {"group": {"skill": ["name", ...]}}')
    return {group: dict(skills) for group, skills in found.items()}
