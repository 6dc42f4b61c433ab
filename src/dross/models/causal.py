"""A causal language model from a folder on disk, in the place of the small one."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dross.core.errors import DrossError, MissingExtra
from dross.models.language_model import END, LanguageModel
from dross.models.llama import Size


class Causal(nn.Module):
    """A transformers model that answers as :class:`~dross.models.llama.Llama` does: ids in, logits out."""

    def __init__(self, model: Any, size: Size, end: int) -> None:
        super().__init__()
        self.model, self.size, self.end = model, size, end

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the next token, shape (b, t, vocabulary)."""
        logits: Tensor = self.model(input_ids=ids).logits
        return logits


def from_folder(folder: str) -> LanguageModel:
    """The model and the fast tokenizer of a folder; nothing is downloaded."""
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtra.of("transformers", "text") from error
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise DrossError(f"no causal language model here: {told}", where=folder, fix="name a folder on disk") from error
    config = model.config
    context = min(1024, config.max_position_embeddings)
    size = Size(config.hidden_size, config.num_hidden_layers, config.num_attention_heads, context, config.vocab_size)
    end = tokenizer.eos_token_id
    return LanguageModel(Causal(model, size, END if end is None else int(end)), tokenizer.backend_tokenizer)
