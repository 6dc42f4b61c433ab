"""The filters' counts in plain Python, one character at a time, to compare the kernels with."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import numpy as np

from dross.claims._texts import docstrings
from dross.signals.document_statistics import BULLETS
from dross.signals.words import TERMINALS

LINE_END = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
UNSPACED = ((0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x2E80, 0x3000), (0x3040, 0x3130), (0x31A0, 0xA4D0),
            (0xF900, 0xFB00))  # fmt: skip


def sort(c: str) -> str:
    category = unicodedata.category(c)
    if ord(c) >= 0x20000:
        return "alone"
    if category[0] in "LN":
        return "alone" if any(a <= ord(c) < b for a, b in UNSPACED) else ("letter" if category[0] == "L" else "number")
    if category in {"Cf", "Mn", "Mc", "Me"}:
        return "mark"
    if category[0] == "Z" or category in {"Cc", "Cs"}:
        return "space"
    return "link" if category == "Pc" else "symbol"


def visible(text: str) -> str:
    """A text without white space and control characters at its ends."""
    kept = [i for i, c in enumerate(text) if sort(c) != "space"]
    return text[kept[0] : kept[-1] + 1] if kept else ""


def tokens(text: str) -> list[str]:
    found, i = [], 0
    while i < len(text):
        kind = sort(text[i])
        j = i + 1
        if kind in {"space", "mark"}:
            i += 1
            continue
        if kind == "symbol":
            while (text[i] == "." or unicodedata.category(text[i]) == "Pd") and text[j : j + 1] == text[i]:
                j += 1
        elif kind != "alone":
            j = word_end(text, i)
        found.append(text[i:j])
        i = j
    return found


def word_end(text: str, j: int) -> int:
    before = ""
    while j < len(text):
        kind, c = sort(text[j]), text[j]
        after = sort(text[j + 1]) if j + 1 < len(text) else ""
        if kind in {"letter", "number"}:
            before = kind
        elif kind == "link":
            before = ""
        elif kind != "mark":
            joins = (before == "letter" and c in ".'‘’․﹒＇．··״‧") or (before == "number" and c in ".'‘’․﹒＇．,;；،٬")
            if not joins or after != before:
                return j
            before = ""
        j += 1
    return j


def is_word(token: str) -> bool:
    return any(sort(c) in {"letter", "number", "alone"} for c in token)


def terminal(c: str) -> bool:
    return any(a <= ord(c) < b for a, b in TERMINALS)


def counts(text: str, stop_words: tuple[str, ...], short: int) -> dict[str, int]:
    cut = tokens(text)
    words = [t for t in cut if is_word(t)]
    pieces = LINE_END.split(text)
    lines = [line for line in pieces if visible(line)]
    paragraphs: list[list[str]] = [[]]
    for line in pieces:
        if visible(line):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    blocks = ["\n".join(block) for block in paragraphs if block]
    return {
        "characters": len(text),
        "tokens": len(cut),
        "words": len(words),
        "word_characters": sum(map(len, words)),
        "alphabetic": sum(any(unicodedata.category(c)[0] == "L" or ord(c) >= 0x20000 for c in w) for w in words),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "stop_words": sum(any(w in {s, s.upper(), s.capitalize()} for w in words) for s in stop_words),
        "line_ends": len(pieces) - 1,
        "lines": len(lines),
        "paragraphs": len(blocks),
        "bullet_lines": sum(visible(line)[0] in BULLETS for line in lines),
        "ellipsis_lines": sum(visible(line).endswith(("...", "…")) for line in lines),
        "terminal_lines": sum(terminal(visible(line)[-1]) for line in lines),
        "short_lines": sum(len(line) <= short for line in lines),
        "duplicate_lines": len(lines) - len(set(lines)),
        "duplicate_line_characters": sum(map(len, lines)) - sum(map(len, set(lines))),
        "duplicate_paragraphs": len(blocks) - len(set(blocks)),
        "duplicate_paragraph_characters": sum(map(len, blocks)) - sum(map(len, set(blocks))),
    }


def ngrams(text: str) -> dict[str, int]:
    words = tokens(text)
    found = {}
    for n in (2, 3, 4):
        grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
        gram, times = Counter(grams).most_common(1)[0] if grams else ("", 0)
        found |= {f"top_{n}": len(gram) * times, f"times_{n}": times}
    for n in range(5, 11):
        seen, characters, i = set(), 0, 0
        while i <= len(words) - n:
            gram = tuple(words[i : i + n])
            again = gram in seen
            characters += sum(map(len, gram)) if again else 0
            seen.add(gram)
            i += n if again else 1
        found[f"duplicate_{n}"] = characters
    return found


ODD = (
    "",
    " ",
    "\n\n\n",
    "\r\n\r\n",
    "a",
    ".",
    "...",
    "....",
    "……...",
    "#",
    "\0",
    "\0a\0",
    "a.b.c. d..e",
    "x_y __ _ a_",
    "語語。語",
    "Don’t - 'stop'...\n• item…\r\n- item…\u2028* item\x85\x0b\x0c",
    "e\u0301\u200d\u0301 \u0301",
    "😀😀 👩‍👩‍👧 ok",
    "1,234.5,6 v1.2.3 U.S.A.",
    "สวัสดีครับ ไทย",
    "שלום עולם. ״א״ ג״ד",
    "مرحبا بالعالم؟ ٣٫١٤ ١،٢",
    "𠀀𠀁 𐐀𐐁 \U0010ffff",
    "a\n \t\nb\n\u00a0\nc",
    "—— –– -- ---",
    "\ufeffThe the THE tHe to To be",
    "ab" * 5000,
    "a b " * 1500,
    "\n".join(["line one.", "line two!"] * 200),
    "\t\tx\n\t\tx\n x",
)


def texts(seed: int = 0) -> list[str]:
    """Odd texts, random ones of a small alphabet (so that much repeats), and real ones."""
    rng = np.random.default_rng(seed)
    alphabet = [
        *"ab.-_'’#,1 2\n\n\r…•語é\u0301。!?\"[]{}",
        " ",
        " ",
        "the ",
        "be ",
        "...",
        "\r\n",
        "\n\n",
        "x y z w v u. ",
    ]
    drawn = ["".join(rng.choice(alphabet, rng.integers(0, 120))) for _ in range(400)]
    loops = ["".join(rng.choice(["a ", "b ", "c\n"], rng.integers(1, 9))) * int(rng.integers(1, 9)) for _ in range(150)]
    real = [docstrings()[i] for i in rng.integers(0, len(docstrings()), 100)]
    return [*ODD, *drawn, *loops, *real]
