"""A small language model, trained from scratch: how well it reads tells what the text it learnt from is worth."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError, MissingExtra
from dross.models.devices import device_of, import_torch
from dross.models.examples import Batch, Examples
from dross.models.loop import Nets, Objective, Run, Settings, fit, over

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.llama import Size

Windows = npt.NDArray[np.int32]
Plan = npt.NDArray[np.int64]
END, PAD = 0, 1
"""The tokens that end a text, and that fill a window."""
UNLEARNT = -100
"""The target of a position that is not to be predicted."""
_WARM = 0.05
_ENCODED = 1024


# ---- texts as tokens ---------------------------------------------------------------------------------------------


def tokenizer_of(texts: Iterable[str], vocabulary: int = 512) -> Any:
    """A byte-level byte-pair tokenizer learnt from texts; token 0 ends a text, token 1 fills.

    >>> tokenizer = tokenizer_of(["the cat sat on the mat"] * 9, 300)
    >>> tokenizer.decode(tokenizer.encode("the mat").ids)
    'the mat'
    """
    try:
        from tokenizers import ByteLevelBPETokenizer
    except ImportError as error:
        raise MissingExtra.of("tokenizers", "torch") from error
    learnt = ByteLevelBPETokenizer()
    learnt.train_from_iterator(texts, vocab_size=vocabulary, special_tokens=["<end>", "<pad>"], show_progress=False)
    return learnt


def encoded(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text, without those that a tokenizer puts before or after a text by itself."""
    ids: list[list[int]] = []
    for start in range(0, len(texts), _ENCODED):
        batch = list(texts[start : start + _ENCODED])
        ids += [one.ids for one in tokenizer.encode_batch(batch, add_special_tokens=False)]
    return ids


def packed(ids: Sequence[Sequence[int]], context: int, end: int = END) -> tuple[Windows, npt.NDArray[np.int64]]:
    """Token ids written one text after the other, each with ``end`` behind it, and cut into windows.

    Returns the windows, shape (m, 2, context): what is read, and what is to be predicted; and for each window the
    position of the text at whose token it starts, shape (m,). The first window begins with an end.

    >>> windows, origin = packed([[5, 6, 7], [8]], 4)
    >>> windows.tolist(), origin.tolist()
    ([[[0, 5, 6, 7], [5, 6, 7, 0]], [[0, 8, 1, 1], [8, 0, -100, -100]]], [0, 1])
    """
    stream = np.concatenate([np.array([end]), *(np.array([*one, end]) for one in ids)]).astype(np.int32)
    owner = np.repeat(np.arange(len(ids)), [len(one) + 1 for one in ids])
    count = math.ceil((len(stream) - 1) / context)
    read = np.full(count * context, PAD, np.int32)
    told = np.full(count * context, UNLEARNT, np.int32)
    read[: len(stream) - 1], told[: len(stream) - 1] = stream[:-1], stream[1:]
    return np.stack([read.reshape(count, context), told.reshape(count, context)], axis=1), owner[::context]


def prompted(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], context: int) -> Windows:
    """One window a pair: the prompt is read, the response and its end are predicted; shape (n, 2, context).

    What does not fit is cut at the end.

    >>> prompted([[5, 6]], [[7]], 5).tolist()
    [[[0, 5, 6, 7, 1], [-100, -100, 7, 0, -100]]]
    """
    out = np.full((len(prompts), 2, context), PAD, np.int32)
    out[:, 1] = UNLEARNT
    for row, asked, answer in zip(out, prompts, responses, strict=True):
        read, told = [END, *asked, *answer][:context], ([UNLEARNT] * len(asked) + [*answer, END])[:context]
        row[0, : len(read)], row[1, : len(told)] = read, told
    return out


def passes(rows: int, steps: int, batch_size: int, seed: int) -> Plan:
    """Which windows each step reads, shape (steps, batch_size): pass after pass, each in a new random order.

    >>> np.sort(passes(4, 2, 2, 0).ravel()).tolist()
    [0, 1, 2, 3]
    """
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(rows) for _ in range(math.ceil(steps * batch_size / max(rows, 1)))]
    return np.concatenate(orders)[: steps * batch_size].reshape(steps, batch_size)


# ---- the model ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LanguageModel:
    """A network and its tokenizer."""

    net: Any
    tokenizer: Any

    @property
    def size(self) -> Size:
        """How large it is."""
        size: Size = self.net.size
        return size

    def windows(self, texts: Sequence[str]) -> tuple[Windows, npt.NDArray[np.int64]]:
        """The texts as :func:`packed` windows."""
        return packed(encoded(self.tokenizer, texts), self.size.context, getattr(self.net, "end", END))

    def pairs(self, prompts: Sequence[str], responses: Sequence[str]) -> Windows:
        """Prompts and responses as :func:`prompted` windows."""
        return prompted(encoded(self.tokenizer, prompts), encoded(self.tokenizer, responses), self.size.context)

    def losses(self, windows: Windows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The cross-entropy of each window's targets, summed, in nats, shape (m,); and how many targets there are."""
        import torch

        def lost(x: Tensor) -> Tensor:
            return token_losses(self.net(x[:, 0].long()), x[:, 1].long()).sum(dim=1)

        device = next(self.net.parameters()).device
        found = over({"net": self.net}, lost, torch.from_numpy(windows), device)
        return found.cpu().numpy().astype(np.float64), (windows[:, 1] != UNLEARNT).sum(axis=1)

    def text_losses(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """The mean cross-entropy per byte of each text read by itself, in bits, shape (n,); NaN for an empty text."""
        ids = encoded(self.tokenizer, texts)
        parts = [packed([one], self.size.context)[0] for one in ids]
        nats, _ = self.losses(np.concatenate(parts)) if parts else (np.empty(0), None)
        totals = np.add.reduceat(nats, np.cumsum([0, *map(len, parts[:-1])])) if parts else nats
        sizes = np.array([len(text.encode()) for text in texts], np.float64)
        return np.where(sizes > 0, totals / np.maximum(sizes, 1) / math.log(2), np.nan)

    def bits_per_byte(self, texts: Sequence[str]) -> float:
        """The cross-entropy of the texts in bits for each of their bytes: comparable between tokenizers."""
        nats, _ = self.losses(self.windows(texts)[0])
        return float(nats.sum() / math.log(2) / max(1, sum(len(text.encode()) for text in texts)))

    def generate(self, prompts: Sequence[str], most: int = 64) -> list[str]:
        """The likeliest continuation of each prompt, token by token, up to its end or ``most`` tokens."""
        import torch

        device = next(self.net.parameters()).device
        written = [[END, *ids] for ids in encoded(self.tokenizer, prompts)]
        starts, going = [len(ids) for ids in written], list(range(len(written)))
        self.net.eval()
        for _ in range(most):
            going = [i for i in going if len(written[i]) < self.size.context and written[i][starts[i] :][-1:] != [END]]
            if not going:
                break
            longest = max(len(written[i]) for i in going)
            ids = torch.tensor([written[i] + [PAD] * (longest - len(written[i])) for i in going], device=device)
            with torch.no_grad():
                ends = torch.tensor([len(written[i]) - 1 for i in going], device=device)
                hidden = self.net.hidden(ids)[torch.arange(len(going), device=device), ends]
                best = (hidden @ self.net.embed.weight.T).argmax(dim=1)
            for i, token in zip(going, best.tolist(), strict=True):
                written[i].append(token)
        return [self.tokenizer.decode(ids[start:]) for ids, start in zip(written, starts, strict=True)]

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), tokenizer and size into a new folder."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True)
        save_file(
            {name: value.contiguous() for name, value in self.net.state_dict().items()}, folder / "weights.safetensors"
        )
        (folder / "tokenizer.json").write_text(self.tokenizer.to_str(), encoding="utf-8")
        (folder / "size.json").write_text(json.dumps(asdict(self.size)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LanguageModel:
        """Read back what :meth:`save` wrote."""
        import_torch()
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        from dross.models.llama import Llama, Size

        try:
            net = Llama(Size(**json.loads((folder / "size.json").read_text(encoding="utf-8"))))
            net.load_state_dict(load_file(folder / "weights.safetensors"))
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except FileNotFoundError as error:
            raise DrossError(
                "no language model here", where=str(folder), fix="name a folder that save wrote"
            ) from error
        net.eval()
        return cls(net, tokenizer)


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy of each position, in nats, shape (b, t); 0 where nothing is to be predicted."""
    from torch.nn import functional

    return functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=UNLEARNT, reduction="none")


# ---- training ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NextToken(Objective):
    """Predict the next token of the windows that a plan names; the rate warms up, then falls by a cosine."""

    plan: Plan
    part: tuple[float, float] = (0.0, 1.0)

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """The windows of each step."""
        import torch

        begun, ended = self.part
        for step, rows in enumerate(self.plan):
            for group in run.optimizer.param_groups:
                group["lr"] = run.settings.learning_rate * warmed(begun + (ended - begun) * step / len(self.plan))
            yield (torch.from_numpy(rows),)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The mean cross-entropy over the tokens to predict."""
        x = batches[0].x
        targets = x[:, 1].long()
        return token_losses(run.net(x[:, 0].long()), targets).sum() / (targets != UNLEARNT).sum().clamp(min=1)


def warmed(done: float) -> float:
    """The learning rate as a share of the highest: linear up over the first twentieth, then down to a tenth.

    >>> [round(warmed(x), 2) for x in (0.0, 0.05, 1.0)]
    [0.02, 1.0, 0.1]
    """
    if done < _WARM:
        return max(done / _WARM, 0.02)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (done - _WARM) / (1 - _WARM)))


def train_language_model(
    windows: Windows,
    tokenizer: Any,
    *,
    plan: Plan,
    size: Size | None = None,
    start: LanguageModel | None = None,
    learning_rate: float = 3e-3,
    part: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LanguageModel:
    """Train from scratch, or train ``start`` further, on windows in the order of a plan.

    Parameters
    ----------
    windows
        Shape (m, 2, context), from :func:`packed` or :func:`prompted`.
    tokenizer
        What made them.
    plan
        The windows each step reads, shape (steps, batch size): see :func:`passes`. Two trainings by plans of one shape
        read as many tokens.
    size
        Of a new network; the vocabulary is the tokenizer's.
    start
        The model to train further; it stays as it is.
    learning_rate, seed, device
        As in :class:`~dross.models.loop.Settings`.
    part
        Which part of the whole training this is, where training goes on from ``start``: the learning rate follows it.
    progress
        Called with the epochs done and their total when training ends.

    Raises
    ------
    DrossError
        When there is nothing to read, or the loss is no longer a number.
    """
    torch = import_torch()
    from dross.models.llama import Llama, Size

    if not len(windows) or not plan.size:
        raise DrossError("there is no text to train the language model on", fix="give it texts that are not empty")
    size = start.size if start is not None else replace(size or Size(), vocabulary=tokenizer.get_vocab_size())
    if windows.shape[2] > size.context:
        raise DrossError(f"windows of {windows.shape[2]} tokens do not fit a context of {size.context}")
    nets: Nets | None = None if start is None else {"net": copy.deepcopy(start.net)}
    examples = Examples(torch.from_numpy(windows), torch.zeros(len(windows), dtype=torch.int64), 1)
    settings = Settings(1, plan.shape[1], learning_rate, weight_decay=0.01, seed=seed, device=str(device_of(device)))
    run = fit(NextToken(plan, part), lambda: Llama(size), examples, settings, nets=nets, progress=progress)
    return LanguageModel(run.net, tokenizer)
