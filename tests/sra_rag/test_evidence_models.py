"""Evidence in whole models, in transformers' own code: looked for, weighed, and left without a trace."""

import threading

import pytest
import torch
from transformers import DynamicCache, StaticCache

from sra_rag import SRAConfig, reattend
from sra_rag.attention.evidence import Evidence
from sra_rag.attention.look import Look, looking
from sra_rag.evidence.choice import look_at_context
from sra_rag.generation.prefix_cache import cache_argument
from sra_rag.generation.prompts import EncodedPrompt
from tests.sra_rag.tiny_models import CONFIGS, tiny_model, tokens

pytestmark = pytest.mark.on_device

OFF = SRAConfig(alpha=0.0, evidence=4.0)
CONTEXT, LENGTH = 30, 40
SPANS = [(3, 9), (9, 20), (22, 30)]
CLOSE = {"atol": 2e-3, "rtol": 2e-3}


@pytest.fixture(params=CONFIGS)
def name(request):
    return request.param


def evidence(model, spans, starts, heads=None):
    config = model.config
    return Evidence(
        spans, starts, weight=4.0, heads=heads, n_layers=config.num_hidden_layers, n_heads=config.num_attention_heads
    )


@torch.inference_mode()
def weighed(model, ids, spans, start, *, steps=(LENGTH,), cache=None, mask=None):
    """Logits of all rows, read in one pass or in several."""
    logits, first = [], 0
    with reattend(model, OFF, context_length=start) as session:
        session.evidence = evidence(model, spans, [start] * len(spans))
        for last in steps:
            known = cache_argument(model, cache) if cache is not None else {}
            seen = {} if mask is None else {"attention_mask": mask[:, :last]}
            logits.append(model(input_ids=ids[:, first:last], use_cache=cache is not None, **known, **seen).logits)
            first = last
    return torch.cat(logits, dim=1)


def test_rows_of_the_context_are_untouched_and_the_others_are_not(name):
    model, ids = tiny_model(name), tokens()
    with torch.inference_mode():
        plain = model(ids).logits
    logits = weighed(model, ids, [[SPANS[2]]], CONTEXT)
    torch.testing.assert_close(logits[:, :CONTEXT], plain[:, :CONTEXT], **CLOSE)
    assert (logits - plain)[:, CONTEXT:].abs().max() > 0.02


@pytest.mark.parametrize("cache", [DynamicCache, StaticCache])
@pytest.mark.parametrize("steps", [(CONTEXT, LENGTH), (16, CONTEXT, 34, LENGTH), (35, *range(36, LENGTH + 1))])
def test_chunks_and_decoding_are_one_pass(name, cache, steps):
    model, ids = tiny_model(name), tokens()
    kept = DynamicCache(config=model.config) if cache is DynamicCache else StaticCache(model.config, max_cache_len=64)
    whole = weighed(model, ids, [[SPANS[2]]], CONTEXT)
    torch.testing.assert_close(weighed(model, ids, [[SPANS[2]]], CONTEXT, steps=steps, cache=kept), whole, **CLOSE)


def test_a_padded_batch_with_different_passages_is_each_alone(name):
    model = tiny_model(name)
    long, short = tokens(), tokens()[:, 8:]
    mask = torch.ones(2, LENGTH, dtype=torch.long)
    mask[1, :8] = 0
    batch = torch.cat([long, torch.nn.functional.pad(short, (8, 0))])
    logits = weighed(model, batch, [[SPANS[2]], [(21, 28)]], CONTEXT, mask=mask)
    torch.testing.assert_close(logits[:1], weighed(model, long, [[SPANS[2]]], CONTEXT), **CLOSE)
    alone = weighed(model, short, [[(13, 20)]], CONTEXT - 8, steps=(LENGTH - 8,))
    torch.testing.assert_close(logits[1:, 8:], alone, **CLOSE)


@torch.inference_mode()
def test_the_look_is_the_eager_weights_and_leaves_the_cache_as_it_was(name):
    ids = tokens()
    eager = tiny_model(name, "eager")
    rows = [layer[0, :, CONTEXT:] for layer in eager(ids, output_attentions=True).attentions]
    expected = torch.cat([torch.stack([w[..., a:b].sum(-1).mean(-1) for a, b in SPANS], dim=1) for w in rows])

    model = tiny_model(name)
    cache = DynamicCache(config=model.config)
    with reattend(model, None):
        model(ids[:, :CONTEXT], use_cache=True, **cache_argument(model, cache))
        before = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
        prompt = EncodedPrompt(tuple(ids[0].tolist()), CONTEXT, tuple(SPANS))
        look = look_at_context(model, cache, prompt, None, SPANS, by_row=True)
        looked, by_row = look.shares(), look.row_shares([1] * len(SPANS))
        of_rows = torch.cat([torch.stack([w[..., a:b].sum(-1) for a, b in SPANS], dim=2) for w in rows])
        of_rows = (of_rows / of_rows.sum(2, keepdim=True)).mean(0)
        torch.testing.assert_close(by_row, of_rows, atol=1e-4, rtol=1e-4)
        two = [1, len(SPANS) - 1]
        grouped = torch.stack([of_rows[:, :1].sum(1), of_rows[:, 1:].sum(1)], dim=1)
        torch.testing.assert_close(look.row_shares(two), grouped, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(looked, expected, atol=1e-4, rtol=1e-4)
        assert cache.get_seq_length() == CONTEXT
        assert all(
            torch.equal(layer.keys, keys) and torch.equal(layer.values, values)
            for layer, (keys, values) in zip(cache.layers, before, strict=True)
        )
        after = model(ids[:, CONTEXT:], use_cache=True, **cache_argument(model, cache)).logits
    torch.testing.assert_close(after, model(ids).logits[:, CONTEXT:], **CLOSE)


@torch.inference_mode()
def test_only_the_heads_that_look_are_seen_in_the_order_of_the_layers():
    model, ids = tiny_model("llama"), tokens()
    shares = []
    for heads in (None, [(2, 5), (0, 1)]):
        with reattend(model, None), looking(Look(SPANS, CONTEXT, heads)) as look:
            cache = DynamicCache(config=model.config)
            with looking(None):
                model(ids[:, :CONTEXT], use_cache=True, **cache_argument(model, cache))
            model(ids[:, CONTEXT:], use_cache=True, **cache_argument(model, cache))
        shares.append(look.shares())
    every, chosen = shares
    torch.testing.assert_close(chosen, every[[0 * 6 + 1, 2 * 6 + 5]])


def test_threads_weigh_evidence_of_their_own():
    model, ids = tiny_model("llama"), tokens()
    settings = [[[span]] for span in SPANS] + [None]
    with torch.inference_mode():
        plain = model(ids).logits
    alone = [plain if spans is None else weighed(model, ids, spans, CONTEXT) for spans in settings]
    answers = [[] for _ in settings]

    def work(index):
        for _ in range(10):
            with torch.inference_mode():
                spans = settings[index]
                answers[index].append(model(ids).logits if spans is None else weighed(model, ids, spans, CONTEXT))

    with reattend(model, None):
        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(settings))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for expected, given in zip(alone, answers, strict=True):
        assert len(given) == 10
        assert all(torch.allclose(logits, expected, atol=1e-5) for logits in given)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_float32(name, dtype):
    ids = tokens()
    exact = weighed(tiny_model(name), ids, [[SPANS[2]]], CONTEXT).log_softmax(-1)
    half = weighed(tiny_model(name, dtype=dtype), ids, [[SPANS[2]]], CONTEXT).float().log_softmax(-1)
    with torch.inference_mode():
        noise = (tiny_model(name, dtype=dtype)(ids).logits.float().log_softmax(-1)
                 - tiny_model(name)(ids).logits.log_softmax(-1)).abs().mean()  # fmt: skip
    assert (half - exact).abs().mean() < 2 * noise
