"""Text form: empty, cut off, garbled, foreign, repeated or machine-made texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.languages import LANGUAGES
from dross.signals.text_statistics import COLUMNS, TextStatistics

Column = npt.NDArray[np.float32]

REFUSALS = (
    r"as an ai( language)? model|i('m| am) sorry,? but i can(no|')t|i can(no|')t (assist|help) with (that|this)|"
    r"404 not found|403 forbidden|500 internal server error|access denied|page (was )?not found|"
    r"enable javascript|javascript is (disabled|required)|cookies? (are|is) (disabled|required)|"
    r"traceback \(most recent call last\)|nullpointerexception|segmentation fault|"
    r"lorem ipsum|undefined undefined|\[object object\]|^\s*(null|nan|none|n/?a|undefined|error)\s*$"
)
"""What servers, programs and language models say instead of an answer (in lower case)."""


def is_message(texts: Any) -> Column:
    """1 where a short text is, or a longer one begins with, an error message, a refusal or a placeholder, shape (n,).

    >>> is_message(pa.array(["404 Not Found", "We sell 404 shoes", "N/A"])).tolist()
    [1.0, 0.0, 1.0]
    """
    start = pc.utf8_slice_codeunits(pc.utf8_lower(pc.fill_null(texts, "")), 0, 200)
    return np.asarray(pc.match_substring_regex(start, pattern=REFUSALS).to_numpy(zero_copy_only=False), np.float32)


def share_of_template(texts: Any, characters: int = 48) -> npt.NDArray[np.int64]:
    """How many rows begin with the same ``characters`` characters (digits read as one) as this one, shape (n,).

    >>> share_of_template(pa.array(["Your order no. 17 has left", "Your order no. 29 waits"]), 15).tolist()
    [2, 2]
    """
    folded = pc.replace_substring_regex(
        pc.fill_null(texts, "").cast(pa.large_string()), pattern=r"\d+", replacement="0"
    )
    starts = pc.utf8_slice_codeunits(folded, 0, characters)
    long = pc.greater(pc.utf8_length(folded), characters).to_numpy(zero_copy_only=False)
    encoded = starts.dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    encoded = pa.concat_arrays(encoded.chunks) if isinstance(encoded, pa.ChunkedArray) else encoded
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return np.where(long, np.bincount(codes[long], minlength=len(encoded.dictionary))[codes], 1)


def unusual(scores: npt.NDArray[Any], most: float = 0.02) -> npt.NDArray[Any]:
    """The scores, or zeros when more than a share ``most`` of the rows is flagged: what is common is no fault.

    >>> unusual(np.array([0.9, 0.0])).tolist(), float(unusual(np.array([0.9] + [0.0] * 99)).max())
    ([0.0, 0.0], 0.9)
    """
    return scores if np.mean(scores >= 0.5) <= most else np.zeros(len(scores))


def form_scores(statistics: npt.NDArray[np.float32], texts: Any) -> dict[str, Column]:
    """How malformed each text is in each respect, by reason: shape (n,), in [0, 1]; 0.5 and above is malformed.

    What is usual is read from the corpus itself: a language, an open ending or markup is a fault only where nearly all
    other texts have another language, end properly, or have none.
    """
    read = {name: statistics[:, i] for i, name in enumerate(COLUMNS)}
    length = np.maximum(read["characters"], 1)
    visible = read["characters"] - read["spaces"] - read["control"] - read["bidi"]
    usual = float(np.median(read["characters"]))
    garbled = read["replacement"] * 3 + read["mojibake"] * 2 + read["control"] * 3
    markup = read["tags"] * 12 / length
    varied = np.minimum(read["words"], 30)
    repeated = np.where(read["words"] >= 12, 1 - read["distinct_words"] / np.maximum(varied * 0.5, 1), 0)
    out = {
        "is empty": (visible == 0).astype(np.float32),
        "is garbled": np.where(garbled > 0, np.clip(0.5 + garbled * 4 / length, 0, 1), 0),
        "repeats itself": np.clip(
            np.maximum(repeated, (read["longest_run"] >= 8) * 2 * read["longest_run"] / length), 0, 1
        ),
        "is an error message or a placeholder": is_message(texts) * 0.9,
        "holds markup": unusual(np.clip(markup * 4, 0, 0.9)),
        "has no words": unusual(np.where((visible > 0) & (read["letters"] < 0.2 * visible), 0.6, 0)),
        "is much shorter than the others": unusual(np.where((visible > 0) & (visible < 0.04 * usual), 0.6, 0)),
        "is cut off": _cut_off(read),
        "is in another language": _foreign(read),
    }
    return {reason: np.asarray(score, np.float32) for reason, score in out.items()}


def _cut_off(read: dict[str, Column]) -> npt.NDArray[Any]:
    """Texts that stop in the open: with an ellipsis, or at the length where a limit cut the longest ones."""
    opened = read["ends_open"] > 0
    if len(opened) < 20:
        return np.zeros(len(opened))
    limit = np.quantile(read["characters"], 0.999)
    at_limit = read["characters"] >= 0.98 * limit
    cut = np.where(at_limit & opened | (read["ends_open"] == 2), 0.8, 0.0) * (read["words"] >= 8)
    return unusual(cut, most=0.1)


def _foreign(read: dict[str, Column]) -> npt.NDArray[Any]:
    """Texts whose language is known and is not that of nearly all others; or whose script is not theirs."""
    language, script = read["language"].astype(int), read["script"].astype(int)
    out = np.zeros(len(language))
    for known, codes in ((language >= 0, language), ((script >= 0) & (read["letters"] >= 10), script)):
        if known.sum() < 20:
            continue
        counts = np.bincount(codes[known])
        share = counts / counts.sum()
        if share.max() >= 0.9:
            odd = known & (codes != share.argmax())
            out = np.where(odd, np.maximum(out, 0.5 + 0.5 * (share.max() - share[codes])), out)
    return out


@dataclass(frozen=True)
class TextForm(Detector):
    """Texts that are empty, garbled, cut off, in another language, repetitive, markup, templates or error messages."""

    finds: ClassVar[Issue] = Issue.FORM
    needs: ClassVar = (Role.TEXT, TextStatistics)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score each text by its worst fault."""
        if len(data) == 0:
            return NotApplicable("there are no texts")
        texts = data.column(Role.TEXT).cast(pa.large_string())
        statistics = signals[TextStatistics()]
        scores = form_scores(statistics, texts)
        alike = share_of_template(texts)
        many = max(8.0, 0.005 * len(data))
        common = np.where(alike > many, 0.5 + 0.3 * (1 - many / np.maximum(alike, 1)), 0)
        scores["begins like many others"] = np.asarray(unusual(common, most=0.1), np.float32)
        table = np.column_stack(list(scores.values()))
        worst = table.argmax(axis=1)
        score = table[np.arange(len(table)), worst]
        rows = np.flatnonzero(score > 0.25)
        reasons = np.array(list(scores), dtype=object)
        counted = {reason: int((column >= 0.5).sum()) for reason, column in scores.items()}
        spoken = np.array([*LANGUAGES, ""], dtype=object)[statistics[rows, COLUMNS.index("language")].astype(int)]
        evidence = {"reason": reasons[worst[rows]], "language": spoken}
        return Findings(Issue.FORM, rows, score[rows], evidence=evidence, summary={"texts": counted})
