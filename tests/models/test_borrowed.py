"""Networks of timm and torchvision; those tests that need the libraries are skipped where they are missing."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dross.core.errors import DrossError, MissingExtra
from dross.core.signal import Signals
from dross.io import load
from dross.job.training import trainer
from dross.models.borrowed import Borrowed

torch = pytest.importorskip("torch")


def usable(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None and bool(importlib.import_module(library))
    except (ImportError, RuntimeError):  # built for another torch
        return False


def needs(library: str) -> Any:
    return pytest.mark.skipif(not usable(library), reason=f"needs {library} built for this torch")


def pictures(n: int = 60, side: int = 40) -> Any:
    """Bright and dark squares."""
    from PIL import Image

    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    files = []
    for one in label.tolist():
        out = io.BytesIO()
        Image.fromarray((rng.integers(0, 100, (side, side, 3)) + 150 * one).astype(np.uint8)).save(out, "PNG")
        files.append(out.getvalue())
    return load({"image": files, "y": [["dark", "bright"][c] for c in label.tolist()]}, image="image", label="y")


def trained(network: str, data: Any, **options: Any) -> Any:
    options = {"epochs": 3, "batch_size": 20, **options}
    return trainer("cross-entropy", network=network, **options).run(data, Signals(data))


@pytest.mark.parametrize("network", ["timm:resnet18", "torchvision:resnet18"])
def test_a_missing_library_is_named(network: str) -> None:
    library = network.partition(":")[0]
    if importlib.util.find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    with pytest.raises(MissingExtra, match=r'pip install "dross\[vision\]"'):
        trained(network, pictures(20))


def test_texts_are_refused() -> None:
    texts = load({"text": ["a b", "c d"] * 10, "y": ["p", "q"] * 10}, text="text", label="y")
    with pytest.raises(DrossError, match="reads image rows"):
        trained("timm:resnet18", texts)


def test_an_unknown_prefix_is_told_the_others() -> None:
    with pytest.raises(DrossError, match="timm:MODEL"):
        trained("tim:resnet18", pictures(20))


@pytest.mark.parametrize("network", [pytest.param("timm:resnet10t", marks=needs("timm")),
                                     pytest.param("torchvision:resnet18", marks=needs("torchvision"))])  # fmt: skip
def test_it_learns_and_is_read_back_without_the_weights(network: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from dross.models.trained import load as read

    data = pictures()
    body, width = Borrowed.of(network).body((3, 40, 40))  # type: ignore[union-attr]
    file = tmp_path / "weights.safetensors"
    save_file(body.state_dict() | {"fc.weight": torch.zeros(5, width)}, file)
    model = trained(f"{network}@{file}", data)
    assert model.score(data) > 0.9
    model.save(tmp_path / "model")
    file.unlink()
    np.testing.assert_allclose(
        read(tmp_path / "model").predict_proba(data), model.predict_proba(data), rtol=1e-4, atol=1e-5
    )


@needs("torchvision")
def test_grey_images_get_a_first_layer_of_their_own() -> None:
    body, width = Borrowed("torchvision", "mobilenet_v3_small").body((1, 32, 32))
    assert body.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, width)


@needs("torchvision")
@needs("timm")
def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    data = pictures(20)
    with pytest.raises(DrossError, match="did you mean 'resnet18'"):
        trained("torchvision:resnet81", data)
    with pytest.raises(DrossError, match="timm has no model"):
        trained("timm:nothing_of_the_kind", data)
    with pytest.raises(DrossError, match="safetensors files only"):
        trained("timm:resnet10t@weights.pth", data)
    with pytest.raises(DrossError, match="missing or damaged"):
        trained("timm:resnet10t@nowhere.safetensors", data)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(DrossError, match="these are no weights for timm:resnet10t"):
        trained(f"timm:resnet10t@{tmp_path}/other.safetensors", data)
    with pytest.raises(DrossError, match="reads images of 224 x 224"):
        Borrowed("torchvision", "vit_b_16").body((3, 32, 32))
