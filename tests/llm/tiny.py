"""A language model of 100,000 parameters, trained from scratch to label messages, and a real server for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dross.llm.prompts import ClassName, Template

TEMPLATE = Template("short", 1, "", "{{ text }}\nlabel?")
CLASSES = (ClassName("ham"), ClassName("spam"))
TELLING = ("prize", "winner", "cash", "free")
PLAIN = ("lunch", "meeting", "train", "home", "call", "later", "monday", "report", "coffee", "thanks", "see", "you")
CHAT = (
    "{% for m in messages %}{{ m['role'][0] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}a>{% endif %}"
)


def message(rng: np.random.Generator) -> tuple[str, str]:
    """A message and its label: spam holds a telling word."""
    words = rng.choice(PLAIN, 5).tolist()
    spam = rng.random() < 0.5
    if spam:
        words[int(rng.integers(5))] = str(rng.choice(TELLING))
    return " ".join(words), "spam" if spam else "ham"


def _example(rng: np.random.Generator) -> tuple[str, str]:
    text, label = message(rng)
    shown = TEMPLATE.messages(text, task="", classes=CLASSES)[0].text
    return f"u>{shown}\na>", f'{{"label": "{label}"}}'


def train(folder: Path, steps: int = 250, seed: int = 0) -> None:
    """Train the model on generated messages and save it with its tokenizer."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    bpe = ByteLevelBPETokenizer()
    corpus = ["".join(_example(rng)) for _ in range(500)]
    bpe.train_from_iterator(corpus, vocab_size=400, special_tokens=["<end>", "<pad>"], show_progress=False)
    marks = {"eos_token": "<end>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, chat_template=CHAT, **marks)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=256,
        eos_token_id=0,
        pad_token_id=1,
        bos_token_id=None,
        **sizes,
    )
    model = LlamaForCausalLM(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        ids, targets = _batch(tokenizer, [_example(rng) for _ in range(32)], torch)
        loss = model(input_ids=ids, attention_mask=(ids != 1).long(), labels=targets).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _batch(tokenizer: Any, pairs: list[tuple[str, str]], torch: Any) -> tuple[Any, Any]:
    """Padded token ids, and the same as targets where the answer stands."""
    rows, marks = [], []
    for asked, answer in pairs:
        a, b = tokenizer(asked)["input_ids"], [*tokenizer(answer)["input_ids"], 0]
        rows.append([*a, *b])
        marks.append([-100] * len(a) + b)
    longest = max(map(len, rows))
    ids = torch.tensor([r + [1] * (longest - len(r)) for r in rows])
    return ids, torch.tensor([m + [-100] * (longest - len(m)) for m in marks])


@contextmanager
def transformers_serve(folder: Path) -> Iterator[str]:
    """The address of ``transformers serve`` for a model on disk."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).parent / "transformers"
    command = [str(program), "serve", str(folder), "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = (folder / "serve.log").open("wb")
    server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 400
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, (folder / "serve.log").read_text()[-2000:]
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait(30)
        log.close()
