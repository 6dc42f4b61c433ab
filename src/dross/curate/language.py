"""Language: texts in other languages than those asked for are dropped; each text's language is written beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError, nearest
from dross.core.step import Rows, RowStep, Verdict, whole
from dross.models.language_identifier import Identifier
from dross.signals.languages import LANGUAGES
from dross.signals.text_statistics import COLUMNS, measure

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Language(RowStep):
    """Texts in other languages than those asked for are dropped.

    Without a reference some thirty languages are told apart by their script and their commonest words. With one, a
    table of texts and their languages, naive Bayes over its words and letter triples tells all of its languages apart.

    Attributes
    ----------
    keep
        The languages to keep, by name; all when none is named.
    reference, reference_text, reference_language
        A file with texts of known language, and its columns.
    unsure
        Lead of the likeliest language over the next, in nats an n-gram, up to which a text's language is unknown; with
        a reference.
    keep_unknown
        Whether texts of unknown language stay.
    into
        The column to write the language to; none when empty.
    """

    reasons: ClassVar[tuple[str, ...]] = ("other_language", "unknown_language")

    keep: tuple[str, ...] = ()
    reference: str = ""
    reference_text: str = "text"
    reference_language: str = "lang"
    unsure: float = 0.0
    keep_unknown: bool = False
    into: str = "language"

    def writes(self) -> tuple[str, ...]:
        return (self.into,) if self.into else ()

    def prepare(self, place: Path) -> None:
        """Learn the languages of the reference, and refuse names that are none of its."""
        known = list(LANGUAGES)
        if self.reference:
            from dross.io.load import load

            table = load(self.reference).table
            for name in (self.reference_text, self.reference_language):
                if name not in table.column_names:
                    raise DrossError(f"no column {name!r}", where=self.reference, fix=nearest(name, table.column_names))
            texts = whole(table.column(self.reference_text).cast(pa.large_string()).fill_null(""))
            fitted = Identifier.fitted(texts, whole(table.column(self.reference_language)))
            fitted.write(place)
            known = list(fitted.names)
        for name in self.keep:
            if name not in known:
                raise DrossError(f"there is no language {name!r}", where=self.name(), fix=nearest(name, known))

    def ready(self, place: Path) -> Identifier | None:
        """What was learnt from the reference."""
        return Identifier.read(place) if self.reference else None

    def judge(self, rows: Rows, ready: Identifier | None) -> Verdict:
        """Tell the language of each text."""
        texts = rows.text(self.column)
        if ready is None:
            which: Any = rows.measured(measure, self.column)[:, COLUMNS.index("language")].astype(np.int64)
            names = np.array([*LANGUAGES, UNKNOWN], object)
        else:
            which, lead = ready(texts)
            which = np.where(lead > self.unsure, which, -1)
            names = np.array([*ready.names, UNKNOWN], object)
        told = names[which]
        unknown = which < 0
        other = ~np.isin(told, self.keep) & ~unknown if self.keep else np.zeros(len(rows), bool)
        strange = unknown & (not self.keep_unknown) & bool(self.keep)
        nothing = np.full(len(rows), np.nan)
        changed = {self.into: pa.array(told, pa.string())} if self.into else {}
        return Verdict.first((other, nothing), (strange, nothing), **changed)
