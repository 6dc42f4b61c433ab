"""Metadata conditioning: whether to write where a text comes from before it, by how much of a text is given later."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Evaluator
from dross.core.paper import Paper
from dross.core.results import Estimate, Metrics, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.statistics import interval
from dross.models.language_rows import wordless, written

if TYPE_CHECKING:
    from dross.models.language_model import LanguageModel, Plan, Windows

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
LEAST = 20
"""Texts to learn from, and texts to judge by, without which nothing is measured."""
_FOR_TOKENS = 1 << 22
"""Characters that the tokenizer is learnt from."""
_PROBED = 2_000
"""Texts that a probe learns from at most, and as many that it is judged by."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def by_length(losses: Values, told: npt.NDArray[np.bool_], lengths: Sequence[int]) -> Values:
    """The mean loss of each text after prompts of some lengths, shape (m, len(lengths)); NaN where there is no token.

    ``losses`` (m, t) is the loss of each token given those before it, ``told`` (m, t) which tokens there are. After a
    prompt of ``lengths[i]`` tokens stand those up to ``lengths[i + 1]``, the last length's up to the end.

    >>> by_length(np.array([[4.0, 2.0, 1.0, 9.0]]), np.array([[True, True, True, False]]), [0, 1]).tolist()
    [[4.0, 1.5]]
    """
    out = np.full((len(losses), len(lengths)), np.nan)
    for i, (start, stop) in enumerate(itertools.pairwise([*lengths, losses.shape[1]])):
        counts = told[:, start:stop].sum(axis=1)
        sums = np.where(told, losses, 0.0)[:, start:stop].sum(axis=1)
        out[:, i] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return out


def crossover(lengths: Sequence[int], changes: Sequence[float]) -> int | None:
    """The shortest prompt from which on the loss does not rise by metadata; None where it rises at the longest.

    >>> crossover([0, 4, 16], [0.2, 0.01, -0.1]), crossover([0, 4], [-0.1, 0.1])
    (16, None)
    """
    found = None
    for length, change in zip(reversed(lengths), reversed(changes), strict=True):
        if change > 0:
            break
        found = length
    return found


def with_metadata(plan: Plan, share: float, n: int, seed: int) -> Plan:
    """The plan with that share of the reads, drawn at random, moved by ``n``: to the windows that begin with metadata.

    >>> with_metadata(np.array([[0, 1], [2, 0]]), 1.0, 3, 0).tolist()
    [[3, 4], [5, 3]]
    """
    return np.where(np.random.default_rng((seed, 17)).random(plan.shape) < share, plan + n, plan)


def probed(hidden: Values, domains: Codes, judged: Values, truth: Codes) -> float:
    """How often a linear classifier of hidden states, (m, d), names the domain of others rightly, in [0, 1]."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeClassifier())
    return float((probe.fit(hidden, domains).predict(judged) == truth).mean())


# ---- the evaluator -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """Texts and their domains as windows.

    Attributes
    ----------
    bare, headed
        Without and with metadata before them, shape (n, 2, context) each; only the text is to be predicted.
    domains
        Shape (n,), a number into the names; -1 where none is named.
    """

    bare: Windows
    headed: Windows
    domains: Codes


@dataclass(frozen=True)
class MetadataConditioning(Evaluator):
    """What a language model gains or loses by texts that begin with where they come from, by the length of prompts.

    Higuchi et al., "When Does Metadata Conditioning (NOT) Work for Language Model Pre-Training? A Study with
    Context-Free Grammars", 2025. A model that is told the domain (source, style, topic) of half the texts it reads
    need not infer it; asked without metadata, it is the better one where the prompt is long enough to tell the domain,
    and the worse one where it is not, although the mean loss is the same. So it depends on the prompts that a model is
    meant for, and this measures it on the data: pairs of small models over the same texts and steps, one of which finds
    the domain before a share of its texts, are read held-out texts without it.

    "loss change after L" is what metadata adds to the loss (in bits a token) of what follows a prompt of L tokens, up
    to the next length: below 0 it helps. "probe change after L" is what it adds to how often a linear probe of the
    hidden state names the domain. Intervals are over the pairs of models. The summary says from which length on it
    helps. Validation rows judge where the data has such a part, else a tenth of the rows. Texts are read up to
    ``context`` tokens, metadata included.

    Attributes
    ----------
    lengths
        Of the prompts, in tokens, ascending.
    share
        Of the reads that begin with metadata: half in the paper.
    models
        Pairs to train, at least 2.
    vocabulary
        Of the tokenizer; 258 reads bytes.
    steps, batch_size, context, learning_rate, device
        Of the training of each model.
    seed
        Of the first pair; the others count on from it.
    """

    paper: ClassVar = Paper(
        "When Does Metadata Conditioning (NOT) Work for Language Model Pre-Training? A Study with Context-Free "
        "Grammars",
        2025,
        "2504.17562",
    )
    needs: ClassVar = (Role.DOMAIN,)
    extra: ClassVar[str | None] = "torch"

    lengths: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 32)
    share: float = 0.5
    models: int = 3
    vocabulary: int = 512
    steps: int = 400
    batch_size: int = 32
    context: int = 64
    learning_rate: float = 3e-3
    device: str = "auto"
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where texts name their domains."""
        return super().applies(data) or wordless(data)

    def run(self, data: Dataset, signals: Signals) -> Metrics | NotApplicable:
        """Train the pairs and read the held-out texts."""
        self._check()
        missing = self.applies(data)
        if missing is not None:
            return missing
        parts = self.parts(data)
        if isinstance(parts, NotApplicable):
            return parts
        tokenizer, learnt, held = parts
        found: list[dict[str, float]] = []
        for i in range(self.models):
            signals.progress("training with and without metadata", i, self.models)
            pair = self.pair(tokenizer, learnt, self.seed + i)
            found.append(self.changes(*pair, learnt, held))
        values: dict[str, Estimate] = {name: interval([one[name] for one in found]) for name in found[0]}
        lengths = [length for length in self.lengths if f"loss change after {length}" in values]
        means = [values[f"loss change after {length}"][0] for length in lengths]
        summary: dict[str, Any] = {
            "domains": int(held.domains.max()) + 1,
            "learnt_texts": len(learnt.bare),
            "judged_texts": len(held.bare),
            "helps_from_length": crossover(lengths, means),
        }
        return Metrics(values, summary)

    def _check(self) -> None:
        ascending = list(self.lengths) == sorted(set(self.lengths)) and min(self.lengths, default=-1) >= 0
        if not ascending or max(self.lengths) >= self.context:
            raise DrossError(f"lengths are {self.lengths}", fix="give ascending numbers from 0 to below the context")
        if self.models < 2 or not 0 < self.share <= 1:
            raise DrossError(f"models is {self.models}, share {self.share}", fix="give at least 2 and a share up to 1")

    def parts(self, data: Dataset) -> tuple[Any, Read, Read] | NotApplicable:
        """The tokenizer, the texts to learn from and those to judge by."""
        from dross.models.language_model import encoded, prompted, tokenizer_of

        text = written(data, seed=self.seed)
        values = np.array(pc.cast(data.column(Role.DOMAIN), pa.large_string()).to_pylist(), dtype=object)
        pool = text.pool
        held = text.target if len(text.target) else pool[: len(pool) // 10]
        held = held[[values[i] is not None for i in held.tolist()]]
        learnt = pool if len(text.target) else pool[len(pool) // 10 :]
        names = sorted({values[i] for i in learnt.tolist() if values[i] is not None})
        if len(names) < 2 or min(len(learnt), len(held)) < LEAST:
            return NotApplicable(
                f"{len(names)} domains, {len(learnt)} texts to learn from and {len(held)} to judge by: 2 domains and "
                f"{LEAST} texts each are needed"
            )
        texts = text.texts(learnt)
        few = int(np.searchsorted(np.cumsum([len(one) for one in texts]), _FOR_TOKENS)) + 1
        tokenizer = tokenizer_of([*names, *texts[:few]], self.vocabulary)
        place = {name: i for i, name in enumerate(names)}

        def read(rows: Codes) -> Read:
            heads = [f"{values[i]}\n" if values[i] is not None else "" for i in rows.tolist()]
            ids = encoded(tokenizer, text.texts(rows))
            return Read(
                prompted([[]] * len(ids), ids, self.context),
                prompted(encoded(tokenizer, heads), ids, self.context),
                np.array([place.get(values[i], -1) for i in rows.tolist()], np.int64),
            )

        return tokenizer, read(learnt), read(held)

    def pair(self, tokenizer: Any, learnt: Read, seed: int) -> tuple[LanguageModel, LanguageModel]:
        """A model without metadata and one with: the same first weights, texts and steps."""
        from dross.models.language_model import passes, train_language_model
        from dross.models.llama import Size

        n = len(learnt.bare)
        plan = passes(n, self.steps, self.batch_size, seed)
        windows = np.concatenate([learnt.bare, learnt.headed])
        plain, headed = (
            train_language_model(
                windows,
                tokenizer,
                plan=own,
                size=Size(context=self.context),
                learning_rate=self.learning_rate,
                seed=seed,
                device=self.device,
            )
            for own in (plan, with_metadata(plan, self.share, n, seed))
        )
        return plain, headed

    def changes(self, plain: LanguageModel, headed: LanguageModel, learnt: Read, held: Read) -> dict[str, float]:
        """What metadata changes after prompts of each length that some held-out text is longer than."""
        told = held.bare[:, 1] >= 0
        each = [by_length(token_bits(model, held.bare), told, self.lengths) for model in (plain, headed)]
        out: dict[str, float] = {}
        for i, length in enumerate(self.lengths):
            change = (each[1] - each[0])[:, i]
            if np.isfinite(change).any():
                out[f"loss change after {length}"] = float(np.nanmean(change))
        for length in self.lengths[1:]:
            if f"loss change after {length}" in out and self._probes(learnt, held, length):
                before, after = (self._probe(model, learnt, held, length) for model in (plain, headed))
                out[f"probe change after {length}"] = after - before
        return out

    def _probes(self, learnt: Read, held: Read, length: int) -> bool:
        long = (learnt.bare[:_PROBED, 1, length - 1] > 0) & (learnt.domains[:_PROBED] >= 0)
        judged = (held.bare[:_PROBED, 1, length - 1] > 0) & (held.domains[:_PROBED] >= 0)
        return judged.sum() >= LEAST and len(np.unique(learnt.domains[:_PROBED][long])) >= 2

    def _probe(self, model: LanguageModel, learnt: Read, held: Read, length: int) -> float:
        """How often the hidden state after ``length`` tokens tells the domain."""
        sides: list[Any] = []
        for read in (learnt, held):
            own = np.flatnonzero((read.bare[:_PROBED, 1, length - 1] > 0) & (read.domains[:_PROBED] >= 0))
            sides += [hidden_after(model, read.bare[own], length), read.domains[own]]
        return probed(*sides)


def token_bits(model: LanguageModel, windows: Windows) -> Values:
    """The loss of each token of each window, in bits, shape (m, context)."""
    import torch

    from dross.models.language_model import token_losses
    from dross.models.loop import over

    def lost(x: torch.Tensor) -> torch.Tensor:
        return token_losses(model.net(x[:, 0].long()), x[:, 1].long())

    device = next(model.net.parameters()).device
    nats = over({"net": model.net}, lost, torch.from_numpy(windows), device)
    return np.asarray(nats.cpu().numpy() / np.log(2), np.float64)


def hidden_after(model: LanguageModel, windows: Windows, length: int) -> Values:
    """The hidden state once ``length`` tokens have been read, shape (m, width)."""
    import torch

    from dross.models.loop import over

    def hidden(x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model.net.hidden(x[:, 0, : length + 1].long())[:, length]
        return found

    device = next(model.net.parameters()).device
    return np.asarray(over({"net": model.net}, hidden, torch.from_numpy(windows), device).cpu().numpy(), np.float64)
