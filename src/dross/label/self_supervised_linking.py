"""Self-supervised linking: which entity an ambiguous name means, learnt from texts where other names say it plainly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.contrastive import SHARPNESS, STEPS, improve, unit
from dross.models.directions import main_directions
from dross.models.mentions import Lexicon, Match, around, words_of
from dross.signals.ngrams import Terms, choose_terms, count_ngrams, texts_of, weigh

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

DIMENSIONS = 64
NEAR, FAR = 3, 40
"""Words on each side of a mention that count by themselves, and that count together."""
MOST_PER_ENTITY = 500
"""Self-supervised mentions of one entity that are kept."""
PROTOTYPES = 100
NEAREST = 3
HELD_OUT = 0.25
ROUNDS = 6
"""Times a hundred steps of contrastive training."""
PRIORS = (0.0, 0.25, 0.5, 1.0)
SCALES = (2.0, 4.0, 8.0, 12.0, 20.0, 40.0)
MARKS = ("[[", "]]")


# ---- prototypes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prototypes:
    """Encoded mentions of every entity, and how often each entity is mentioned plainly.

    ``vectors`` (p, d) belong to ``entities`` (p,); ``counts`` (e,).
    """

    vectors: Vectors
    entities: Ints
    counts: Ints

    def likeness(self, asked: Vectors, candidates: Sequence[int]) -> Floats:
        """The mean cosine to each candidate's :data:`NEAREST` nearest prototypes, (q, c); -1 where it has none."""
        out = np.full((len(asked), len(candidates)), -1.0)
        for c, entity in enumerate(candidates):
            own = self.vectors[self.entities == entity]
            if len(own):
                cosines = np.sort(asked @ own.T, axis=1)[:, -NEAREST:]
                out[:, c] = cosines.mean(axis=1)
        return out

    def scores(self, asked: Vectors, candidates: Sequence[int], scale: float, prior: float) -> Floats:
        """The logarithms, up to a constant, of each candidate's chance, (q, c)."""
        known = np.log(self.counts[np.asarray(candidates)] + 0.5)
        return np.asarray(scale * self.likeness(asked, candidates) + prior * known)


# ---- mentions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contexts:
    """Mentions: the words near each and further around it, the row it stands in, the entity (-1 if it is asked for).

    ``totals`` (e,) says how often each entity is mentioned in all, kept here or not.
    """

    near: list[str]
    far: list[str]
    rows: Ints
    entities: Ints
    totals: Ints

    def matrix(self, terms: tuple[Terms, Terms]) -> Any:
        """TF-IDF weights of the near and of the far words side by side, (m, f), sparse."""
        from scipy.sparse import hstack

        parts = [
            weigh(count_ngrams(pa.array(words, pa.large_string())), each)
            for words, each in zip((self.near, self.far), terms, strict=True)
        ]
        return hstack([0.5 * parts[0], parts[1]], format="csr", dtype=np.float32)

    def terms(self) -> tuple[Terms, Terms]:
        """The n-grams that count."""
        near, far = (
            choose_terms(count_ngrams(pa.array(words, pa.large_string())), least=2) for words in (self.near, self.far)
        )
        return near, far


def context(words: list[str], match: Match, drop: Sequence[Match] = ()) -> tuple[str, str]:
    """The words near a mention and those further around it."""
    start, stop, _ = match
    return around(words, start, stop, NEAR, drop), around(words, start, stop, FAR, drop)


def plain_mentions(texts: list[list[str]], lexicon: Lexicon, seed: int) -> Contexts:
    """Every mention by a name that only one entity has, at most :data:`MOST_PER_ENTITY` of each.

    In every second one the other mentions of the entity are dropped from the context: else the encoder would look for
    nothing but the name.
    """
    rng = np.random.default_rng(seed)
    found: list[list[tuple[int, str, str]]] = [[] for _ in lexicon.entities]
    totals = np.zeros(len(found), np.int64)
    for row in rng.permutation(len(texts)):
        matches = lexicon.find(texts[row])
        for match in matches:
            entity = match[2][0]
            if len(match[2]) > 1:
                continue
            totals[entity] += 1
            if len(found[entity]) >= MOST_PER_ENTITY:
                continue
            drop = [m for m in matches if entity in m[2]] if len(found[entity]) % 2 else []
            found[entity].append((int(row), *context(texts[row], match, drop)))
    table = [(e, *each) for e, own in enumerate(found) for each in own]
    rows, entities = (np.array([each[i] for each in table], np.int64) for i in (1, 0))
    return Contexts([t[2] for t in table], [t[3] for t in table], rows, entities, totals)


def asked_mentions(values: list[str], lexicon: Lexicon) -> tuple[Contexts, list[tuple[int, ...]]]:
    """The mention each row asks about, and the entities that it may mean: the marked one, else the first name found.

    >>> lexicon = Lexicon.of({"river bank": ["bank"], "credit bank": ["bank"]})
    >>> asked, candidates = asked_mentions(["at the [[bank]] it", "no name"], lexicon)
    >>> asked.near, asked.rows.tolist(), candidates
    (['at the it'], [0], [(0, 1)])
    """
    near, far, rows, meant = [], [], [], []
    for row, value in enumerate(values):
        before, mark, rest = value.partition(MARKS[0])
        inside, end, after = rest.partition(MARKS[1])
        if mark and end:
            words, start, name = words_of(before), len(words_of(before)), words_of(inside)
            words = [*words, *name, *words_of(after)]
            sharing = lexicon.names.get(tuple(name))
            match = (start, start + len(name), sharing) if sharing else None
        else:
            words = words_of(value)
            match = next(iter(lexicon.find(words)), None)
        if match is not None:
            both = context(words, match)
            near.append(both[0])
            far.append(both[1])
            rows.append(row)
            meant.append(match[2])
    return Contexts(near, far, np.array(rows, np.int64), np.full(len(rows), -1), np.zeros(0, np.int64)), meant


# ---- learning without labels --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linker:
    """The encoder, the prototypes, how much likeness and prior count, and what was right of mentions left out."""

    terms: tuple[Terms, Terms]
    W: Vectors
    prototypes: Prototypes
    scale: float
    prior: float
    measured: Mapping[str, Any]

    def chances(self, asked: Contexts, candidates: list[tuple[int, ...]]) -> list[Floats]:
        """For each mention the chance of each of its candidates."""
        from scipy.special import softmax

        Z = unit(np.asarray(asked.matrix(self.terms) @ self.W))
        out: list[Floats] = [np.ones(len(each)) for each in candidates]
        by: dict[tuple[int, ...], list[int]] = {}
        for i, each in enumerate(candidates):
            by.setdefault(each, []).append(i)
        for each, places in by.items():
            scores = softmax(self.prototypes.scores(Z[places], each, self.scale, self.prior), axis=1)
            for i, row in zip(places, scores, strict=True):
                out[i] = row
        return out


def gather(Z: Vectors, entities: Ints, totals: Ints, rng: np.random.Generator) -> Prototypes:
    """At most :data:`PROTOTYPES` mentions of each entity, drawn at random."""
    order = rng.permutation(len(entities))
    order = order[np.argsort(entities[order], kind="stable")]
    sizes = np.bincount(entities, minlength=len(totals))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = np.sort(order[rank < PROTOTYPES])
    return Prototypes(Z[kept], entities[kept], totals)


class Check:
    """Mentions left out, put as questions: which of the entities that share a name each of them is."""

    def __init__(self, entities: Ints, rivals: list[Ints], totals: Ints) -> None:
        self.groups: list[tuple[Ints, Ints, Ints]] = []
        self.weights = totals
        for entity in np.unique(entities):
            places = np.flatnonzero(entities == entity)
            truth = np.searchsorted(rivals[entity], np.full(len(places), entity))
            if len(rivals[entity]) > 1:
                self.groups.append((places, rivals[entity], truth))

    def accuracy(self, Z: Vectors, prototypes: Prototypes, scale: float, prior: float) -> tuple[float, float]:
        """The share answered rightly and the mean log-likelihood of the right answers.

        Entities count by how often they are mentioned in all.
        """
        from scipy.special import log_softmax

        if not self.groups:
            return 0.0, 0.0
        right: list[float] = []
        likely: list[float] = []
        shares: list[float] = []
        for places, candidates, truth in self.groups:
            scores = prototypes.scores(Z[places], candidates.tolist(), scale, prior)
            right.append(float((scores.argmax(axis=1) == truth).mean()))
            likely.append(float(log_softmax(scores, axis=1)[np.arange(len(truth)), truth].mean()))
            shares.append(float(self.weights[candidates[truth[0]]]))
        return float(np.average(right, weights=shares)), float(np.average(likely, weights=shares))


def learn(mentions: Contexts, rivals: list[Ints], seed: int) -> Linker:
    """Train the encoder on three quarters of the texts with plain mentions, stop and set the scales by the others."""
    rng = np.random.default_rng(seed)
    terms = mentions.terms()
    X, e = mentions.matrix(terms), mentions.entities
    rows = np.unique(mentions.rows)
    held = np.isin(mentions.rows, rng.permutation(rows)[: round(HELD_OUT * len(rows))])
    kept = np.flatnonzero(~held)
    members = [own for own in (kept[e[kept] == i] for i in range(len(rivals))) if len(own) > 1]
    check = Check(e[held], rivals, mentions.totals)
    W, _ = main_directions(X[kept], DIMENSIONS, seed=seed)
    energy = np.full((X.shape[1], 1), 1e-4, np.float32)
    tried: list[tuple[float, float, Vectors]] = []
    for done in range(ROUNDS + 1):
        if done and len(members) > 1:
            W = improve(X, members, W, energy, rng)
        Z = unit(np.asarray(X @ W))
        own = gather(Z[kept], e[kept], mentions.totals, np.random.default_rng(seed))
        tried.append((*check.accuracy(Z[held], own, SHARPNESS, 0.0), W))
    best = max(range(ROUNDS + 1), key=lambda i: tried[i][1])
    W = tried[best][2]
    Z = unit(np.asarray(X @ W))
    own = gather(Z[kept], e[kept], mentions.totals, np.random.default_rng(seed))
    scale, prior = max(
        ((s, p) for s in SCALES for p in PRIORS), key=lambda each: check.accuracy(Z[held], own, *each)[1]
    )
    measured = {
        "mentions_learnt_from": len(kept),
        "mentions_left_out": int(sum(len(places) for places, _, _ in check.groups)),
        "accuracy": check.accuracy(Z[held], own, scale, prior)[0],
        "accuracy_of_the_commonest": check.accuracy(Z[held], own, 0.0, 1.0)[0],
        "accuracy_before_contrastive_training": tried[0][0],
        "contrastive_steps": best * STEPS,
    }
    everything = gather(Z, e, mentions.totals, np.random.default_rng(seed))
    return Linker(terms, W, everything, scale, prior, measured)


# ---- the labeler --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SelfSupervisedLinking(Labeler):
    """Which entity of a dictionary a row's mention means, also where several share the name; no label is needed.

    Zhang et al., "Knowledge-Rich Self-Supervision for Biomedical Entity Linking", 2021: names of the dictionary are
    found in unlabelled text; contexts of the same entity are drawn together and others pushed apart by a contrastive
    loss; some of the mentions are kept as prototypes, and a mention is linked to the entity of the nearest ones.

    Mentions to learn from are those by a name that only one entity has; the name itself is hidden. The encoder is a
    linear map of the words near the mention and around it, trained by gradient descent from the main directions; where
    to stop, and how much the prior counts, is chosen on plain mentions left out, of which the summary tells how many
    are told from the entities they share a name with. The paper trains a transformer on the same loss.

    A row asks about its mention in ``[[…]]``, else about the first name in it; a row without a name abstains.

    Attributes
    ----------
    aliases
        Pairs of an entity and its other names.
    dictionary
        The same as a JSON file: ``{"entity": ["alias", …], …}``.
    """

    paper: ClassVar = Paper("Knowledge-Rich Self-Supervision for Biomedical Entity Linking", 2021, "2112.07887")
    alias: ClassVar = "krissbert"
    needs: ClassVar = (Role.TEXT,)

    aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    dictionary: str = ""
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Link every row that names an entity."""
        given = self._dictionary()
        if len(given) < 2:
            return NotApplicable("needs a dictionary of two entities or more: aliases=(...) or dictionary=FILE")
        lexicon = Lexicon.of(given)
        values = texts_of(data).to_pylist()
        mentions = plain_mentions([words_of(v) for v in values], lexicon, self.seed)
        asked, candidates = asked_mentions(values, lexicon)
        if not len(asked.rows):
            return NotApplicable("no row holds a name of the dictionary")
        summary: dict[str, Any] = {"entities": len(given), "plain_mentions": int(mentions.totals.sum())}
        if all(len(each) == 1 for each in candidates):
            chances: list[Floats] = [np.ones(1) for _ in candidates]
        else:
            rivals = lexicon.rivals()
            reason = _too_few(mentions, rivals)
            if reason:
                return NotApplicable(reason)
            linker = learn(mentions, rivals, self.seed)
            chances = linker.chances(asked, candidates)
            summary |= linker.measured
        probs = np.full((len(data), len(given)), np.nan, np.float32)
        origin = np.full(len(data), -1, np.int32)
        for row, each, chance in zip(asked.rows, candidates, chances, strict=True):
            probs[row] = 0
            probs[row, list(each)] = chance
            origin[row] = 0 if len(each) == 1 else 1
        return Labels(list(lexicon.entities), probs, origin, ("name", "context"), summary)

    def _dictionary(self) -> dict[str, Sequence[str]]:
        found: dict[str, Sequence[str]] = dict(self.aliases)
        if self.dictionary:
            try:
                read = json.loads(Path(self.dictionary).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise DrossError(f"the dictionary cannot be read: {error}", where=self.dictionary) from error
            if not isinstance(read, dict) or not all(isinstance(names, list) for names in read.values()):
                raise DrossError("not a dictionary", where=self.dictionary, fix='write {"entity": ["alias", …], …}')
            found |= {str(entity): [str(name) for name in names] for entity, names in read.items()}
        return found


def _too_few(mentions: Contexts, rivals: list[Ints]) -> str:
    shared = [i for i, own in enumerate(rivals) if len(own) > 1]
    counts = np.bincount(mentions.entities, minlength=len(rivals))[shared]
    several = int((counts >= 4).sum())
    if several < 2 or len(np.unique(mentions.rows)) < 8:
        return f"{several} entities that share a name are mentioned plainly 4 times or more; two are needed"
    return ""
