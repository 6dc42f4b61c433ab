"""Sections of a text by its headings, and the sentences of a section: rules on lines, for notes and documentation."""

from __future__ import annotations

import itertools
import re

Span = tuple[int, int]

LONGEST_HEADING = 6
"""Words."""

_MARKS = re.compile(r"^\s*(?:[#>*=_]+\s*|\(?(?:\d{1,2}|[A-Za-z]|[IVX]{1,4})[.)]\s+)*")
_RULE = re.compile(r"^\s*([-=~^*_#\"'])\1{2,}\s*$")
_INLINE = re.compile(
    r"^\s*(?:[#>*=_]+\s*)*([A-Z][\w/&'-]*(?: [\w/&'-]+){0,5})\s?(?:[*_]+)?:(?:[*_]+)?(?:\s+(?=\S)|\s*$)"
)
_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,2}[.)])\s+")
_END = re.compile(r"[.!?][\"')\]]*\s*$")
_BREAK = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[`]*[A-Z0-9])")


def plain(heading: str) -> str:
    """A heading's words alone: without numbering, markup, colon and case, and with "&" spelled out.

    >>> plain("## 3. Assessment & Plan:"), plain("**RETURNS**")
    ('assessment and plan', 'returns')
    """
    words = re.findall(r"[^\W_]+", _MARKS.sub("", heading).replace("&", " and ").lower())
    return " ".join(words)


def heading(line: str, following: str, variants: frozenset[str]) -> tuple[str, int] | None:
    """The heading that a line is or begins with, as plain words, and where in the line its section begins.

    A line is a heading when it is short and underlined, marked (``#``), in capitals, ends in a colon, or is a known
    variant; a line begins with one when a capitalised phrase and a colon stand before the text.

    >>> variants = frozenset({"plan"})
    >>> heading("PLAN: rest", "", variants), heading("Plan", "----", variants), heading("the plan is", "", variants)
    (('plan', 6), ('plan', 4), None)
    """
    bare = line.strip()
    name = plain(bare)
    count = name.count(" ") + 1
    if not name:
        return None
    if count <= LONGEST_HEADING:
        marked = bare.startswith("#") or (bare.startswith("**") and bare.rstrip(":").endswith("**"))
        capitals = bare.isupper() and sum(c.isalpha() for c in bare) > 3
        ruled = bool(_RULE.match(following))
        if name in variants or marked or capitals or ruled:
            return name, len(line)
    inline = _INLINE.match(line)
    return (plain(inline[1]), inline.end()) if inline else None


def sections(text: str, variants: frozenset[str]) -> list[tuple[int, int, bool]]:
    """The stretches of a text between its headings: begin, end, and whether the heading above is one of the variants.

    >>> text = "Seen today.\\nPlan:\\nRest.\\nEXAM\\nFine."
    >>> [(text[a:b].strip(), wanted) for a, b, wanted in sections(text, frozenset({"plan"}))]
    [('Seen today.', False), ('Rest.', True), ('Fine.', False)]
    """
    found = []
    lines = text.splitlines(keepends=True)
    start, at, wanted = 0, 0, False
    for i, line in enumerate(lines):
        after = lines[i + 1] if i + 1 < len(lines) else ""
        head = heading(line, after, variants)
        if head:
            found.append((start, at, wanted))
            start, wanted = at + head[1], head[0] in variants
        elif _RULE.match(line):
            found.append((start, at, wanted))
            start = at + len(line)
        at += len(line)
    found.append((start, len(text), wanted))
    return [each for each in found if text[each[0] : each[1]].strip()]


def sentences(text: str, start: int, stop: int) -> list[Span]:
    """The sentences of a stretch of text, as positions; list items and indented blocks are not run together.

    >>> text = "One two. Three four.\\n- five\\n- six\\n  seven"
    >>> [text[a:b] for a, b in sentences(text, 0, len(text))]
    ['One two.', 'Three four.', '- five', '- six\\n  seven']
    """
    blocks: list[Span] = []
    begun, indent, closed = start, -1, True
    at = start
    for line in text[start:stop].splitlines(keepends=True):
        here = len(line) - len(line.lstrip())
        item = _ITEM.match(line)
        if not line.strip() or item or closed or here != indent:
            blocks.append((begun, at))
            begun = at
        indent = item.end() if item else here
        closed = not line.strip() or bool(_END.search(line))
        at += len(line)
    blocks.append((begun, stop))
    found = []
    for a, b in blocks:
        edges = [a, *(a + m.end() for m in _BREAK.finditer(text[a:b])), b]
        for first, last in itertools.pairwise(edges):
            piece = text[first:last]
            kept = piece.strip()
            if sum(c.isalnum() for c in kept) > 1:
                begin = first + len(piece) - len(piece.lstrip())
                found.append((begin, begin + len(kept)))
    return found
