"""Mentions: where the names of a dictionary stand in texts, and the words around them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Name = tuple[str, ...]
Match = tuple[int, int, tuple[int, ...]]
"""First word, word after the last, and the entities that have the name."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case.

    >>> words_of("The k-means of X_1.")
    ['the', 'k-means', 'of', 'x', '1']
    """
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Lexicon:
    """Which entities each name may mean; names are tuples of words."""

    entities: tuple[str, ...]
    names: Mapping[Name, tuple[int, ...]]
    longest: Mapping[str, int]
    """By first word, how many words the longest name has."""

    @classmethod
    def of(cls, aliases: Mapping[str, Sequence[str]]) -> Lexicon:
        """From each entity's aliases; its own name is one of them. Entities are in order of name.

        >>> lexicon = Lexicon.of({"river bank": ["bank"], "credit bank": ["bank", "savings bank"]})
        >>> lexicon.names["bank",], lexicon.names["savings", "bank"]
        ((0, 1), (0,))
        """
        entities = tuple(sorted(aliases))
        names: dict[Name, list[int]] = {}
        longest: dict[str, int] = {}
        for i, entity in enumerate(entities):
            for alias in dict.fromkeys([entity, *aliases[entity]]):
                name = tuple(words_of(alias))
                if name and i not in names.setdefault(name, []):
                    names[name].append(i)
                    longest[name[0]] = max(longest.get(name[0], 0), len(name))
        return cls(entities, {name: tuple(found) for name, found in names.items()}, longest)

    def rivals(self) -> list[Ints]:
        """For each entity those that share a name with it, itself among them."""
        found: list[set[int]] = [{i} for i in range(len(self.entities))]
        for sharing in self.names.values():
            for i in sharing:
                found[i].update(sharing)
        return [np.array(sorted(each), np.int64) for each in found]

    def find(self, words: Sequence[str]) -> list[Match]:
        """The names in a text, the longest at each place, left to right without overlap.

        >>> Lexicon.of({"bank": [], "savings bank": []}).find(["the", "savings", "bank"])
        [(1, 3, (1,))]
        """
        found: list[Match] = []
        i = 0
        while i < len(words):
            for size in range(min(self.longest.get(words[i], 0), len(words) - i), 0, -1):
                meant = self.names.get(tuple(words[i : i + size]))
                if meant:
                    found.append((i, i + size, meant))
                    i += size - 1
                    break
            i += 1
        return found


def around(words: Sequence[str], start: int, stop: int, width: int, drop: Sequence[Match] = ()) -> str:
    """The words before and after a mention, which itself is left out, as are the mentions to drop.

    >>> around("a b c d e".split(), 2, 3, 2), around("a b c d e".split(), 2, 3, 2, [(0, 1, (0,))])
    ('a b d e', 'b d e')
    """
    gone = {i for first, last, _ in drop for i in range(first, last)}
    places = [*range(max(0, start - width), start), *range(stop, min(len(words), stop + width))]
    return " ".join(words[i] for i in places if i not in gone)
