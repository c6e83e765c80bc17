"""Additional computation of reattention, from the architecture of a model. No model is loaded or run.

    python benchmarks/sizing.py                                     the models in SHAPES
    python benchmarks/sizing.py meta-llama/Llama-3.1-8B FOLDER      models on the hub, or folders, with a config.json
    python benchmarks/sizing.py Llama-3.1-8B --on cpu --contexts 4096 131072

A multiplication with its addition counts as two FLOPs. Only products of matrices are counted: with weights, of queries
and keys, and of attention weights and values. Exponentials, norms, and the multiplication of a query by its factor are
not counted; that multiplication is all that policy=constant adds.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen3Config

# From the config.json that the authors of each model publish. A test compares the number of weights with the name.
SHAPES: dict[str, PretrainedConfig] = {
    "SmolLM2-135M": LlamaConfig(
        num_hidden_layers=30, hidden_size=576, intermediate_size=1536, num_attention_heads=9, num_key_value_heads=3,
        vocab_size=49152, tie_word_embeddings=True,
    ),
    "Qwen3-4B": Qwen3Config(
        num_hidden_layers=36, hidden_size=2560, intermediate_size=9728, num_attention_heads=32, num_key_value_heads=8,
        head_dim=128, vocab_size=151936, tie_word_embeddings=True,
    ),
    "Llama-3.1-8B": LlamaConfig(
        num_hidden_layers=32, hidden_size=4096, intermediate_size=14336, num_attention_heads=32, num_key_value_heads=8,
        vocab_size=128256, tie_word_embeddings=False,
    ),
    "Qwen3-32B": Qwen3Config(
        num_hidden_layers=64, hidden_size=5120, intermediate_size=25600, num_attention_heads=64, num_key_value_heads=8,
        head_dim=128, vocab_size=151936, tie_word_embeddings=False,
    ),
    "Llama-3.1-70B": LlamaConfig(
        num_hidden_layers=80, hidden_size=8192, intermediate_size=28672, num_attention_heads=64, num_key_value_heads=8,
        vocab_size=128256, tie_word_embeddings=False,
    ),
}  # fmt: skip

# Products that the entropy of a row requires, in prefill and in decoding. Plain attention has two products: of queries
# and keys, and of attention weights and values. The prefill of vLLM's CPU backend calls a kernel with the keys as
# values, which computes both; all other paths need only the scores.
PRODUCTS = {"cpu": (2, 1), "gpu": (1, 1)}


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a model that determine its computation.

    Parameters
    ----------
    heads
        Number of query heads of a layer.
    kv_heads
        Number of key/value heads of a layer.
    head_size
        Size of a head.
    windows
        For each layer, the maximum number of keys that a row attends to; None for all.
    weights
        Number of weights that are used for a token, without the output layer. In a mixture of experts, only the chosen
        experts count.
    output_weights
        Number of weights of the output layer, which is used for one token of a prompt.
    element_bytes
        Bytes of one number of a key.
    """

    heads: int
    kv_heads: int
    head_size: int
    windows: tuple[int | None, ...]
    weights: int
    output_weights: int
    element_bytes: int = 2

    def seen(self, first: int, stop: int) -> int:
        """Return the number of pairs of a row ``first..stop - 1`` and a key that it attends to, over all layers."""
        return sum(_pairs(first, stop, window) for window in self.windows)

    def product(self, seen: int) -> int:
        """Return the FLOPs of one product of rows and keys (or values), for `seen` pairs."""
        return 2 * self.heads * self.head_size * seen

    def prefill(self, tokens: int) -> int:
        """Return the FLOPs of the prefill of a prompt, without reattention."""
        return 2 * (self.weights * tokens + self.output_weights) + 2 * self.product(self.seen(0, tokens))

    def decode(self, keys: int) -> int:
        """Return the FLOPs of decoding a token that attends to `keys` keys, including its own, without reattention."""
        return 2 * (self.weights + self.output_weights) + 2 * self.product(self.seen(keys - 1, keys))

    def added(self, first: int, stop: int, products: int) -> int:
        """Return the additional FLOPs of sharpening the rows ``first..stop - 1`` in all layers."""
        return products * self.product(self.seen(first, stop))

    def keys_read(self, keys: int) -> int:
        """Return the bytes of the keys that a token attends to, over all layers: half of what plain attention reads."""
        return self.kv_heads * self.head_size * self.element_bytes * self.seen(keys - 1, keys)


def _pairs(first: int, stop: int, window: int | None) -> int:
    """Return the sum of ``min(p + 1, window)`` over the positions p from `first` to ``stop - 1``."""
    whole = max(first, min(stop, window)) if window is not None else stop  # earlier rows attend to all previous keys
    triangle = (whole * (whole + 1) - first * (first + 1)) // 2
    return triangle + (stop - whole) * (window or 0)


def shape_of(config: PretrainedConfig) -> Shape:
    """Return the shape of a model from its config.

    Raises
    ------
    ValueError
        If reattention does not support the attention of the model.
    """
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None) or ["full_attention"] * text.num_hidden_layers
    odd = set(kinds) - {"full_attention", "sliding_attention"}
    if getattr(text, "kv_lora_rank", None) is not None:
        odd |= {"latent attention (MLA)"}
    if odd:
        raise ValueError(f"{text.model_type} has {', '.join(sorted(odd))}, which reattention does not support.")
    window = getattr(text, "sliding_window", None)
    if getattr(text, "layer_types", None) is None and window is not None and getattr(text, "use_sliding_window", True):
        kinds = ["sliding_attention"] * text.num_hidden_layers
    weights, output = count_weights(config)[1:]
    return Shape(
        heads=text.num_attention_heads,
        kv_heads=getattr(text, "num_key_value_heads", None) or text.num_attention_heads,
        head_size=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        windows=tuple(window if kind == "sliding_attention" else None for kind in kinds),
        weights=weights,
        output_weights=output,
    )


def count_weights(config: PretrainedConfig) -> tuple[int, int, int]:
    """Return the number of weights of a model, of those used for a token, and of those in the output layer."""
    text = config.get_text_config()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(text)
    inputs = model.get_input_embeddings().weight
    outputs = model.get_output_embeddings().weight
    experts = getattr(text, "num_local_experts", None) or getattr(text, "num_experts", None)
    chosen = getattr(text, "num_experts_per_tok", None)
    total = passed = 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if parameter.ndim >= 2 and parameter is not inputs and parameter is not outputs:
            share = chosen / experts if experts and chosen and ".experts." in name else 1
            passed += round(parameter.numel() * share)
    return total, passed, outputs.numel()


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{', '.join(SHAPES)}, a folder, or a hub name")
    parser.add_argument("--contexts", type=int, nargs="+", default=[1024, 4096, 16384, 65536, 131072], metavar="TOKENS")
    parser.add_argument("--question", type=int, default=128, metavar="TOKENS", help="after the context (default: 128)")
    parser.add_argument("--on", choices=PRODUCTS, default="gpu", help="backend of vLLM (default: gpu)")
    options = parser.parse_args()
    if min(options.contexts) <= options.question or options.question < 1:
        parser.error("each value of --contexts must be larger than --question, and --question must be at least 1")
    for name in options.models or SHAPES:
        try:
            config = SHAPES[name] if name in SHAPES else AutoConfig.from_pretrained(name)
            shape = shape_of(config)
        except (OSError, ValueError) as error:
            kind = "the folder" if Path(name).is_dir() else "the model"
            parser.error(f"the sizes of {kind} {name!r} cannot be computed: {error}")
        copied = 8192 * shape.heads * shape.head_size * shape.element_bytes / 1e6
        print(f"{name}, {count_weights(config)[0] / 1e9:.2f} billion weights, on {options.on}\n")
        print(table(shape, options.contexts, options.question, *PRODUCTS[options.on]))
        print(f"\nAdditional memory: a copy of one layer's queries while it runs, {copied:.0f} MB for 8,192 tokens.\n")


def table(shape: Shape, contexts: list[int], question: int, prefill_products: int, decode_products: int) -> str:
    """Return the table as Markdown; `contexts` are tokens including the question."""
    lines = [
        "| context | prefill, TFLOP | all rows | after_context | GFLOP per token | sharpened | keys read again |",
        "|---|---|---|---|---|---|---|",
    ]
    for tokens in contexts:
        prefill, decode = shape.prefill(tokens), shape.decode(tokens)
        of_all = shape.added(0, tokens, prefill_products) / prefill
        of_question = shape.added(tokens - question, tokens, prefill_products) / prefill
        of_token = shape.added(tokens - 1, tokens, decode_products) / decode
        read = decode_products * shape.keys_read(tokens) / 1e9
        lines.append(
            f"| {tokens:,} | {_short(prefill / 1e12)} | +{of_all:.1%} | +{of_question:.2%} "
            f"| {_short(decode / 1e9)} | +{of_token:.1%} | {_short(read)} GB |"
        )
    return "\n".join(lines)


def _short(number: float) -> str:
    """Format a number with three significant digits."""
    return f"{float(f'{number:.3g}'):,g}"


if __name__ == "__main__":
    main()
