"""Tiny random models of the architectures that take part, and text for them to read."""

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
)

VOCABULARY = 97
_SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3,
    "num_attention_heads": 6, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GROUPED = _SHAPE | {"num_key_value_heads": 2}

CONFIGS = {
    "llama": lambda: LlamaConfig(**_GROUPED),
    "mistral": lambda: MistralConfig(**_GROUPED, sliding_window=16),
    "qwen2": lambda: Qwen2Config(**_GROUPED, use_sliding_window=True, sliding_window=16, max_window_layers=1),
    "qwen3": lambda: Qwen3Config(**_GROUPED, head_dim=8),
    "phi3": lambda: Phi3Config(**_GROUPED, sliding_window=24),
    "gemma2": lambda: Gemma2Config(**_GROUPED, head_dim=8, sliding_window=16, query_pre_attn_scalar=8),
    "gpt_neox": lambda: GPTNeoXConfig(**_SHAPE),
}


def tiny_model(name, attention="sra", dtype=torch.float32, vocabulary=VOCABULARY):
    """Build a model whose attention is far from uniform, so that sharpening shows."""
    config = CONFIGS[name]()
    config.vocab_size = vocabulary
    if vocabulary != VOCABULARY:  # it is to read text
        config.max_position_embeddings = 2048
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    return model


def tokens(rows=1, length=40):
    generator = torch.Generator("cpu").manual_seed(1)  # the same on every device
    return torch.randint(3, VOCABULARY, (rows, length), generator=generator, device="cpu").to(
        torch.get_default_device()
    )
