"""Domain upsampling: small domains are read more often in the last part of training; and what each is worth there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.language_rows import Written, wordless, written

if TYPE_CHECKING:
    from dross.models.language_model import LanguageModel, Plan, Windows

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
VOCABULARY = 512
_FOR_TOKENS = 1 << 22
"""Characters that the tokenizer is learnt from."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def evenly(total: float, most: Values) -> Values:
    """``total`` divided evenly among k, none getting more than its ``most``, shape (k,); what no one can take is left.

    >>> evenly(0.6, np.array([0.1, 1.0, 1.0])).round(3).tolist()
    [0.1, 0.25, 0.25]
    """
    given = np.zeros(len(most))
    order = np.argsort(most, kind="stable")
    for done, i in enumerate(order):
        given[i] = min(most[i], (total - given.sum()) / (len(order) - done))
    return given


def upsampled_mix(sizes: Values, general: int, domain_share: float, last_share: float, most_reads: float) -> Values:
    """What share of the last phase each domain gets, shape (k,), adding up to 1.

    The small domains divide ``domain_share`` evenly, but no text is read more than ``most_reads`` times when the whole
    training is as long as one pass over ``sizes`` (any unit) and its last phase is ``last_share`` of that. What they
    cannot fill is read from the general domain.

    >>> upsampled_mix(np.array([90.0, 8.0, 2.0]), 0, 0.5, 0.2, 2.0).round(3).tolist()
    [0.5, 0.3, 0.2]
    """
    most = most_reads * sizes / (sizes.sum() * last_share)
    most[general] = 0.0
    mix = np.zeros(len(sizes))
    small = np.flatnonzero(np.arange(len(sizes)) != general)
    mix[small] = evenly(domain_share, most[small])
    mix[general] = 1 - mix.sum()
    return mix


def without(mix: Values, domain: int) -> Values:
    """The mix with one domain taken out and its share given to the others as they stand, shape (k,).

    >>> without(np.array([0.5, 0.3, 0.2]), 2).round(3).tolist()
    [0.625, 0.375, 0.0]
    """
    left = np.where(np.arange(len(mix)) == domain, 0.0, mix)
    return np.asarray(left / left.sum())


def reads(sizes: Values, mix: Values, last_share: float) -> Values:
    """How often a text of each domain is read in the last phase, shape (k,), when all training is one pass's length.

    >>> reads(np.array([90.0, 8.0, 2.0]), np.array([0.5, 0.3, 0.2]), 0.2).round(3).tolist()
    [0.111, 0.75, 2.0]
    """
    return np.asarray(last_share * mix * sizes.sum() / np.maximum(sizes, 1e-300))


def mixed(of: Codes, mix: Values, steps: int, batch_size: int, seed: int) -> Plan:
    """Which windows each step reads, shape (steps, batch_size): each domain as often as the mix says, pass after pass.

    ``of`` (m,) is the domain of each window. Counts are exact to one window; the order is random.

    >>> plan = mixed(np.array([0, 0, 0, 1]), np.array([0.5, 0.5]), 3, 4, 0)
    >>> int((plan == 3).sum()), sorted(plan[plan < 3].tolist())
    (6, [0, 0, 1, 1, 2, 2])
    """
    from dross.models.language_model import passes

    total = steps * batch_size
    edges = np.rint(np.cumsum(mix) * total).astype(np.int64)
    counts = np.diff(edges, prepend=0)
    parts = []
    for domain, count in enumerate(counts.tolist()):
        rows = np.flatnonzero(of == domain)
        if count:
            parts.append(rows[passes(len(rows), count, 1, seed + domain).ravel()])
    rng = np.random.default_rng((seed, len(mix)))
    return rng.permutation(np.concatenate(parts)).reshape(steps, batch_size)


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DomainUpsampling(Selector):
    """All rows in the order to read them, small domains towards the end; how often each is read in the last phase.

    Blakeney, Paul, Larsen, Owen, Frankle, "Does your data spark joy? Performance gains from domain upsampling at the
    end of training", 2024: train on the mix as it is, and for the last 10 to 20 % of the tokens read the small domains
    far more often than their size would have it. Leaving one of them out of that phase alone tells what it is worth.

    ``weights`` are for a trainer that samples: how often a row is read in the last phase, when the whole training is as
    long as one pass. ``rows`` are for one that reads a file from top to bottom: from position ``last_phase_from`` (in
    the summary) on stand as many rows of each domain as the last phase wants, as far as there are rows.

    The worth of domains is measured with a small language model. The first phase is trained once; from there it goes on
    with the mix as it is, with the upsampled one, and with that less one domain at a time, all over as many tokens. The
    models are judged by the validation rows where the data has such a part, else by a tenth of each domain that none of
    them reads: ``rise_when_left_out`` is by how many per cent the bits per byte of a domain's text rise, ``worth`` the
    mean over the small domains. Rows that name no domain belong to the general one. Whole columns are held in memory.

    Attributes
    ----------
    general
        The domain that the others are small beside; the largest one where it is empty.
    last_share
        Of all training; 0.1 to 0.2 in the paper.
    domain_share
        Of the last phase: what the small domains get together.
    most_reads
        How often a text may be read in the last phase.
    measured
        How many of the small domains, largest first, are left out one at a time; 0 trains no model.
    steps, batch_size, context, learning_rate, device
        Of the training of the small model: both phases together.
    seed
        Of the order, the model and the rows held out.
    """

    paper: ClassVar = Paper(
        "Does your data spark joy? Performance gains from domain upsampling at the end of training", 2024, "2406.03476"
    )
    needs: ClassVar = (Role.DOMAIN,)
    extra: ClassVar[str | None] = "torch"

    general: str = ""
    last_share: float = 0.2
    domain_share: float = 0.4
    most_reads: float = 8.0
    measured: int = 8
    steps: int = 400
    batch_size: int = 16
    context: int = 64
    learning_rate: float = 3e-3
    device: str = "auto"
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where texts name their domains."""
        return super().applies(data) or wordless(data)

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Divide the last phase, order the rows, and measure what the domains are worth."""
        self._check()
        missing = self.applies(data)
        if missing is not None:
            return missing
        text = written(data, seed=self.seed)
        names, codes = self._domains(data, text.pool)
        if len(names) < 2:
            return NotApplicable(f"{len(names)} domain among the training rows: two are needed")
        general = self._general(names, codes[text.pool])
        codes[codes < 0] = general
        of = codes[text.pool]
        weight = np.array([len(one.encode()) for one in text.texts(text.pool)], np.float64)  # as tokens go by bytes
        sizes: Values = np.bincount(of, weight, len(names)).astype(np.float64)
        mix = upsampled_mix(sizes, general, self.domain_share, self.last_share, self.most_reads)
        often = reads(sizes, mix, self.last_share)
        late = _late(of, often)
        order = np.concatenate([np.flatnonzero(~late), np.flatnonzero(late)])
        summary: dict[str, Any] = {
            "general": names[general],
            "last_phase_from": int((~late).sum()),
            "share_of_all": dict(zip(names, (sizes / sizes.sum()).round(4).tolist(), strict=True)),
            "share_of_last_phase": dict(zip(names, mix.round(4).tolist(), strict=True)),
            "reads_in_last_phase": dict(zip(names, often.round(3).tolist(), strict=True)),
        }
        if self.measured:
            summary |= self._worth(text, names, codes, general, mix, signals)
        return Selection(text.pool[order], often[of][order].astype(np.float32), summary)

    def _check(self) -> None:
        if not (0 < self.last_share < 1 and 0 < self.domain_share < 1 and self.most_reads > 0):
            told = f"last_share is {self.last_share}, domain_share {self.domain_share}, most_reads {self.most_reads}"
            raise DrossError(told, fix="give shares between 0 and 1 and a positive number of reads")
        if self.measured < 0 or self.steps * min(self.last_share, 1 - self.last_share) < 1:
            raise DrossError(f"measured is {self.measured}, steps {self.steps}", fix="give at least 10 steps")

    @staticmethod
    def _domains(data: Dataset, pool: npt.NDArray[np.int64]) -> tuple[list[str], Codes]:
        """The domains of the training rows, sorted, and that of every row; -1 where it names none of these."""
        column = pc.cast(data.column(Role.DOMAIN), pa.large_string())
        values = np.array(column.to_pylist(), dtype=object)
        names = sorted({name for name in values[pool] if name is not None})
        place = {name: i for i, name in enumerate(names)}
        return names, np.array([place.get(value, -1) for value in values], np.int64)

    def _general(self, names: list[str], of: Codes) -> int:
        if not self.general:
            return int(np.bincount(of[of >= 0], minlength=len(names)).argmax())
        if self.general not in names:
            raise DrossError(f"no domain is called {self.general!r}", fix=nearest(self.general, names))
        return names.index(self.general)

    # ---- what the domains are worth ------------------------------------------------------------------------------

    def _worth(
        self, text: Written, names: list[str], codes: Codes, general: int, mix: Values, signals: Signals
    ) -> dict[str, Any]:
        """Bits per byte of each domain's held-out text after each last phase, and what leaving one out costs."""
        learnt, held = _parted(text, codes)
        trial = _Trial(self, text, learnt, codes[learnt], len(names))
        largest = np.argsort(-np.bincount(codes[learnt], minlength=len(names)), kind="stable").tolist()
        left_out = [i for i in largest if i != general and mix[i] > 0][: self.measured]
        mixes = {"as it is": trial.base, "upsampled": mix} | {names[i]: without(mix, i) for i in left_out}
        judged = {names[i]: text.texts(rows) for i in range(len(names)) if len(rows := held[codes[held] == i])}
        bits: dict[str, dict[str, float]] = {}
        for done, (name, own) in enumerate(mixes.items()):
            signals.progress("training the last phase", done, len(mixes))
            model = trial.finished(own)
            bits[name] = {domain: round(model.bits_per_byte(texts), 5) for domain, texts in judged.items()}
        full = bits["upsampled"]
        rise = {names[i]: {t: round(100 * (bits[names[i]][t] / full[t] - 1), 3) for t in judged} for i in left_out}
        small = [t for t in judged if t != names[general]]
        return {
            "bits_per_byte": {name: bits[name] for name in ("as it is", "upsampled")},
            "rise_when_left_out": rise,
            "worth": {name: round(float(np.mean([own[t] for t in small])), 3) for name, own in rise.items() if small},
        }


def _late(of: Codes, often: Values) -> npt.NDArray[np.bool_]:
    """Which rows stand in the last phase when each is read once: of each domain its last ones, shape (n,)."""
    late = np.zeros(len(of), bool)
    for domain, times in enumerate(often.tolist()):
        rows = np.flatnonzero(of == domain)
        late[rows[len(rows) - round(min(1.0, times) * len(rows)) :]] = True
    return late


def _parted(text: Written, codes: Codes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows that the small models learn from, and those they are judged by."""
    if len(text.target):
        return text.pool, text.target
    held = np.zeros(len(text.pool), bool)
    of = codes[text.pool]
    for domain in np.unique(of):
        rows = np.flatnonzero(of == domain)
        if len(rows) > 1:
            held[rows[: max(1, len(rows) // 10)]] = True
    return text.pool[~held], text.pool[held]


class _Trial:
    """A first phase that is trained once, and last phases that go on from it."""

    def __init__(self, method: DomainUpsampling, text: Written, rows: Codes, of: Codes, domains: int) -> None:
        from dross.models.language_model import encoded, packed, tokenizer_of
        from dross.models.llama import Size

        self.method, self.first = method, max(1, round(method.steps * (1 - method.last_share)))
        texts = text.texts(rows)
        few = int(np.searchsorted(np.cumsum([len(one) for one in texts]), _FOR_TOKENS)) + 1
        self.tokenizer = tokenizer_of(texts[:few], VOCABULARY)
        ids = encoded(self.tokenizer, texts)
        parts: list[Windows] = []
        for domain in range(domains):  # each packed by itself, so that a window belongs to one domain
            own = [one for one, d in zip(ids, of.tolist(), strict=True) if d == domain]
            parts.append(packed(own, method.context)[0])
        self.windows = np.concatenate(parts)
        self.of = np.repeat(np.arange(domains), [len(part) for part in parts])
        self.base: Values = np.bincount(self.of, minlength=domains) / len(self.of)
        plan = mixed(self.of, self.base, self.first, method.batch_size, method.seed)
        self.begun = self._trained(plan, 0.0, 1 - method.last_share, size=Size(context=method.context))

    def finished(self, mix: Values) -> LanguageModel:
        """The model after a last phase of this mix."""
        own = self.method
        plan = mixed(self.of, mix, own.steps - self.first, own.batch_size, own.seed + 1_000)
        return self._trained(plan, 1 - own.last_share, 1.0, start=self.begun)

    def _trained(self, plan: Plan, begun: float, ended: float, **more: Any) -> LanguageModel:
        from dross.models.language_model import train_language_model

        own = self.method
        return train_language_model(
            self.windows,
            self.tokenizer,
            plan=plan,
            part=(begun, ended),
            learning_rate=own.learning_rate,
            seed=own.seed,
            device=own.device,
            **more,
        )
