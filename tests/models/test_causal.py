"""Causal models from a folder, in the place of the small one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dross.claims._texts import drawn
from dross.corpus.comparing import compare

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two narrow layers with byte tokens, whose tokenizer would put a first token before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = {token: i for i, token in enumerate(["<s>", "</s>", *alphabet])}
    made = Tokenizer(models.BPE(tokens, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    into = tmp_path_factory.mktemp("llama")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False)
    tokenizer.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>"})
    tokenizer.save_pretrained(into)
    config = transformers.LlamaConfig(
        vocab_size=len(tokens), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(into)
    return into


def test_bits_are_those_of_the_library(folder: Path) -> None:
    """Texts in one stream, an end before and after each, read by windows of 64 tokens."""
    from dross.models.causal import from_folder

    texts = ["Der Zug fährt um acht.", "and comes back at noon", ""]
    stream = [1]
    for text in texts:
        stream += [*(_token(byte) for byte in text.encode()), 1]
    model = transformers.LlamaForCausalLM.from_pretrained(folder)
    nats = 0.0
    for start in range(0, len(stream) - 1, 64):
        read, told = stream[start : start + 64], stream[start + 1 : start + 65]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([read[: len(told)]])).logits[0]
        nats += float(torch.nn.functional.cross_entropy(logits, torch.tensor(told), reduction="sum"))
    expected = nats / math.log(2) / sum(len(text.encode()) for text in texts)
    assert from_folder(str(folder)).bits_per_byte(texts) == pytest.approx(expected, rel=1e-5)


def _token(byte: int) -> int:
    """The token of a byte, by the table of bytes that GPT-2 made."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [one for one in range(256) if one not in kept]
    letter = chr(byte) if byte in kept else chr(256 + others.index(byte))
    alphabet = sorted([chr(one) for one in kept] + [chr(256 + i) for i in range(len(others))])
    return 2 + alphabet.index(letter)


def test_recipes_are_compared_by_training_it_further(folder: Path, tmp_path: Path) -> None:
    """The recipe that keeps sound text does better than the one that keeps its letters in random order."""
    rng = np.random.default_rng(0)
    texts = drawn(300, 0)
    rows = [{"text": text, "spoilt": 0.0} for text in texts[:120]]
    rows += [{"text": "".join(rng.permutation(list(text)) if text else ""), "spoilt": 1.0} for text in texts[120:240]]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "held.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts[240:]))
    recipes = []
    for how in ("highest", "lowest"):
        recipes.append(tmp_path / f"{how}.yaml")
        recipes[-1].write_text(f"steps: [{{budget: {{share: 0.5, by: {how} spoilt}}}}]")
    before = (folder / "model.safetensors").read_bytes()
    found = compare(
        recipes, str(tmp_path / "in.jsonl"), str(tmp_path / "held.jsonl"), tokens=40_000, seeds=2, workers=1,
        model=f"hf:{folder}",
    )  # fmt: skip
    worse, better = found.standings
    assert better.mean < worse.mean < math.log2(258) + 1
    assert found.model == f"hf:{folder}"
    assert (folder / "model.safetensors").read_bytes() == before, "the model of the folder stays as it was"
