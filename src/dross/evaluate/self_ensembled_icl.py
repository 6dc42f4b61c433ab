"""Self-ensembled in-context learning: accuracy and calibration of few-shot prompts, alone and averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset, Rows
from dross.core.errors import DrossError
from dross.core.method import Evaluator
from dross.core.paper import Paper
from dross.core.results import Estimate, Metrics, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled, splits_of
from dross.models.few_shot import TEMPLATES, Probs, Scorer, Template, asked, draw, ngram_scorer
from dross.models.reliability import expected_calibration_error
from dross.signals.ngrams import texts_of

Vary = Literal["both", "demonstrations", "templates"]
LEAST_JUDGED = 20
RESAMPLES = 200


@dataclass(frozen=True)
class SelfEnsembledIcl(Evaluator):
    """How accurate and how well calibrated a few-shot classifier is, one prompt at a time and averaged over several.

    Li et al., "On Task Performance and Model Calibration with Supervised and Self-Ensembled In-Context Learning", 2023:
    few-shot answers are surer than they should be and hang on which demonstrations and which wording the prompt
    happens to have; averaging the probabilities over several variations calibrates them at no loss of accuracy. The
    numbers of one prompt are means over the variations. Overconfidence is the mean confidence less the accuracy: where
    one prompt has none, averaging makes the answers too cautious. The paper's comparison with fine-tuning is not part
    of it.

    Demonstrations come from the labelled training rows (half of the labelled rows where there are no parts), rows of
    the other parts are judged.

    Attributes
    ----------
    shots
        Demonstrations in a prompt.
    variations
        Prompts for each row.
    vary
        What differs between them: ``demonstrations``, ``templates`` (the wording) or ``both``.
    rows
        Rows judged at most; the scorer is asked ``rows × variations`` times.
    pool
        Labelled rows from which demonstrations may be drawn; None takes all.
    scorer
        Gives the chance of each label as a prompt's continuation: a language model behind any server, or the built-in
        n-gram model, which reads nothing but the demonstrations (so templates make no difference to it).
    templates
        The wordings.
    bins
        Of the calibration error.
    seed
        Of the choice of rows and demonstrations.
    """

    paper: ClassVar = Paper(
        "On Task Performance and Model Calibration with Supervised and Self-Ensembled In-Context Learning",
        2023,
        "2312.13772",
    )
    needs: ClassVar = (Role.TEXT, Role.LABEL)

    shots: int = 16
    variations: int = 10
    vary: Vary = "both"
    rows: int = 200
    pool: int | None = None
    scorer: Scorer = ngram_scorer
    templates: tuple[Template, ...] = TEMPLATES
    bins: int = 10
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Metrics | NotApplicable:
        """Accuracy and expected calibration error of single prompts and of their average, with bootstrap intervals."""
        self._check()
        k = len(data.classes)
        if k < 2:
            return NotApplicable("there is one class only")
        pool, judged = self._parts(data)
        if len(judged) < LEAST_JUDGED or len(np.unique(data.codes[pool])) < k:
            return NotApplicable(
                f"{len(judged)} labelled rows to judge and {len(np.unique(data.codes[pool]))} of {k} classes to show: "
                f"{LEAST_JUDGED} rows and every class are needed"
            )
        codes = data.codes[judged].astype(np.int64)
        every = self.answers(data, pool, judged)
        numbers = figures(every, codes, self.bins)
        rng = np.random.default_rng((self.seed, 1))
        draws = [rng.integers(0, len(codes), len(codes)) for _ in range(RESAMPLES)]
        again = [figures(every[:, rows], codes[rows], self.bins) for rows in draws]
        values: dict[str, Estimate] = {}
        for name, value in numbers.items():
            half = 1.96 * float(np.std([one[name] for one in again]))
            values[name] = (value, value - half, value + half)
        summary = {
            "shots": min(self.shots, len(pool)),
            "variations": self.variations,
            "vary": self.vary,
            "judged_rows": len(judged),
            "prompts": len(judged) * self.variations,
            "pool": len(pool),
        }
        return Metrics(values, summary)

    def answers(self, data: Dataset, pool: Rows, judged: Rows) -> Probs:
        """The chances each variation gives, shape (variations, m, k), for the rows ``judged`` (m,)."""
        texts, labels = texts_of(data), [str(name) for name in data.classes]
        rng = np.random.default_rng(self.seed)
        codes, k = data.codes[pool].astype(np.int64), len(labels)
        wording = rng.permutation(len(self.templates))
        shown = draw(codes, k, self.shots, rng)
        out = np.empty((self.variations, len(judged), k))
        for i in range(self.variations):
            if i and self.vary != "templates":
                shown = draw(codes, k, self.shots, rng)
            template = self.templates[wording[i % len(wording) if self.vary != "demonstrations" else 0]]
            pairs = [(texts[int(pool[j])].as_py(), labels[codes[j]]) for j in shown]
            prompts = [template.prompt(pairs, texts[int(row)].as_py(), labels) for row in judged]
            out[i] = asked(self.scorer, prompts, labels)
        return out

    def _parts(self, data: Dataset) -> tuple[Rows, Rows]:
        """Labelled rows to show and labelled rows to judge."""
        order = shuffled(data, self.seed)
        order = order[data.codes[order] >= 0]
        parts = splits_of(data)
        if len(parts.names) > 1:
            pool, judged = order[parts.codes[order] == 0], order[parts.codes[order] > 0]
        else:
            pool, judged = order[: len(order) // 2], order[len(order) // 2 :]
        return pool[: self.pool], judged[: self.rows]

    def _check(self) -> None:
        if min(self.shots, self.variations, self.rows, self.bins) < 1 or not self.templates:
            raise DrossError("shots, variations, rows and bins must be at least 1, and there must be a template")
        if self.vary not in ("both", "demonstrations", "templates"):
            raise DrossError(f"no way to vary is called {self.vary!r}", fix="choose both, demonstrations or templates")


def figures(every: Probs, codes: npt.NDArray[np.int64], bins: int) -> dict[str, float]:
    """Accuracy and calibration error of the mean of several answers, and the mean of theirs; ``every`` (v, n, k).

    >>> P = np.array([[[0.9, 0.1], [0.9, 0.1]], [[0.1, 0.9], [0.9, 0.1]]])
    >>> {name: round(value, 2) for name, value in figures(P, np.array([0, 0]), 10).items()}
    {'accuracy': 1.0, 'accuracy of one prompt': 0.75, 'calibration error': 0.3, 'calibration error of one prompt': 0.25,
     'relative cut of the calibration error': -0.2, 'overconfidence': -0.3, 'overconfidence of one prompt': 0.15}
    """
    mean = every.mean(axis=0)
    alone = float(np.mean([expected_calibration_error(P, codes, bins) for P in every]))
    together = expected_calibration_error(mean, codes, bins)
    right, right_alone = float((mean.argmax(axis=1) == codes).mean()), float((every.argmax(axis=2) == codes).mean())
    return {
        "accuracy": right,
        "accuracy of one prompt": right_alone,
        "calibration error": together,
        "calibration error of one prompt": alone,
        "relative cut of the calibration error": 1 - together / alone if alone > 0 else 0.0,
        "overconfidence": float(mean.max(axis=1).mean()) - right,
        "overconfidence of one prompt": float(every.max(axis=2).mean()) - right_alone,
    }
