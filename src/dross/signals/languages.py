"""A compact guess at the language of a text: its script, and the small words that only some languages use."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SCRIPTS = {
    "LATIN": "", "CYRILLIC": "", "GREEK": "greek", "ARABIC": "", "HEBREW": "hebrew", "DEVANAGARI": "hindi",
    "BENGALI": "bengali", "TAMIL": "tamil", "TELUGU": "telugu", "THAI": "thai", "HANGUL": "korean",
    "HIRAGANA": "japanese", "KATAKANA": "japanese", "CJK": "chinese", "GEORGIAN": "georgian", "OTHER": "",
}  # fmt: skip
"""The scripts told apart, and the language where one stands for the script."""

_SMALL_WORDS = {
    "english": "the of and to in is that it was for with as on are this be by not have you at from which his "
    "they a an or will can my i if how what do",
    "german": "der die und das ist nicht von mit sich den auf für ein eine dem zu im wird auch als wir sind hat",
    "french": "les des est une dans pour qui pas sur par plus avec sont cette mais nous aux être ont était du ne",
    "spanish": "los las del una por para con como más pero sus este fue son también entre está el muy hay sobre y",
    "portuguese": "não uma dos para com mais como foi são também pelo pela ser está das nos "
    "ele ao isso muito seu os em um na",
    "italian": "che della non una per sono gli nel alla più anche come questo dei delle è stato ha nella dal di il",
    "dutch": "het een van niet dat zijn voor met ook aan maar deze worden naar werd door bij wordt heeft hij op om",
    "swedish": "och att det som inte för med är på har till av den ett från kan var vid också när eller han",
    "danish": "og at det ikke til af en er på med som har blev efter også var hun fra kan der eller ved",
    "polish": "nie się jest na że w z do i jak ale przez tak dla jego został są tym także przy który oraz może było",
    "czech": "není že se je na jsou v z do i a si jako byl pro při také které "
    "jeho který nebo podle mezi však roku jsem jen bylo",
    "romanian": "și este care pentru din nu mai sunt fost prin sau după această său lui fi către între în",
    "turkish": "bir ve için ile bu olarak daha çok olan gibi kadar ne ancak sonra her değil de da en ise",
    "finnish": "ja on ei hänen sekä voi ettei että oli se hän mutta kun myös tai joka "
    "ovat kuin hänen olla mukaan ole sen ovat",
    "hungarian": "az és a hogy nem egy is volt meg csak már még ez azt vagy mint lehet után közül által",
    "vietnamese": "và của là có cho trong không được với các một những để đã này người khi từ về như",
    "indonesian": "yang dan di dengan untuk dari pada ini itu tidak adalah dalam oleh akan juga telah ke dapat",
    "russian": "и в не на что с как это он по но его к из у за от так все она для до был было они",
    "ukrainian": "і в не на що з як це він та до його від за але для був були також які її або під після",
    "bulgarian": "и на в да не за се от това са със като по което има до но е той при или след",
    "arabic": "في من على إلى أن هذا التي عن مع كان ما لا هذه الذي كل بعد قد وقد بين ذلك",
    "persian": "و در به از که این را است با برای آن یک خود تا شد می بر بود شده های او",
    "urdu": "کے کی میں ہے اور سے کا کو نے پر یہ ہیں کہ جو اس تھا نہیں ایک بھی تھے",
}
WRITTEN_IN = dict.fromkeys(_SMALL_WORDS, "LATIN")
WRITTEN_IN |= dict.fromkeys(("russian", "ukrainian", "bulgarian"), "CYRILLIC")
WRITTEN_IN |= dict.fromkeys(("arabic", "persian", "urdu"), "ARABIC")
WRITTEN_IN |= {language: script for script, language in reversed(SCRIPTS.items()) if language}
"""The script of each language (the commonest one)."""

LANGUAGES = tuple(WRITTEN_IN)
"""The languages told apart."""


@cache
def script_table() -> npt.NDArray[np.uint8]:
    """For each code point below 65,536 the position of its script in :data:`SCRIPTS`."""
    names = list(SCRIPTS)
    place = {name: i for i, name in enumerate(names)}
    other = place["OTHER"]
    return np.array(
        [place.get(unicodedata.name(chr(c), "OTHER").split()[0].split("-")[0], other) for c in range(65_536)], np.uint8
    )


def word_hash(word: str) -> int:
    """The 64-bit FNV-1a hash over the code points of a word, as the counting kernel computes it."""
    h = 1469598103934665603
    for character in word.lower():
        h = ((h ^ ord(character)) * 1099511628211) % 2**64
    return h


@cache
def stop_words() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float64]]:
    """Hashes of the small words, ascending, shape (w,), and how much each speaks for each language, shape (w, l).

    A word shared by m languages counts 1 / m for each.
    """
    found: dict[int, set[int]] = {}
    for language, words in _SMALL_WORDS.items():
        for word in words.split():
            found.setdefault(word_hash(word), set()).add(LANGUAGES.index(language))
    hashes = np.array(sorted(found), np.uint64)
    weights = np.zeros((len(hashes), len(LANGUAGES)))
    for i, h in enumerate(hashes.tolist()):
        for language_index in found[h]:
            weights[i, language_index] = 1 / len(found[h])
    return hashes, weights
