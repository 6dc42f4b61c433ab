"""DFN: a small network learns from a few trusted pairs which pairs match, and keeps those of the pool that do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.signal import Signals
from dross.core.splits import shuffled, splits_of
from dross.models.lesson import VALIDATION
from dross.models.two_sides import Sides, sideless, sides_of
from dross.signals.embedding import CLASSICAL

if TYPE_CHECKING:
    from dross.models.loop import Settings
    from dross.models.two_towers import Towers

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
TRUSTED = ("trusted", "clean", "gold")
"""Names of the part whose pairs are known to match, in lower case; the validation part where none is called so."""
FILTERS = ("linear", "network", "tuned", "pool")
LEAST = 8
"""Trusted pairs, at least."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def top_share(scores: Scores, share: float) -> Rows:
    """Positions of the highest scores, the highest first: ``share`` of all, rounded down; equal ones in their order.

    >>> top_share(np.array([0.1, 0.9, 0.5, 0.9], np.float32), 0.5).tolist()
    [1, 3]
    """
    return np.argsort(-scores, kind="stable")[: math.floor(share * len(scores) + 1e-9)]


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataFilteringNetwork(Selector):
    """The pairs of the pool that a network, taught by a few trusted pairs, finds to match; the best match first.

    Fang, Jose, Jain, Schmidt, Toshev, Shankar, "Data Filtering Networks", 2023. Two towers learn by contrast which
    sides belong together, from a small set that is known to be good; each pair of the pool is scored by the cosine of
    its sides and the top share is kept. A filter is not judged by how well it does the task itself but by the model
    that its choice makes: where several filters are named, each is judged so, on trusted pairs that it has not seen,
    and the best one chooses. That is what the paper found to matter: a filter of high accuracy that learnt from noisy
    pairs makes a bad choice.

    Rows are pairs: query and passage, prompt and response, image and text, content and label, or two columns named.
    The trusted ones are a part of the data (role split) called ``trusted``, ``clean``, ``gold`` or validation.

    Attributes
    ----------
    share
        Of the pool, how many to keep; the paper keeps 15 to 20 % of web data.
    filters
        Which filters to try: ``linear`` and ``network`` (one hidden layer) learn from the trusted pairs; ``tuned``
        learns from the pool and then from the trusted pairs, as the paper's best does; ``pool`` only from the pool.
    trusted
        The name of the trusted part; empty looks for the names above.
    first, second
        The columns that hold the sides; empty takes the roles.
    model
        What embeds text; see :class:`~dross.signals.embedding.Embedding`.
    folds
        Parts of the trusted pairs, each held out once, when several filters are judged.
    epochs, batch_size, learning_rate
        Of the filters; the pool is read ``pool_epochs`` times, also by the models that judge.
    width, hidden
        Dimensions of the common space, and of the hidden layer.
    seed, device
        Of the trainings.
    """

    paper: ClassVar = Paper("Data Filtering Networks", 2023, "2309.17425")
    alias: ClassVar = "dfn"
    extra: ClassVar[str | None] = "torch"

    share: float = 0.2
    filters: tuple[str, ...] = ("network",)
    trusted: str = ""
    first: str = ""
    second: str = ""
    model: str = CLASSICAL
    folds: int = 4
    epochs: int = 40
    pool_epochs: int = 15
    batch_size: int = 64
    learning_rate: float = 3e-3
    width: int = 32
    hidden: int = 128
    seed: int = 0
    device: str = "auto"

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where rows are pairs and some are trusted."""
        missing = super().applies(data) or sideless(data, self.first, self.second)
        if missing is None and not self._trusted_parts(data):
            return NotApplicable("needs trusted pairs: a part (role split) called trusted, clean, gold or validation")
        return missing

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Teach the filters, judge them where there are several, and keep what the best one scores highest."""
        self._check()
        missing = self.applies(data)
        if missing is not None:
            return missing
        from dross.models.devices import import_torch

        import_torch()
        sides = sides_of(data, signals, first=self.first, second=self.second, model=self.model)
        codes, order = splits_of(data).codes, shuffled(data, self.seed)
        order = order[sides.known[order]]
        good, pool = order[np.isin(codes[order], self._trusted_parts(data))], order[codes[order] == 0]
        if len(good) < LEAST or len(pool) < 2:
            return NotApplicable(f"{len(good)} trusted pairs and {len(pool)} in the pool: {LEAST} and 2 are needed")
        judged = self._judged(sides.take(pool), sides.take(good), signals) if len(self.filters) > 1 else {}
        best = max(judged, key=lambda name: judged[name]["induced_accuracy"]) if judged else self.filters[0]
        scores = self._taught(best, sides.take(pool), sides.take(good)).alignment(sides.take(pool))
        kept = top_share(scores, self.share)
        summary = {
            "pairs": " and ".join(sides.names),
            "trusted": len(good),
            "pool": len(pool),
            "kept": len(kept),
            "filter": best,
            "lowest_score_kept": round(float(scores[kept[-1]]), 4) if len(kept) else None,
            "filters": judged,
        }
        return Selection(pool[kept], None, summary)

    def _judged(self, pool: Sides, good: Sides, signals: Signals) -> dict[str, dict[str, float]]:
        """Each filter's own accuracy and that of the model its choice makes, on trusted pairs that it has not seen."""
        fold = np.arange(len(good.known)) % min(self.folds, len(good.known))
        own: dict[str, list[Any]] = {name: [] for name in self.filters}
        induced: dict[str, list[Any]] = {name: [] for name in self.filters}
        for f in range(int(fold.max()) + 1):
            seen, held = good.take(fold != f), good.take(fold == f)
            for name in self.filters:
                judge = self._taught(name, pool, seen)
                own[name].append(judge.found(held))
                kept = pool.take(top_share(judge.alignment(pool), self.share))
                induced[name].append(self._induced(kept).found(held))
            signals.progress("judging filters", f + 1, int(fold.max()) + 1)
        found = {name: float(np.concatenate(induced[name]).mean()) for name in self.filters}
        return {
            name: {
                "induced_accuracy": round(found[name], 4),
                "own_accuracy": round(float(np.concatenate(own[name]).mean()), 4),
            }
            for name in sorted(found, key=lambda name: -found[name])
        }

    def _taught(self, name: str, pool: Sides, good: Sides) -> Towers:
        """A filter by name."""
        from dross.models.two_towers import train_towers

        hidden = 0 if name == "linear" else self.hidden
        if name in ("linear", "network"):
            return train_towers(good, self._settings(self.epochs, len(good.known)), width=self.width, hidden=hidden)
        on_pool = self._induced(pool)
        if name == "pool":
            return on_pool
        return train_towers(good, self._settings(self.epochs, len(good.known)), start=on_pool)

    def _induced(self, kept: Sides) -> Towers:
        """The model that a choice makes."""
        from dross.models.two_towers import train_towers

        settings = self._settings(self.pool_epochs, len(kept.known))
        return train_towers(kept, settings, width=self.width, hidden=self.hidden)

    def _settings(self, epochs: int, rows: int) -> Settings:
        from dross.models.loop import Settings

        size = max(2, min(self.batch_size, rows // 2))
        return Settings(epochs, size, self.learning_rate, seed=self.seed, device=self.device)

    def _trusted_parts(self, data: Dataset) -> list[int]:
        names = splits_of(data).names
        if self.trusted:
            if self.trusted not in names[1:]:
                told = f"no part of the data besides the training part is called {self.trusted!r}"
                raise DrossError(told, fix=nearest(self.trusted, names[1:]) if names[1:] else "name a column split=…")
            return [names.index(self.trusted)]
        for called in (TRUSTED, VALIDATION):
            found = [i for i, name in enumerate(names) if i and name.strip().lower() in called]
            if found:
                return found
        return []

    def _check(self) -> None:
        if not 0 < self.share <= 1:
            raise DrossError(f"share is {self.share}", fix="give a share above 0, at most 1")
        unknown = [name for name in self.filters if name not in FILTERS]
        if unknown or not self.filters or len(set(self.filters)) < len(self.filters):
            told = f"no filter is called {unknown[0]!r}" if unknown else "filters must be named, each once"
            raise DrossError(told, fix=nearest(unknown[0] if unknown else "", list(FILTERS)))
        least = {"folds": 2, "epochs": 1, "pool_epochs": 1, "batch_size": 2, "width": 1, "hidden": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise DrossError(f"{name} is {getattr(self, name)}", fix=f"give {bound} or more")
        if self.learning_rate <= 0:
            raise DrossError(f"learning_rate is {self.learning_rate}", fix="give a number above 0")
