"""Guessing which column plays which role, from names, types and values; what the user says always wins.

A guess is made only where it is nearly certain, since a wrong one costs more than a question: a column that is not
guessed is carried along and not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.roles import Role
from dross.io.images import SPLITS, looks_encoded
from dross.io.labels import MOST_CLASSES, is_listed, is_number, kind_of_label
from dross.io.paths import IMAGES
from dross.io.vectors import ADDED

Roles = dict[Role, tuple[str, ...]]

_ID = ("id", "uid", "uuid", "guid", "key", "index", "idx", "row_id", "record_id", "unnamed:_0", "")
_LABEL = (
    "label", "labels", "y", "class", "target", "given_label", "gold_label", "category", "sentiment", "intent", "tags",
)  # fmt: skip
_SPLIT = ("split", "fold", "partition", "subset", "set")
_TEXT = (
    "title", "headline", "text", "sentence", "content", "body", "document", "review", "comment", "tweet", "message",
    "post", "article", "passage", "abstract", "utterance", "question", "answer", "prompt", "instruction", "input",
    "output", "response", "completion", "premise", "hypothesis", "query", "context", "description", "summary",
    "chosen", "rejected",
)  # fmt: skip
_TIME = ("time", "timestamp", "datetime", "date", "created_at", "published_at")
_GROUP = ("group", "groups", "group_id")
_AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".m4a")
_ANNOTATOR = re.compile(r"^(annotator|annotation|worker|rater|coder|judge|labell?er)_?\d+$")
_NUMBERED = re.compile(r"_?(\d|[ab])$")
_IDENTIFIES = re.compile(r"(^|_)(id|uuid|guid|idx|index|url|uri|phone|zip|zipcode|postcode)$")
_TELLS = re.compile(r"(^|_)(label|labels|target|prediction|predicted|pred|verdict)(_|\d|$)")
_SAMPLE = 1000


@dataclass
class Guess:
    """The roles of a table's columns while they are being settled, and why each was chosen."""

    table: pa.Table
    roles: Roles = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    off: frozenset[Role] = frozenset()

    def free(self) -> list[str]:
        """The columns that play no role yet, in table order."""
        used = {name for names in self.roles.values() for name in names}
        return [name for name in self.table.column_names if name not in used and name not in ADDED.values()]

    def open(self, role: Role) -> bool:
        """Whether the role may still be guessed."""
        return role not in self.roles and role not in self.off

    def put(self, role: Role, names: list[str], why: str) -> None:
        """Give the role to these columns, if there are any and it is open."""
        if names and self.open(role):
            self.roles[role] = tuple(names)
            self.why[role] = why

    def named(self, names: tuple[str, ...]) -> list[str]:
        """The free columns of one of these names (case, dashes and spaces aside), best name first."""
        known = {plain(name): name for name in reversed(self.free())}
        return [known[name] for name in names if name in known]

    def column(self, name: str) -> pa.ChunkedArray:
        """One column."""
        return self.table.column(name)


def plain(name: str) -> str:
    """A column name for comparing: lower case, one kind of joint.

    >>> plain("Given-Label"), plain("PassengerId")
    ('given_label', 'passenger_id')
    """
    return re.sub(r"[\s\-.]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).lower()


def guess(table: pa.Table, given: Mapping[Role, tuple[str, ...] | None]) -> Guess:
    """Settle the roles: first what the user gave (None switches a role's guess off), then guesses.

    >>> texts = pa.array(["a b", "c d"], pa.large_string())
    >>> g = guess(pa.table({"id": [1, 2], "text": texts, "label": [0, 1]}), {})
    >>> {role.value: names for role, names in g.roles.items()}
    {'id': ('id',), 'text': ('text',), 'label': ('label',)}
    """
    state = Guess(table, off=frozenset(role for role, names in given.items() if names is None))
    for role, names in given.items():
        if names:
            state.roles[role], state.why[role] = names, "given"
    for rule in _RULES:
        rule(state)
    state.roles = {role: state.roles[role] for role in Role if role in state.roles}
    return state


# ---- one rule for each role, in this order --------------------------------------------------------------------------


def _split(g: Guess) -> None:
    for name in g.named(_SPLIT):
        column = g.column(name)
        if pa.types.is_large_string(column.type) and pc.count_distinct(column).as_py() <= 10:
            values = {str(value).lower() for value in pc.unique(column).to_pylist() if value is not None}
            known = sum(_is_split(value) for value in values)
            if known and (known == len(values) or (plain(name) == "split" and 2 * known >= len(values))):
                return g.put(Role.SPLIT, [name], f"holds {', '.join(sorted(values))}")
    return None


def _is_split(value: str) -> bool:
    """Whether the value names a split: ``train``, ``test2``, ``oos_val`` and the like."""
    return any(word.rstrip("0123456789ab") in SPLITS or word in SPLITS for word in re.split(r"[_\-. ]+", value))


def _id(g: Guess) -> None:
    if not g.open(Role.ID):
        return None
    exact = g.named(_ID)
    ending = [name for name in g.free() if re.search(r"[a-z0-9]_(id|uuid|guid)$", plain(name))]
    for name in dict.fromkeys([*exact, *ending]):
        if is_unique(g.column(name)):
            return g.put(Role.ID, [name], "called an id, and every value is different")
        if name in exact[:1]:
            g.notes.append(f"the column {name!r} is not used as the id: its values are not all different")
    return None


def _label(g: Guess) -> None:
    if not all(g.open(role) for role in (Role.LABEL, Role.LABELS, Role.TARGET)):
        return
    candidates = g.named(_LABEL)
    if not candidates:
        ending = [name for name in g.free() if re.fullmatch(r".+_labels?", plain(name))]
        candidates = ending if len(ending) == 1 else []
    for name in candidates:
        column = g.column(name)
        if plain(name) == "tags" and not is_listed(column.type):
            continue  # several tags in one text, split on who knows what
        if column.null_count == len(column):
            g.notes.append(f"the column {name!r} is not used as the label: it is empty")
            continue
        simple = is_number(column.type) or pa.types.is_large_string(column.type) or pa.types.is_boolean(column.type)
        if not (simple or is_listed(column.type)) or (pa.types.is_large_string(column.type) and _is_text(column)):
            continue
        if simple and not pa.types.is_floating(column.type):
            distinct = pc.count_distinct(column).as_py()
            if distinct > MOST_CLASSES or (distinct == len(column) > 10):
                continue
        role, remark = kind_of_label(column)
        g.put(role, [name], f"called {name!r}" + (f"; {remark}" if remark else ""))
        return


def _annotations(g: Guess) -> None:
    found = [name for name in g.free() if _ANNOTATOR.match(plain(name)) and not is_listed(g.column(name).type)]
    if len(found) > 1:
        g.put(Role.ANNOTATIONS, found, "numbered annotators")


def _time(g: Guess) -> None:
    for name in g.named(_TIME):
        kind = g.column(name).type
        if pa.types.is_temporal(kind):
            return g.put(Role.TIME, [name], "called a time, and holds times")
    return None


def _plain_names(g: Guess) -> None:
    g.put(Role.GROUP, [n for n in g.named(_GROUP)[:1] if not is_listed(g.column(n).type)], "called a group")
    g.put(Role.DOMAIN, [n for n in g.named(("domain",)) if pa.types.is_large_string(g.column(n).type)], "called domain")


def _vectors(g: Guess) -> None:
    for name in g.named(("embedding", "embeddings", "vector")):
        kind = g.column(name).type
        if pa.types.is_fixed_size_list(kind) and is_number(kind.value_type):
            g.put(Role.EMBEDDING, [name], "called an embedding, and holds vectors")


def _image(g: Guess) -> None:
    for name in g.free():
        column = g.column(name)
        if _holds_images(column) or _end_in(column, IMAGES):
            return g.put(Role.IMAGE, [name], "holds images" if _holds_images(column) else "holds paths of images")
    return None


def _audio(g: Guess) -> None:
    g.put(Role.AUDIO, [name for name in g.free() if _end_in(g.column(name), _AUDIO)][:1], "holds paths of sound files")


def _text(g: Guess) -> None:
    strings = [name for name in g.free() if pa.types.is_large_string(g.column(name).type)]
    called = [n for n in strings if _NUMBERED.sub("", plain(n)) in _TEXT and not _is_category(g.column(n))]
    written = [
        n for n in called if any(mark in plain(n) for mark in ("text", "sentence")) or not _is_short(g.column(n))
    ]
    if written:
        g.put(Role.TEXT, written, "called so, and holds text")
    else:
        g.put(Role.TEXT, [name for name in strings if _is_text(g.column(name))], "holds sentences")


def _language_data(g: Guess) -> None:
    """Instructions, preferences and retrieval pairs: their columns are text, and have a part to play besides."""
    texts = {plain(name): name for name in g.roles.get(Role.TEXT, ())}

    def pick(*names: str) -> list[str]:
        return [texts[name] for name in names if name in texts][:1]

    prompt = pick("prompt", "instruction", "question")
    if pick("chosen") and pick("rejected"):
        g.put(Role.PROMPT, prompt, "called so")
        g.put(Role.CHOSEN, pick("chosen"), "called so")
        g.put(Role.REJECTED, pick("rejected"), "called so")
    elif prompt and pick("response", "output", "completion", "answer"):
        g.put(Role.PROMPT, prompt, "called so")
        g.put(Role.RESPONSE, pick("response", "output", "completion", "answer"), "called so")
    elif pick("query") and pick("passage", "document"):
        g.put(Role.QUERY, pick("query"), "called so")
        g.put(Role.PASSAGE, pick("passage", "document"), "called so")


def _features(g: Guess) -> None:
    if not g.open(Role.FEATURES) or any(r in g.roles for r in (Role.TEXT, Role.IMAGE, Role.AUDIO, Role.EMBEDDING)):
        return
    labelled = any(role in g.roles for role in (Role.LABEL, Role.LABELS, Role.TARGET))
    usable: list[str] = []
    telling: list[str] = []
    for name in g.free():
        if _IDENTIFIES.search(plain(name)) or plain(name) in _ID or not _is_feature(g.column(name)):
            continue
        (telling if labelled and _TELLS.search(plain(name)) else usable).append(name)
    if telling:
        g.notes.append(f"not used as features, since their names tell of labels: {', '.join(telling)}")
    g.put(Role.FEATURES, usable, "numbers, dates and categories")


_RULES: tuple[Callable[[Guess], None], ...] = (
    _split, _id, _label, _annotations, _time, _plain_names, _vectors, _image, _audio, _text, _language_data, _features,
)  # fmt: skip


# ---- what a column's values look like -------------------------------------------------------------------------------


def is_unique(column: pa.ChunkedArray) -> bool:
    """Whether every value is there and different from all others; False for types that are no ids."""
    kind = column.type
    if column.null_count or not (pa.types.is_integer(kind) or pa.types.is_large_string(kind)):
        return False
    head = column.slice(0, _SAMPLE)
    return bool(pc.count_distinct(head).as_py() == len(head) and pc.count_distinct(column).as_py() == len(column))


def _is_text(column: pa.ChunkedArray) -> bool:
    """Sentences rather than names: long, of several words, and mostly different from each other."""
    if not pa.types.is_large_string(column.type) or column.null_count == len(column):
        return False
    letters = pc.mean(pc.utf8_length(column)).as_py()
    words = pc.mean(pc.count_substring(column, " ")).as_py() + 1
    dense = pc.mean(pc.binary_length(column)).as_py() > 2 * letters  # scripts without spaces between words
    long = letters > 120 or (letters > 30 and words >= 5) or (dense and letters > 12)
    return bool(long and not _is_category(column))


def _is_short(column: pa.ChunkedArray) -> bool:
    """One word, or hardly more."""
    return bool(column.null_count == len(column) or pc.mean(pc.utf8_length(column)).as_py() <= 12)


def _is_category(column: pa.ChunkedArray) -> bool:
    """Few values that come back again and again."""
    n = len(column) - column.null_count
    return bool(n >= 20 and pc.count_distinct(column).as_py() * 10 <= n)


def _is_feature(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if pa.types.is_large_string(kind):
        n = len(column) - column.null_count
        return bool(n and (n < 20 or pc.count_distinct(column).as_py() <= 0.9 * n))
    if pa.types.is_fixed_size_list(kind):
        return is_number(kind.value_type)
    if pa.types.is_integer(kind) and len(column) >= 20:
        return not _counts_rows(column)
    return is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind)


def _counts_rows(column: pa.ChunkedArray) -> bool:
    """Whether the column merely numbers the rows."""
    if column.null_count:
        return False
    head = np.asarray(column.slice(0, _SAMPLE))
    return bool((np.diff(head) == 1).all() and (np.diff(np.asarray(column)) == 1).all())


def _holds_images(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {f.name for f in kind}:
        values = [v["bytes"] for v in column.slice(0, 20).drop_null().to_pylist()]
        paths = [str(v["path"]).lower() for v in column.slice(0, 20).drop_null().to_pylist() if v["bytes"] is None]
        return all(looks_encoded(v) for v in values if v is not None) and all(p.endswith(IMAGES) for p in paths)
    if not pa.types.is_large_binary(kind):
        return False
    values = column.slice(0, 20).drop_null().to_pylist()
    return bool(values) and sum(looks_encoded(v) for v in values) * 2 >= len(values)


def _end_in(column: pa.ChunkedArray, suffixes: tuple[str, ...]) -> bool:
    """Whether nearly all values are paths with one of the suffixes."""
    if not pa.types.is_large_string(column.type):
        return False
    head = column.slice(0, _SAMPLE).drop_null()
    pattern = "(?i)^[^\n]+(" + "|".join(re.escape(suffix) for suffix in suffixes) + ")$"
    return bool(len(head)) and pc.mean(pc.match_substring_regex(head, pattern).cast(pa.float64())).as_py() >= 0.9
