"""Linear separation alternation: foreign rows found by a plane in contrastive features, and in turns by the loss."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.augment import strong, weak
from dross.models.co_division import sharpened
from dross.models.examples import Batch, soft_cross_entropy
from dross.models.lesson import Lesson
from dross.models.loop import Run, frozen
from dross.models.mixing import mixed, mixing_share
from dross.models.nt_xent import Contrast
from dross.models.small_loss import small_loss_chance
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

Values = npt.NDArray[np.float64]
DETECTORS = ("alternating", "linear", "small-loss")
_CONTRAST = 0.2
"""Temperature of the contrastive pretraining, as in SimCLR on small images."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def separation(features: npt.NDArray[Any], suspect: npt.NDArray[np.bool_], pull: float = 1.0) -> Values:
    """How far on the suspect side of a hyperplane each row lies, shape (n,), as log-odds; 0 is the plane.

    Logistic regression of ``suspect`` (n,), bool, on standardised features (n, d) that were divided by their length,
    both sides weighing the same; ``pull`` is the inverse strength of the penalty. All on the clean side where nothing
    or everything is suspect. O(n d) per step.

    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> (separation(X, np.array([False, False, True, False])) > 0).tolist()
    [False, False, True, True]
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if suspect.all() or not suspect.any():
        return np.full(len(features), -1.0)
    X = np.asarray(features, np.float64)
    X = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
    X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-12)
    with warnings.catch_warnings():  # a plane that could be a little better still is good enough
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=pull, max_iter=1000, class_weight="balanced").fit(X, suspect)
    odds: Values = model.decision_function(X)
    return odds


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of values (b,) by weights (b,); 0 where all weights are.

    >>> import torch
    >>> float(weighted_mean(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 1.0])))
    2.0
    """
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def interpolated_contrast(
    mixtures: Tensor, others: Tensor, classes: Tensor, order: Tensor, share: float, temperature: float
) -> Tensor:
    """The contrast of mixed views with other views of the same rows, a mean over rows.

    ``mixtures`` (b, d) come from ``share`` of each row and the rest of the row at ``order`` (b,); each must find all
    ``others`` (b, d) whose class (b,) is that of the first (by ``share``) or of the second (by the rest).

    >>> import torch
    >>> views, order = torch.eye(2), torch.tensor([1, 0])
    >>> round(float(interpolated_contrast(views, views, torch.tensor([0, 1]), order, 1.0, 1.0)), 4)
    0.3133
    """
    from torch.nn.functional import normalize

    logits = normalize(mixtures.float(), dim=1) @ normalize(others.float(), dim=1).T / temperature
    same = (classes[:, None] == classes[None]).float()
    same = same / same.sum(dim=1, keepdim=True)
    return soft_cross_entropy(logits, mixed(same, same[order], share)).mean()


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LinearSeparationAlternation(NetworkTrainer):
    """Alternate two detectors of noise from epoch to epoch, and learn robustly from what they leave (PLS-LSA).

    Albert, Valmadre, Arazo, Krishna, O'Connor, McGuinness, "An accurate detection is not all you need to combat label
    noise in web-noisy datasets", 2024. In features learnt by contrast, without labels, rows from the distribution and
    rows foreign to it are linearly separable. A mixture of the losses names some of either; a hyperplane between those
    finds the rest. Accurate as it is, it misses easy clean rows that the loss would find, so the two take turns.

    Doubted rows are learnt with the network's own guess, from strongly changed inputs, by a weight from a mixture of
    their losses against the guess (PLS, Albert et al., 2023); all rows are mixed, and a contrast draws rows of one
    class together. Here the hyperplane stands in the vectors of the pretrained network, kept as it was; the paper takes
    an early layer of the network in training, which stays near it. Unlabelled rows take part in the pretraining only.
    With as many epochs of pretraining as of training it costs about seven times cross-entropy.

    Attributes
    ----------
    detector
        ``alternating``, or one of the two alone: ``linear`` or ``small-loss``.
    contrastive_epochs
        Epochs of the pretraining by contrast.
    threshold
        The chance of a large loss above which a row is doubted, or on the suspect side when the plane is fitted.
    sharpening
        The power to which guesses are raised, gamma of the paper.
    temperature
        Of the contrast beside the training, mu of the paper.
    warm_up
        The share of the epochs before the first detection.
    """

    paper: ClassVar = Paper(
        "An accurate detection is not all you need to combat label noise in web-noisy datasets", 2024, "2407.05528"
    )
    alias: ClassVar = "lsa"

    detector: Literal["alternating", "linear", "small-loss"] = "alternating"
    contrastive_epochs: int = 30
    threshold: float = 0.95
    sharpening: float = 2.0
    temperature: float = 0.2
    warm_up: float = 0.1

    def learn(self, lesson: Lesson) -> Run:
        """Contrast without labels, then training with detection."""
        if self.detector not in DETECTORS:
            raise DrossError(f"detector is {self.detector!r}", fix=f"give one of {', '.join(DETECTORS)}")
        first = lesson.fit(Contrast(_CONTRAST), stage="contrast", epochs=self.contrastive_epochs)
        nets = {"net": first.net, "projector": first.nets["projector"], "features": frozen(first.net)}
        return lesson.fit(self, nets=nets)

    def begin(self, run: Run) -> None:
        """All labels are trusted at first."""
        import torch

        n = len(run.examples)
        run.state["features"] = run.over(run.nets["features"].encode)
        run.state["doubted"] = torch.zeros(n, dtype=torch.bool, device=run.device)
        run.state["weights"] = torch.ones(n, device=run.device)
        run.state["guesses"] = torch.full((n, run.examples.outputs), torch.nan, device=run.device)
        run.state["odds"] = torch.full((n,), torch.nan, device=run.device)

    def first_detection(self, run: Run) -> int:
        """The epoch before which noise is detected for the first time; at least the second."""
        return max(1, round(self.warm_up * run.settings.epochs))

    def epoch(self, run: Run) -> None:
        """Detect noise by the loss or the hyperplane, whose turn it is, and weigh the guesses for it."""
        import torch

        since = run.epoch - self.first_detection(run)
        if since < 0:
            return
        rows = run.labelled
        large = 1 - small_loss_chance(run.losses()[rows].cpu().numpy()) > self.threshold
        doubted = large
        if self.detector == "linear" or (self.detector == "alternating" and since % 2 == 0):
            odds = separation(run.state["features"][rows].cpu().numpy(), large)
            run.state["odds"][rows] = torch.from_numpy(odds).float().to(run.device)
            doubted = odds > 0
        weights = np.ones(len(rows))
        guesses = run.state["guesses"][rows]
        pseudo = soft_cross_entropy(run.probs(rows=rows).clamp(min=1e-7).log(), guesses).cpu().numpy()
        weights[doubted] = np.nan_to_num(small_loss_chance(pseudo[doubted]), nan=0.0)
        run.state["doubted"][rows] = torch.from_numpy(doubted).to(run.device)
        run.state["weights"][rows] = torch.from_numpy(weights).float().to(run.device)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Mixed, weighted cross-entropy on labels and guesses, and the contrast."""
        import torch
        from torch.nn.functional import one_hot

        (batch,) = batches
        with torch.no_grad():
            clear = run.net(weak(batch.x))
            run.note(batch, clear)
            guesses = sharpened(clear.float().softmax(dim=1), 1 / self.sharpening)
        run.state["guesses"][batch.rows] = guesses
        share = mixing_share(1.0, run.rng)
        share, order = max(share, 1 - share), torch.randperm(len(batch.y), device=run.device)
        detecting = run.epoch >= self.first_detection(run)
        doubted, weights = run.state["doubted"][batch.rows], run.state["weights"][batch.rows]
        targets = torch.where(doubted[:, None], guesses, one_hot(batch.y, run.examples.outputs).float())
        shown = weak(batch.x)
        if bool(doubted.any()):
            shown[doubted] = strong(batch.x)[doubted]
        vectors = _mixed_vectors(run.net, shown, shown[order], share)
        logits = run.net.head(vectors).float()
        rows = [soft_cross_entropy(logits, goal) for goal in (targets, targets[order])]
        loss = mixed(weighted_mean(rows[0], weights), weighted_mean(rows[1], weights[order]), share)
        if not detecting:
            return loss
        others = run.nets["projector"](run.net.encode(strong(batch.x)))
        views = run.nets["projector"](vectors)
        classes = targets.argmax(dim=1)
        return loss + interpolated_contrast(views, others, classes, order, share, self.temperature)

    def beliefs(self, run: Run) -> Tensor:
        """The given label where it is not doubted, the prediction elsewhere."""
        from torch.nn.functional import one_hot

        given = one_hot(run.y.clamp(min=0), run.examples.outputs).float()
        trusted = (~run.state["doubted"] & (run.y >= 0))[:, None]
        return given * trusted + run.probs() * ~trusted

    def report(self, run: Run) -> dict[str, Any]:
        """How many labels are doubted in the end."""
        return {"doubted": int(run.state["doubted"].sum())}


def _mixed_vectors(net: Any, x: Tensor, other: Tensor, share: float) -> Tensor:
    """The vectors of mixed inputs; of tokens, which cannot be mixed, the mixed vectors."""
    if x.is_floating_point():
        vectors: Tensor = net.encode(mixed(x, other, share))
        return vectors
    return mixed(net.encode(x), net.encode(other), share)
