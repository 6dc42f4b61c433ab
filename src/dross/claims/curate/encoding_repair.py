"""Encoding repair: misread text is as it was, and sound text is not touched."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import judged, passed
from dross.curate.encoding_repair import EncodingRepair

WORDS = (
    "café",
    "naïve",
    "Žižek",
    "“quoted”",
    "it’s",
    "10 €",
    "été",
    "Übung",
    "señor",
    "façade – here",
    "…",
    "Łódź",
    "日本語",
)


@claim(
    method="encoding-repair", says="text that was read in the wrong encoding is as it was; sound text is not touched"
)
def misread_text_is_as_it_was(budget: Budget) -> Evidence:
    """300 paragraphs with words beyond ASCII; 150 of them are UTF-8 that was read as Windows-1252, some twice."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 11))
        texts = [f"{text} {' '.join(rng.choice(WORDS, 3))} end" for text in drawn(300, seed)]
        given = [_misread(text, 1 + i % 2) if i < 150 else text for i, text in enumerate(texts)]
        left = passed(EncodingRepair(), given).text().to_pylist()
        right = np.array([a == b for a, b in zip(left, texts, strict=True)])
        return {
            "misread texts restored, %": 100 * float(right[:150].mean()),
            "sound texts left, %": 100 * float(right[150:].mean()),
        }

    return judged(budget, one, {"misread texts restored, %": 95.0, "sound texts left, %": 100.0})


def _misread(text: str, times: int) -> str:
    for _ in range(times):
        text = "".join(_character(byte) for byte in text.encode())
    return text


def _character(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)
