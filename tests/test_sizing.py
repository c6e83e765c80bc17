"""The sizing table's formulas, held to the FLOPs that torch counts while a tiny model runs, plain and sharpened."""

import runpy
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig, MistralConfig, MixtralConfig

from sra_rag import SRAConfig, reattend
from sra_rag.attention.fast import sharpening_factors
from sra_rag.attention.session import Session
from sra_rag.attention.visibility import Visibility
from sra_rag.generation.prefix_cache import cache_argument

SIZING = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "sizing.py"))
SHAPE = {
    "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 6,
    "num_key_value_heads": 2, "vocab_size": 97, "tie_word_embeddings": False,
}  # fmt: skip
CONTEXT, QUESTION = 40, 7
PREFILL, DECODING = SIZING["PRODUCTS"]["cpu"]


def kernel_flops(query, key, value, dropout_p=0.0, is_causal=False, *args, out_shape=None, **kwargs):
    """Two products of the rows with what they see; torch has no formula for its own CPU kernel."""
    (*heads, rows, size), keys = query, key[2]
    assert not is_causal or rows == keys
    pairs = rows * (rows + 1) // 2 if is_causal else rows * keys
    return 4 * torch.Size(heads).numel() * size * pairs


def counted(run):
    mapping = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: kernel_flops}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter, torch.no_grad():
        run()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE), attn_implementation="sra").eval()


@pytest.fixture(scope="module")
def shape(model):
    return SIZING["shape_of"](model.config)


def sharpened(model, rows):
    return reattend(model, SRAConfig(alpha=0.3, rows=rows), context_length=CONTEXT - QUESTION, prompt_length=CONTEXT)


@pytest.mark.parametrize(("rows", "first"), [("all", 0), ("after_context", CONTEXT - QUESTION), ("generated", CONTEXT)])
def test_prefill(model, shape, rows, first):
    ids = torch.arange(CONTEXT)[None]
    plain = counted(lambda: model(ids, logits_to_keep=1))
    assert plain == shape.prefill(CONTEXT)
    with sharpened(model, rows):
        found = counted(lambda: model(ids, logits_to_keep=1))
    assert found - plain == shape.added(first, CONTEXT, PREFILL)


def test_decoding(model, shape):
    ids = torch.arange(CONTEXT)[None]

    def step():
        known = cache_argument(model, DynamicCache(config=model.config))
        model(ids[:, :-1], logits_to_keep=1, **known)
        return counted(lambda: model(ids[:, -1:], **known))

    with torch.no_grad():
        plain = step()
        with sharpened(model, "all"):
            kept = step()
    assert plain == shape.decode(CONTEXT)
    assert kept == plain  # transformers' path keeps the scores; vLLM's own kernel computes them once more:
    session = Session(SRAConfig(alpha=0.3), n_layers=3, n_heads=6)
    query, keys = torch.randn(1, 6, 1, 8), torch.randn(1, 2, CONTEXT, 8)
    visibility = Visibility(session, 1, CONTEXT, position=CONTEXT - 1)
    found = counted(lambda: sharpening_factors(query, keys, visibility=visibility, layer=0, scale=1.0))
    assert 3 * found == shape.added(CONTEXT - 1, CONTEXT, DECODING)


def test_windows_hide_keys():
    config = MistralConfig(**SHAPE, sliding_window=16)
    shape, whole = SIZING["shape_of"](config), SIZING["shape_of"](LlamaConfig(**SHAPE))
    for first, stop in ((0, 9), (0, 40), (10, 30), (20, 40)):
        assert shape.seen(first, stop) == 3 * sum(min(row + 1, 16) for row in range(first, stop))
        assert whole.seen(first, stop) == 3 * sum(row + 1 for row in range(first, stop))
    assert shape.keys_read(1000) == whole.keys_read(16) == 3 * 16 * 2 * 8 * 2


def test_of_a_mixture_of_experts_only_the_chosen_count():
    dense = SIZING["shape_of"](MixtralConfig(**SHAPE, num_local_experts=4, num_experts_per_tok=4)).weights
    sparse = SIZING["shape_of"](MixtralConfig(**SHAPE, num_local_experts=4, num_experts_per_tok=1)).weights
    assert dense - sparse == 3 * 3 * (3 * 48 * 80)  # layers, experts, matrices of one


@pytest.mark.parametrize(("name", "billions"), [("SmolLM2-135M", 0.135), ("Llama-3.1-8B", 8.03), ("Qwen3-32B", 32.8)])
def test_the_shapes_written_out_are_those_of_their_models(name, billions):
    assert SIZING["count_weights"](SIZING["SHAPES"][name])[0] / 1e9 == pytest.approx(billions, rel=0.005)


def test_a_table(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["sizing.py", "SmolLM2-135M", "--contexts", "4096", "--on", "cpu"])
    SIZING["main"]()
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| 4,096"))
    shape = SIZING["shape_of"](SIZING["SHAPES"]["SmolLM2-135M"])
    assert f"+{shape.added(0, 4096, 2) / shape.prefill(4096):.1%}" in row
    assert f"+{shape.added(4095, 4096, 1) / shape.decode(4096):.1%}" in row


def test_what_cannot_be_sized_is_named(capsys, monkeypatch, tmp_path):
    for arguments, said in ((["nowhere/at-all"], "nowhere/at-all"), (["--contexts", "64"], "larger than --question")):
        monkeypatch.setattr("sys.argv", ["sizing.py", *arguments])
        with pytest.raises(SystemExit):
            SIZING["main"]()
        assert said in capsys.readouterr().err
    config = LlamaConfig(**SHAPE)
    config.layer_types = ["linear_attention", "full_attention", "full_attention"]
    with pytest.raises(ValueError, match="linear_attention"):
        SIZING["shape_of"](config)
