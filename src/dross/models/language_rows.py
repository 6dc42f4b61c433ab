"""Rows as a language model reads them: texts, or prompts with responses; and the rows that say what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.splits import shuffled
from dross.models.aimed import aimed
from dross.signals.ngrams import SEPARATOR, texts_of

Rows = npt.NDArray[np.int64]


def wordless(data: Dataset) -> NotApplicable | None:
    """None where there are texts, or prompts with responses."""
    if data.has(Role.TEXT) or data.has(Role.PROMPT, Role.RESPONSE):
        return None
    return NotApplicable("a language model reads text: needs a column with the role text, or prompt and response")


@dataclass(frozen=True)
class Written:
    """What is read and what is to be learnt on each row.

    Attributes
    ----------
    prompts
        What comes before, n texts; empty where the rows are plain text.
    responses
        What is to be predicted, n texts.
    pool
        Positions of the rows to choose among, in an order that hangs on the rows' ids alone.
    target
        Positions of the rows that stand for what the model is to be good at; none where no part of the data is such.
    """

    prompts: list[str]
    responses: list[str]
    pool: Rows
    target: Rows

    def windows(self, tokenizer: Any, rows: Rows, context: int) -> npt.NDArray[np.int32]:
        """One window a row, cut where the context ends: the response is predicted; shape (m, 2, context)."""
        from dross.models.language_model import encoded, prompted

        read = [[self.prompts[i] for i in rows.tolist()], [self.responses[i] for i in rows.tolist()]]
        prompts, responses = (encoded(tokenizer, texts) for texts in read)
        return prompted(prompts, responses, context)

    def texts(self, rows: Rows) -> list[str]:
        """Prompt and response of some rows as one text each."""
        return [f"{self.prompts[i]}\n{self.responses[i]}".strip() for i in rows.tolist()]


def written(data: Dataset, target: str = "", seed: int = 0) -> Written:
    """The rows as a language model reads them; rows without a text, or without a response, are left out.

    ``target`` names the part (role split) that says what the model is to be good at; empty takes the one called
    ``target``, else the validation part.

    Raises
    ------
    DrossError
        When there is no part of that name.

    >>> data = Dataset(pa.table({"q": ["1+1", "2+2"], "a": ["2", ""]}), {Role.PROMPT: ["q"], Role.RESPONSE: ["a"]})
    >>> written(data).texts(written(data).pool)
    ['1+1\\n2']
    """
    if data.has(Role.RESPONSE):
        responses = _strings(data, Role.RESPONSE)
        prompts = _strings(data, Role.PROMPT) if data.has(Role.PROMPT) else [""] * len(data)
    else:
        responses = pc.replace_substring(texts_of(data), SEPARATOR, "\n").to_pylist()
        prompts = [""] * len(data)
    filled = np.array([bool(text.strip()) for text in responses], bool)
    sides = aimed(data, target)
    order = shuffled(data, seed)
    place = np.argsort(order)
    pool, aims = (part[np.argsort(place[part])] for part in (sides.pool, sides.target))
    return Written(prompts, responses, pool[filled[pool]], aims[filled[aims]])


def _strings(data: Dataset, role: Role) -> list[str]:
    values: list[str] = pc.fill_null(pc.cast(data.column(role), pa.large_string()), "").to_pylist()
    return values
