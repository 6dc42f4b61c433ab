"""Few-shot prompts for classification, and a small model that answers them where no language model is at hand."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError

Probs = npt.NDArray[np.float64]
Scorer = Callable[[list[str], list[str]], Probs]
"""``scorer(prompts, labels)``: the chance of each label as the continuation of each prompt, shape (prompts, labels).

Anything may stand behind it, a server of language models included; rows need not add up to one.
"""

LONGEST = 600
"""Characters of a text that stand in a prompt."""
_WORD = re.compile(r"\w+", re.UNICODE)


@dataclass(frozen=True)
class Template:
    """One way to put the task.

    Attributes
    ----------
    task
        What is asked, one sentence; ``{labels}`` stands for the labels.
    text, answer
        The words before a text and before its label.
    """

    task: str
    text: str
    answer: str

    def prompt(self, shown: Sequence[tuple[str, str]], text: str, labels: Sequence[str]) -> str:
        """The task, the demonstrations (text, label) and the text to label, in blocks with blank lines between.

        Line breaks inside a text become blanks, so no text can look like a demonstration.

        >>> one = Template("Choose: {labels}.", "Text", "Label")
        >>> print(one.prompt([("good\\n\\nfilm", "yes")], "bad", ["no", "yes"]))
        Choose: no, yes.
        <BLANKLINE>
        Text: good film
        Label: yes
        <BLANKLINE>
        Text: bad
        Label:
        """
        blocks = [self.task.format(labels=", ".join(labels))]
        blocks += [f"{self.text}: {plain(one)}\n{self.answer}: {label}" for one, label in shown]
        blocks.append(f"{self.text}: {plain(text)}\n{self.answer}:")
        return "\n\n".join(blocks)


TEMPLATES = (
    Template("Classify the text as one of: {labels}.", "Text", "Label"),
    Template("Which category does each input belong to? The categories are {labels}.", "Input", "Category"),
    Template("Read the passage and choose the right class out of {labels}.", "Passage", "Class"),
    Template("Assign one of these tags: {labels}.", "Document", "Tag"),
    Template("The possible answers are {labels}. Give the answer that fits.", "Question text", "Answer"),
    Template("Label the examples in the same way as shown ({labels}).", "Example", "Output"),
    Template("Decide what the sentence is about or expresses: {labels}.", "Sentence", "Decision"),
    Template("You are an annotator. Allowed labels: {labels}.", "Item", "Annotation"),
    Template("Sort the texts into {labels}.", "Content", "Group"),
    Template("Predict the label. Options: {labels}.", "Observation", "Prediction"),
)


def plain(text: str) -> str:
    """One line of at most 600 characters.

    >>> plain("a\\n\\n b")
    'a b'
    """
    return " ".join(text.split())[:LONGEST]


def ngram_scorer(prompts: list[str], labels: list[str]) -> Probs:
    """Answer few-shot prompts from their demonstrations alone, by naive Bayes on words and pairs of words.

    Multinomial naive Bayes with Lidstone smoothing (Manning, Raghavan, Schütze, "Introduction to Information
    Retrieval", 2008, section 13.2). It reads the prompts of :class:`Template` and nothing else, not even the template's
    words; like most few-shot models it is surer of itself than it should be.

    >>> shown, labels = [("a fine film", "good"), ("a dull plot", "bad")], ["bad", "good"]
    >>> P = ngram_scorer([TEMPLATES[0].prompt(shown, "fine plot, fine cast", labels)], labels); bool(P[0, 1] > 0.5)
    True
    """
    out = np.empty((len(prompts), len(labels)))
    for i, prompt in enumerate(prompts):
        shown, _, asked = prompt.rpartition("\n\n")
        out[i] = _bayes(shown, tuple(labels))(_terms(_text_of(asked)))
    return out


@functools.lru_cache(maxsize=256)
def _bayes(shown: str, labels: tuple[str, ...]) -> Callable[[Counter[str]], Probs]:
    """A naive Bayes model of the demonstrations in a prompt."""
    k = len(labels)
    place = {label: c for c, label in enumerate(labels)}
    counts: dict[str, Probs] = {}
    seen = np.ones(k)
    for block in shown.split("\n\n")[1:]:
        text, _, given = block.rpartition("\n")
        label = given.partition(": ")[2]
        if label not in place:
            raise DrossError(f"a demonstration has the label {label!r}, which is none of {', '.join(labels)}")
        seen[place[label]] += 1
        for term, number in _terms(_text_of(text)).items():
            counts.setdefault(term, np.zeros(k))[place[label]] += number
    smooth = 0.5
    total = sum(counts.values(), np.zeros(k)) + smooth * (len(counts) + 1)
    logs = {term: np.log((number + smooth) / total) for term, number in counts.items()}
    prior = np.log(seen / seen.sum())

    def answer(terms: Counter[str]) -> Probs:
        s = prior + sum((number * logs[term] for term, number in terms.items() if term in logs), np.zeros(k))
        p = np.exp(s - s.max())
        chance: Probs = p / p.sum()
        return chance

    return answer


@functools.lru_cache(maxsize=16_384)
def _terms(text: str) -> Counter[str]:
    words = _WORD.findall(text.lower())
    return Counter(words) + Counter(map(" ".join, pairwise(words)))


def _text_of(block: str) -> str:
    return block.partition("\n")[0].partition(": ")[2]


def asked(scorer: Scorer, prompts: list[str], labels: list[str]) -> Probs:
    """The scorer's answers, checked and made to add up to one, shape (n, k)."""
    found = np.asarray(scorer(prompts, labels), np.float64)
    if found.shape != (len(prompts), len(labels)):
        raise DrossError(f"the scorer gave {found.shape} numbers for {len(prompts)} prompts and {len(labels)} labels")
    total = found.sum(axis=1, keepdims=True)
    if not (np.isfinite(found).all() and (found >= 0).all() and (total > 0).all()):
        first = int(np.flatnonzero(~(np.isfinite(found).all(axis=1) & (found >= 0).all(axis=1) & (total[:, 0] > 0)))[0])
        raise DrossError("the scorer gave no probabilities", where=f"prompt {first}")
    probs: Probs = found / total
    return probs


def draw(codes: npt.NDArray[np.int64], k: int, shots: int, rng: np.random.Generator) -> list[int]:
    """Positions of ``shots`` demonstrations out of labelled rows, as many of each class as can be, in random order.

    >>> sorted(draw(np.array([0, 0, 0, 1]), 2, 2, np.random.default_rng(0)))[1]
    3
    """
    dealt = [rng.permutation(np.flatnonzero(codes == c)).tolist() for c in rng.permutation(k)]
    rounds = [one[i] for i in range(max(map(len, dealt), default=0)) for one in dealt if i < len(one)]
    chosen = rounds[: min(shots, len(rounds))]
    return [chosen[i] for i in rng.permutation(len(chosen))]
