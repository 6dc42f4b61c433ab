"""Confidence that keeps its promise: the label model's chances, tempered by the labels that are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEAST = 30
"""Known labels on rows with a vote from which the chances are tempered."""
FLOOR = 1e-3
"""No class is less likely than this before tempering: a unanimous vote leaves nothing to temper."""
HOTTEST, COLDEST = 0.02, 5.0
"""Bounds of the power that chances are raised to."""


def temper(probs: Floats, power: float) -> Floats:
    """The chances raised to a power, shape (n, k), rows adding up to 1; the order of the classes stays.

    >>> temper(np.array([[0.2, 0.8]]), 0.5).round(3).tolist()
    [[0.333, 0.667]]
    """
    raised = np.maximum(probs, FLOOR) ** power
    tempered: Floats = raised / raised.sum(axis=1, keepdims=True)
    return tempered


def fit_power(probs: Floats, truth: npt.NDArray[np.int64]) -> float:
    """The power under which known classes (positions, shape (n,)) are likeliest: temperature scaling without a bias.

    Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2; one over their temperature. No bias per
    class: known labels are seldom a fair sample of the classes. As if each class had been seen once more, so that few
    rows do not make it certain.

    >>> sure = np.array([[0.99, 0.01]] * 100)
    >>> power = fit_power(sure, np.array([0] * 80 + [1] * 20))
    >>> temper(sure[:1], power).round(2).tolist()
    [[0.79, 0.21]]
    """
    from scipy.optimize import minimize_scalar

    k = probs.shape[1]
    logs = np.log(np.maximum(probs, FLOOR))
    known = logs[np.arange(len(truth)), truth].sum()
    extra = logs.sum(axis=1).mean()

    def loss(power: float) -> float:
        z = power * logs
        top = z.max(axis=1)
        total = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top
        return float(total.sum() - power * known + k * total.mean() - power * extra)

    return float(minimize_scalar(loss, bounds=(HOTTEST, COLDEST), method="bounded", options={"xatol": 1e-4}).x)
