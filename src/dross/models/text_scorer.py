"""A language model with a linear head: a number for each row, learnt from rows whose number is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dross.models.examples import Examples
from dross.models.language_model import PAD
from dross.models.loop import Objective, Settings, fit, over

if TYPE_CHECKING:
    from dross.models.llama import Llama

_RATE = 1e-3
_CLIP = 3.0


class TextScorer(nn.Module):
    """The mean of a language model's vectors over the tokens of a window, then a linear layer."""

    def __init__(self, body: Llama) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(body.size.width, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """A number for each window, shape (b, 1); ``windows`` has the shape (b, 2, context)."""
        ids = windows[:, 0].long()
        real = (ids != PAD).float()[:, :, None]
        out: Tensor = self.head((self.body.hidden(ids) * real).sum(dim=1) / real.sum(dim=1).clamp(min=1))
        return out


def learnt_scores(
    body: Llama,
    windows: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float64],
    asked: npt.NDArray[np.int32],
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    device: str,
) -> npt.NDArray[np.float64]:
    """What a scorer that starts from a language model, and learns the scores of some windows, says of others.

    Scores are centred, scaled and clipped at three standard deviations before they are learnt by the mean squared
    error; the answers stay on that scale. ``body`` itself is trained on.
    """
    spread = float(scores.std()) or 1.0
    known = np.clip((scores - scores.mean()) / spread, -_CLIP, _CLIP).astype(np.float32)
    examples = Examples(torch.from_numpy(windows), torch.from_numpy(known), 1, "number")
    settings = Settings(epochs, batch_size, _RATE, weight_decay=0.01, seed=seed, device=device)
    nets: dict[str, Any] = {"net": TextScorer(body)}
    run = fit(Objective(), lambda: None, examples, settings, nets=nets)
    found = over(run.nets, run.net, torch.from_numpy(asked), run.device)
    return found.squeeze(1).cpu().numpy().astype(np.float64)
