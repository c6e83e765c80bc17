"""A baked checkpoint computes without sra-rag what the policy computes at run time, or is refused."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3Config, Gemma3ForCausalLM, Olmo2Config

from sra_rag import SRAConfig, load_model, reattend
from sra_rag.errors import ConfigError, UnsupportedModelError
from sra_rag.models.baking import bake, save_baked
from sra_rag.models.loading import LoadedModel
from tests.sra_rag.tiny_models import VOCABULARY, tiny_model, tokens

PER_HEAD = tuple(tuple(0.1 * ((layer + head) % 4) for head in range(6)) for layer in range(3))
SETTINGS = [
    SRAConfig(alpha=0.5, policy="constant"),
    SRAConfig(alpha=(0.0, 0.4, 0.8), policy="constant"),
    SRAConfig(alpha=PER_HEAD, policy="constant"),
    SRAConfig(alpha=0.7, layers=(1,), heads=(0, 5), policy="constant"),
]


def loaded(model, tokenizer):
    return LoadedModel(model, tokenizer, "tiny")


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return tiny.tokenizer


@torch.inference_mode()
def logits(model, sra=None):
    with reattend(model, sra):
        return model(tokens()).logits


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2", "phi3", "gpt_neox"])
@pytest.mark.parametrize("sra", SETTINGS, ids=["one", "by layer", "by head", "some"])
def test_baked_is_what_the_policy_computes(name, sra, tokenizer):
    model = tiny_model(name)
    if name in ("qwen2", "gpt_neox"):  # biases are scaled too
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.add_(torch.linspace(-1, 1, parameter.numel()))
    off, expected = logits(model), logits(model, sra)
    bake(loaded(model, tokenizer), sra)
    assert (expected - off).abs().max() > 0.1
    torch.testing.assert_close(logits(model), expected, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("sra", SETTINGS[:2], ids=["one", "by layer"])
@pytest.mark.parametrize("kind", ["qwen3", "gemma3", "olmo2"])
def test_where_a_norm_stands_behind_the_projection_it_is_scaled(kind, sra, tokenizer):
    model = normed(kind)
    expected = logits(model, sra)
    bake(loaded(model, tokenizer), sra)
    torch.testing.assert_close(logits(model), expected, atol=2e-3, rtol=1e-3)


def normed(kind):
    shape = {"vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3,
             "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 256,
             "pad_token_id": 0}  # fmt: skip
    torch.manual_seed(0)
    if kind == "qwen3":
        return tiny_model("qwen3")
    if kind == "olmo2":
        return AutoModelForCausalLM.from_config(Olmo2Config(**shape), attn_implementation="sra").eval()
    config = Gemma3Config(text_config=shape | {"head_dim": 8, "sliding_window": 16}).text_config
    return Gemma3ForCausalLM(config).eval()


def test_a_shared_norm_holds_one_factor_a_layer(tokenizer):
    model = tiny_model("qwen3")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UnsupportedModelError, match="one factor a layer"):
        bake(loaded(model, tokenizer), SETTINGS[2])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("sra", "reason"),
    [
        (SRAConfig(alpha=0.2), "policy='entropy'"),
        (SRAConfig(alpha=0.2, policy="constant", rows="after_context"), "rows='after_context'"),
        (SRAConfig(alpha=0.0, policy="constant"), "is off"),
        (SRAConfig(alpha=(0.1, 0.2), policy="constant"), "2 layers"),
    ],
)
def test_what_weights_cannot_hold_is_refused(sra, reason, tokenizer):
    with pytest.raises(ConfigError, match=reason):
        bake(loaded(tiny_model("llama"), tokenizer), sra)


def test_soft_capped_scores_are_refused(tokenizer):
    with pytest.raises(UnsupportedModelError, match="soft-capped"):
        bake(loaded(tiny_model("gemma2"), tokenizer), SETTINGS[0])


def test_a_result_that_is_wrong_is_never_handed_over(tokenizer):
    model = tiny_model("llama")
    # A model that scales its queries by themselves undoes any factor.
    model.model.layers[1].self_attn.q_proj.register_forward_hook(
        lambda module, args, output: torch.nn.functional.normalize(output, dim=-1)
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UnsupportedModelError, match="does not compute what it does at run time"):
        bake(loaded(model, tokenizer), SRAConfig(alpha=2.0, layers=(1,), policy="constant"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_a_baked_checkpoint_needs_no_sra_rag(tmp_path, embedded):
    sra = SRAConfig(alpha=0.3, policy="constant")
    folder = save_baked(load_model("embedded"), sra, tmp_path / "baked")
    ids = embedded.tokenizer("The rent is due on the first day of each month.", return_tensors="pt").input_ids
    with torch.inference_mode(), reattend(embedded.model, sra):
        expected = embedded.model(ids).logits[0].float()
    with torch.inference_mode():
        off = embedded.model(ids).logits[0].float()
    code = (
        "import sys, torch\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f"model = AutoModelForCausalLM.from_pretrained({str(folder)!r}, dtype='auto').eval()\n"
        f"ids = AutoTokenizer.from_pretrained({str(folder)!r})"
        "('The rent is due on the first day of each month.', return_tensors='pt').input_ids\n"
        f"torch.save(model(ids).logits[0].float().detach(), {str(tmp_path / 'logits.pt')!r})\n"
        "assert 'sra_rag' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    baked = torch.load(tmp_path / "logits.pt", weights_only=True)
    assert (baked - expected).pow(2).mean() < 0.05 * (off - expected).pow(2).mean()
    assert {"config.json", "model.safetensors", "sra.json", "tokenizer.json"} <= {p.name for p in folder.iterdir()}
    with pytest.raises(ConfigError, match="there already"):
        save_baked(embedded, sra, folder)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
