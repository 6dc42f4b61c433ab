"""The training loop beside a loop written by hand, for plain cross-entropy.

    python benchmarks/loop_overhead.py --runs 7

Both train the same network on the same batches and end with the same weights (checked). Times are CPU seconds of one
thread, in turn; the ratio is that of medians.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch.nn import functional

from dross.models.devices import seeded
from dross.models.examples import Examples
from dross.models.loop import Objective, Settings, fit, rate
from dross.models.networks import Maker

SHAPES: dict[str, tuple[str, tuple[int, ...], int]] = {
    "mlp, 64 numbers": ("mlp", (64,), 30),
    "cnn, 1 x 28 x 28": ("cnn", (1, 28, 28), 2),
}


def by_hand(make: Maker, data: Examples, settings: Settings) -> torch.nn.Module:
    with seeded(settings.seed, 0):
        net = make()
    optimizer = torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    for epoch in range(settings.epochs):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * rate(epoch / settings.epochs)
        order = torch.from_numpy(np.random.default_rng((settings.seed, epoch)).permutation(len(data)))
        for start in range(0, len(order), settings.batch_size):
            rows = order[start : start + settings.batch_size]
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(net(data.x[rows]), data.y[rows]).backward()
            optimizer.step()
    return net


def seconds(work: object) -> tuple[float, object]:
    started = time.process_time()
    found = work()  # type: ignore[operator]
    return time.process_time() - started, found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=7)
    runs = options.parse_args().runs
    torch.set_num_threads(1)
    for name, (network, shape, epochs) in SHAPES.items():
        rng = np.random.default_rng(0)
        n = 2000
        x = torch.from_numpy(rng.normal(size=(n, *shape)).astype(np.float32))
        data = Examples(x, torch.from_numpy(rng.integers(0, 10, n)), 10)
        make = Maker(network, "vector" if len(shape) == 1 else "image", shape, 10)
        settings = Settings(epochs=epochs)
        times: dict[str, list[float]] = {"by hand": [], "dross": []}
        for _ in range(runs):
            taken, net = seconds(lambda m=make, d=data, s=settings: by_hand(m, d, s))
            times["by hand"].append(taken)
            taken, run = seconds(lambda m=make, d=data, s=settings: fit(Objective(), m, d, s))
            times["dross"].append(taken)
            pairs = zip(net.state_dict().values(), run.net.state_dict().values(), strict=True)  # type: ignore[attr-defined]
            assert all(torch.equal(a, b) for a, b in pairs), "the two loops train different networks"
        hand, ours = (float(np.median(times[k])) for k in ("by hand", "dross"))
        print(f"{name}: by hand {hand:.2f} s, dross {ours:.2f} s, {ours / hand:.3f} times")


if __name__ == "__main__":
    main()
