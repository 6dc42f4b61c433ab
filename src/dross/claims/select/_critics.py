"""A manager and workers of the claim about CritiQ: what they see in a text, and what they say."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise

import numpy as np

from dross.claims import _scripted
from dross.claims.label._docstrings import docstrings
from dross.claims.select._degraded import BOILERPLATE, SOURCES
from dross.llm.prompt import Answer, Complete, Prompt
from dross.llm.schema import CANNOT_TELL

DEFECTS = {
    "scrambled letters": "words are no words, their letters scrambled letters",
    "words out of order": "there are words out of order",
    "web remains": "there are web remains such as cookie notices",
    "the same again": "a line says the same again and again",
}
"""What the manager may put into a description, by the phrase that workers understand."""
VAGUE = ("style", "depth", "interest", "usefulness", "tone", "length", "elegance", "novelty", "focus", "rigour",
         "warmth", "ambition", "polish", "scope", "balance", "voice", "reach", "weight", "charm", "order", "care",
         "wit", "rhythm", "calm", "energy", "candour", "taste", "sense", "shape", "colour", "force", "ease", "grace",
         "detail", "vision", "trust", "courage", "harmony", "purpose", "insight")  # fmt: skip
ERRS, CLEAR, NOTICES = 0.05, 0.1, 0.7
"""How often a worker errs, what share of a text must differ for it to tell, and how often the manager sees a defect."""
SHREWD = 0.2
"""How often a new criterion rests on what stands in three of the pairs, instead of on nothing."""


@cache
def _known() -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """Words of clean documentation, and pairs of words in a row: what a reader knows of the language."""
    texts = [d.text.split() for source in SOURCES for d in docstrings(source)]
    return frozenset(w for t in texts for w in t), frozenset(p for t in texts for p in pairwise(t))


@cache
def seen(text: str) -> dict[str, float]:
    """About what share of a text each defect spoils."""
    words, (known, pairs) = text.split(), _known()
    n = max(len(words), 1)
    stale = sum(len(b.split()) * text.count(b) for b in BOILERPLATE) / n
    fours = [tuple(words[i : i + 8]) for i in range(len(words) - 7)]
    again = 1 - len(set(fours)) / max(len(fours), 1)
    odd = [w not in known for w in words]
    strange = [not odd[i] and not odd[i + 1] and (words[i], words[i + 1]) not in pairs for i in range(len(words) - 1)]
    return {
        "scrambled letters": sum(odd) / n,
        "words out of order": sum(strange) / n,
        "web remains": stale,
        "the same again": again,
    }


def worker(name: str) -> Complete:
    """Compares by the defects that a criterion's description names; where it names none, by whim."""

    def one(prompt: Prompt) -> Answer:
        rules, texts = _scripted.rules(prompt), _scripted.data(_scripted.last(prompt))
        told = re.search(r"The criterion: (.*?)\n", rules)
        assert told is not None
        criterion = told.group(1)
        own = _scripted.whim(name, criterion, *texts)
        phrases = [phrase for phrase in DEFECTS if phrase in criterion]
        a, b = (sum(seen(text)[phrase] for phrase in phrases) for text in texts)
        if phrases and abs(a - b) < CLEAR:
            label = CANNOT_TELL
        else:
            better = "A" if (a < b if phrases else own.random() < 0.5) else "B"
            label = better if own.random() >= ERRS else ("B" if better == "A" else "A")
        return Answer(json.dumps({"reason": f"by {', '.join(phrases) or 'feeling'}", "label": label}))

    return lambda prompts: [one(prompt) for prompt in prompts]


def described(phrases: list[str]) -> str:
    """A description that names these defects.

    >>> described(["web remains"])
    'A text is worse where there are web remains such as cookie notices.'
    """
    return f"A text is worse where {'; where '.join(DEFECTS[p] for p in phrases)}." if phrases else ""


def manager(name: str) -> Complete:
    """Proposes vague criteria, and some that name a defect it noticed in a pair; learns of others from mistakes."""

    def noticed(text: str, own: np.random.Generator) -> str:
        found = seen(text)
        worst = max(found, key=lambda phrase: found[phrase])
        return worst if found[worst] > CLEAR and own.random() < NOTICES else ""

    def proposed(told: str, texts: list[str]) -> list[dict[str, str]]:
        own, wanted = _scripted.whim(name, told), re.search(r"Propose (\d+) ", told)
        assert wanted is not None
        free = [word for word in VAGUE if f"- {word}:" not in told]
        made = []
        for word in own.permutation(free)[: int(wanted.group(1))].tolist():
            looked = own.permutation(len(texts) // 2)[:3].tolist() if own.random() < SHREWD else []
            found = sorted({phrase for i in looked if (phrase := noticed(texts[2 * i + 1], own))})
            made.append({"name": word, "description": described(found) or f"The text has good {word}."})
        return made

    def reworded(told: str, critiques: list[str]) -> str:
        line = re.search(r"The criterion '.*?': (.*)", told)
        assert line is not None
        before = [phrase for phrase in DEFECTS if phrase in line.group(1)]
        named = [p for c in critiques for p in DEFECTS if p in c and p not in before]
        more = [max(sorted(set(named)), key=named.count)] if named else []
        return (
            "A text is worse where " + "; where ".join(DEFECTS[p] for p in [*before, *more]) if before or more else ""
        )

    def one(prompt: Prompt) -> Answer:
        told = _scripted.last(prompt)
        texts = _scripted.data(told)
        if "Propose " in told:
            return Answer(json.dumps({"criteria": proposed(told, texts)}))
        if "Here it was wrong" in told:
            phrase = noticed(texts[1], _scripted.whim(name, told))
            return Answer(json.dumps({"critique": f"It should heed {phrase or 'the whole'}."}))
        return Answer(json.dumps({"description": reworded(told, texts)}))

    return lambda prompts: [one(prompt) for prompt in prompts]
