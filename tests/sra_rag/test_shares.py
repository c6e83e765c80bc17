"""Where the attention of an answer fell, held to the weights of eager attention, and to changing nothing."""

import threading

import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.masking_utils import eager_mask

from sra_rag import SRAConfig, reattend
from sra_rag.attention.reference import scaled_reattention
from sra_rag.attention.shares import AttentionShares, active_shares, decoding_weights, observing
from sra_rag.errors import ConfigError
from sra_rag.generation.prefix_cache import cache_argument
from tests.sra_rag.tiny_models import tiny_model, tokens

SPANS = [(2, 9), (9, 20), (25, 38)]
LENGTH, NEW = 40, 6
SETTINGS = [
    None,
    SRAConfig(alpha=0.6),
    SRAConfig(alpha=0.6, layers=[1]),
    SRAConfig(alpha=0.6, policy="constant"),
    SRAConfig(alpha=0.6, rows="generated"),
]
_settings, _weights = {}, []


def _keeping_attention(module, query, key, value, attention_mask, scaling=None, softcap=None, **kwargs):
    given = _settings if module.layer_idx in _settings.get("layers", range(99)) else {}
    settings = {name: value for name, value in given.items() if name != "layers"}
    settings = settings or {"alpha": 0.0}
    mask = attention_mask[..., : key.shape[2]]
    if query.shape[2] == 1:  # with the unit matrix for values, what comes out are the weights
        unit = torch.eye(key.shape[2]).expand(*key.shape[:2], -1, -1)
        weights = scaled_reattention(
            query, key, unit, attention_mask=mask, scale=scaling, softcap=softcap, **settings
        ).output
        _weights.append((module.layer_idx, weights))
    output = scaled_reattention(
        query, key, value, attention_mask=mask, scale=scaling, softcap=softcap, **settings
    ).output
    return output.transpose(1, 2), None


AttentionInterface.register("sra_keeping", _keeping_attention)
AttentionMaskInterface.register("sra_keeping", eager_mask)


def generate(model, **arguments):
    return model.generate(
        tokens(length=LENGTH), max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False,
        return_dict_in_generate=True, output_logits=True, **arguments,
    )  # fmt: skip


def observed(model, sra, spans=SPANS):
    with reattend(model, sra, prompt_length=LENGTH), observing(AttentionShares(spans, LENGTH)) as shares:
        return generate(model), shares


def shares_of(weights, spans):
    """Share of each span in one row of weights, ``(1, H_q, 1, K)``; those of a window are of the last keys."""
    return torch.stack([weights[0, :, 0, first:last].sum(-1).mean() for first, last in spans])


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2", "gemma2", "gpt_neox"])
def test_off_they_are_the_eager_weights(name):
    _, shares = observed(tiny_model(name), None)
    expected = generate(tiny_model(name, "eager"), output_attentions=True).attentions[1:]
    layers = []
    for layer in range(3):
        rows = []
        for step, by_layer in enumerate(expected):
            weights = by_layer[layer]
            missing = LENGTH + step + 1 - weights.shape[-1]  # what a sliding window has left behind
            rows.append(shares_of(torch.nn.functional.pad(weights, (missing, 0)), SPANS))
        layers.append(torch.stack(rows).mean(0))
    assert shares.n_tokens == NEW - 1
    assert shares.by_layer().dtype == torch.float32
    torch.testing.assert_close(shares.by_layer(), torch.stack(layers), atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(shares.mean(), shares.by_token().mean(0))
    entropies = [
        torch.stack([torch.special.entr(step[layer][0, :, 0]).sum(-1) for step in expected]).mean(0)
        for layer in range(3)
    ]
    torch.testing.assert_close(shares.entropy_by_head(), torch.stack(entropies), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt_neox"])
@pytest.mark.parametrize("sra", SETTINGS[1:3], ids=str)
def test_sharpened_they_are_the_reference_weights(name, sra):
    _, shares = observed(tiny_model(name), sra)
    _weights.clear()
    _settings.update(alpha=0.6)
    if sra.layers != "all":
        _settings["layers"] = sra.layers
    try:
        generate(tiny_model(name, "sra_keeping"))
    finally:
        _settings.clear()
    kept = list(_weights)
    assert len(kept) == 3 * (NEW - 1)
    if name == "gemma2":  # its window's cache holds the last keys only
        missing = LENGTH + 1 - min(weights.shape[-1] for _, weights in kept)
        assert missing > 0
        kept = [
            (layer, torch.nn.functional.pad(w, (LENGTH + 1 + i // 3 - w.shape[-1], 0)))
            for i, (layer, w) in enumerate(kept)
        ]
    expected = torch.stack(
        [torch.stack([shares_of(w, SPANS) for at, w in kept if at == layer]).mean(0) for layer in range(3)]
    )
    torch.testing.assert_close(shares.by_layer(), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2"])
@pytest.mark.parametrize("sra", SETTINGS, ids=str)
def test_several_rows_at_once_are_seen_as_one_by_one(name, sra):
    model, ids = tiny_model(name), tokens(length=LENGTH + 5)
    seen = []
    for steps in ([5], [1] * 5, [2, 3]):
        with reattend(model, sra, prompt_length=LENGTH), observing(AttentionShares(SPANS, LENGTH)) as shares:
            known = cache_argument(model, DynamicCache(config=model.config))
            model(ids[:, :LENGTH], use_cache=True, **known)
            for start, size in zip([LENGTH + sum(steps[:n]) for n in range(len(steps))], steps, strict=True):
                model(ids[:, start : start + size], use_cache=True, **known)
        assert shares.n_tokens == 5
        seen.append((shares.by_token(), shares.entropy_by_head()))
    for by_token, entropies in seen[1:]:
        torch.testing.assert_close(by_token, seen[0][0], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(entropies, seen[0][1], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "sra", "dtype"),
    [(name, sra, torch.float32) for name in ("llama", "mistral", "gemma2") for sra in SETTINGS]
    + [("llama", None, torch.bfloat16), ("llama", SETTINGS[1], torch.bfloat16)],
    ids=str,
)
def test_looking_changes_nothing(name, sra, dtype):
    model = tiny_model(name, "sra", dtype)
    with reattend(model, sra, prompt_length=LENGTH):
        before = generate(model)
    after, shares = observed(model, sra)
    assert torch.equal(before.sequences, after.sequences)
    assert all(torch.equal(one, other) for one, other in zip(before.logits, after.logits, strict=True))
    assert shares.n_tokens == NEW - 1
    assert shares.by_layer().shape == (3, 3)


@pytest.mark.parametrize("sra", SETTINGS, ids=str)
def test_spans_over_the_whole_prompt_and_the_answer_share_all_there_is(sra):
    _, shares = observed(tiny_model("llama"), sra, [(0, 15), (15, LENGTH)])
    total = shares.by_token().sum(1)
    assert (total[:1] < 1).all()  # the token itself is seen too
    assert (total > 0).all()
    beyond, everything = observed(tiny_model("llama"), sra, [(0, LENGTH)])[1].by_token()[:, 0], total
    torch.testing.assert_close(beyond, everything)


def test_sharpening_the_kernel_with_a_constant_is_seen():
    plain = observed(tiny_model("llama"), None)[1]
    sharp = observed(tiny_model("llama"), SRAConfig(alpha=0.6, policy="constant", rows="generated"))[1]
    assert not torch.allclose(plain.by_layer()[0], sharp.by_layer()[0], atol=1e-4)


def test_nobody_else_is_looked_at():
    model = tiny_model("llama")
    seen = []
    with observing(AttentionShares(SPANS, LENGTH)):
        thread = threading.Thread(target=lambda: seen.append(active_shares()))
        thread.start()
        thread.join()
    assert seen == [None]
    assert active_shares() is None
    _, shares = observed(model, None)
    generate(model)
    assert shares.n_tokens == NEW - 1


def test_before_a_token_there_is_no_mean():
    shares = AttentionShares(SPANS, LENGTH)
    assert shares.mean() is None
    assert shares.by_layer().shape == shares.by_token().shape == (0, 3)


def test_masks_and_groups_of_one_row():
    query, key = torch.randn(1, 4, 1, 8), torch.randn(1, 2, 11, 8)
    mask = torch.arange(11) > 3
    scores = (query @ key.repeat_interleave(2, 1).transpose(2, 3)) * 0.3
    expected = torch.softmax(scores.masked_fill(~mask, float("-inf")), -1)
    torch.testing.assert_close(decoding_weights(query, key, scale=0.3, mask=mask), expected)
    additive = torch.zeros(11).masked_fill(~mask, float("-inf"))
    torch.testing.assert_close(decoding_weights(query, key, scale=0.3, mask=additive), expected)


def test_what_makes_no_sense_is_refused():
    for spans in ([(5, 3)], [(0, 9), (8, 12)], [(30, 41)], [(-1, 3)]):
        with pytest.raises(ConfigError, match="not allowed"):
            AttentionShares(spans, LENGTH)
    with pytest.raises(ConfigError, match="one at a time"):
        AttentionShares(SPANS, LENGTH).add(0, torch.rand(2, 6, 1, 41), 0)
